"""One warning when the broker goes, and one when it is back."""

import logging
import time

log = logging.getLogger("progress_ws")


class Outage:
    """What a publisher says of its broker's absence.

    Nobody hears what becomes of a posted message, so whoever posts is told here, once. Whoever only
    sends is told by `PublishError`, and at its end a publisher says what it could not send.

    Attributes:
        dropped: posted messages that found the buffer full.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._reason: str | None = None
        self._since = 0.0
        self._dropped_told = 0
        self._has_dropped = False
        self._has_posted = self._has_warned = self._is_ending = False

    def start(self) -> None:
        """Note that the publisher begins, anew perhaps."""
        self._reason = None
        self._has_warned = self._is_ending = False

    def tell(self, reason: str | None) -> None:
        """Note that nothing gets through any more, and why; None: something does again."""
        if reason is not None:
            self._since = time.monotonic()
        elif self._has_warned:
            self._has_warned = False
            # Since this was last told: the buffer may be full before it is known why.
            away_s, dropped = time.monotonic() - self._since, self.dropped - self._dropped_told
            self._dropped_told = self.dropped
            log.warning("progress gets through again after %.1f s, %d dropped", away_s, dropped)
        self._reason = reason
        self._warn()

    def post(self) -> None:
        """Note that something is posted."""
        self._has_posted = True
        self._warn()

    def drop(self) -> None:
        """Note that something posted found the buffer full."""
        self.dropped += 1
        if not self._has_dropped:
            self._has_dropped = True
            log.warning("the buffer is full, posted messages are dropped from now on")

    def close(self) -> None:
        """Note that the publisher is ending."""
        self._is_ending = True

    def _warn(self) -> None:
        if self._reason and self._has_posted and not self._has_warned and not self._is_ending:
            self._has_warned = True
            log.warning("progress does not get through, what is posted waits: %s", self._reason)
