"""Which outboxes are attached to which session of this node; delivery to them."""

from collections import defaultdict
from collections.abc import Container, Iterable

from progress_ws.core.message import Message
from progress_ws.core.outbox import Outbox, stalled_frame
from progress_ws.core.series import Plain
from progress_ws.core.silence import Stall
from progress_ws.core.update import update_of, update_of_plain


class Hub:
    """Local delivery: what came over the exchange goes to this node's browsers, and never waits.

    Attributes:
        delivered: copies of messages put into outboxes.
        discarded: messages that nobody on this node listened to.
    """

    def __init__(self) -> None:
        # In the order in which they came, and lie in memory: to write in any other costs more.
        self._attached: defaultdict[str, dict[Outbox, None]] = defaultdict(dict)
        self.delivered = 0
        self.discarded = 0

    @property
    def sessions(self) -> int:
        """Count the sessions with at least one socket on this node."""
        return len(self._attached)

    @property
    def sids(self) -> Container[str]:
        """Those sessions."""
        return self._attached

    def attach(self, sid: str, outbox: Outbox) -> None:
        """From now on the outbox gets what is sent to the sid."""
        self._attached[sid][outbox] = None

    def detach(self, sid: str, outbox: Outbox) -> None:
        """The outbox no longer gets what is sent to the sid."""
        outboxes = self._attached.get(sid)
        if outboxes is not None:
            outboxes.pop(outbox, None)
            if not outboxes:
                del self._attached[sid]

    def deliver(self, message: Message) -> None:
        """Put a message into every outbox attached to its sid."""
        outboxes = self._attached.get(message.sid)
        if outboxes is None:
            self.discarded += 1
            return
        update = update_of(message)
        for outbox in outboxes:
            outbox.offer(update)
        self.delivered += len(outboxes)

    def deliver_all(self, messages: Iterable[Plain]) -> None:
        """Likewise for several; most of them are of no concern here."""
        attached = self._attached
        for plain in messages:
            outboxes = attached.get(plain.sid)
            if outboxes is None:
                self.discarded += 1
                continue
            update = update_of_plain(plain)
            for outbox in outboxes:
                outbox.offer_plain(update, plain.sid, plain.id)
            self.delivered += len(outboxes)

    def stalled(self, stalls: Iterable[Stall]) -> None:
        """Tell the browsers of some keys that their publishers fell silent."""
        for stall in stalls:
            if (outboxes := self._attached.get(stall.sid)) is not None:
                frame = stalled_frame(stall)
                for outbox in outboxes:
                    outbox.stalled(stall.sid, stall.key, frame)

    def gap(self, sid: str) -> None:
        """Tell the browsers of a session that something may be missing, for good."""
        for outbox in self._attached.get(sid, ()):
            outbox.gap(sid)

    def gap_everywhere(self) -> None:
        """Tell all browsers that something may be missing, for good."""
        for sid in self._attached:
            self.gap(sid)
