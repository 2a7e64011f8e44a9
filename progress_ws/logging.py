"""A program's log as the line of text beside its bar.

from progress_ws.logging import ProgressHandler

with publisher.progress(sid, title="Import") as bar:
    logging.getLogger().addHandler(ProgressHandler(bar))
"""

import logging
import threading
import time
from collections.abc import Callable

from progress_ws.core.progress import clipped, told
from progress_ws.publish.bar import Bar
from progress_ws.publish.blocking import BlockingPublisher
from progress_ws.publish.place import find_sid

__all__ = ["ProgressHandler"]

OURS = ("progress_ws", "aiormq", "aio_pika")
"""What these say would be news of the very news."""
KEY = "log"
ERROR_STAYS_S = 5.0
"""A bar has one line: an error keeps it for so long against what is less."""


class ProgressHandler(logging.Handler):
    """Shows each record in one line: without its traceback, but with what was raised.

    With a bar the newest line is the bar's text, and an error stays for some seconds. Without one,
    lines are messages of a key, of which the newest matters, and errors are messages of their own,
    which nothing replaces. It never raises, and ignores what publishing itself has to log.

    Args:
        bar: the bar whose text it is.
        sid: without a bar, the session; by default `PROGRESS_WS_SID`. Without any it is silent.
        publisher: without a bar, by default one of this process, as for `track`.
        key: without a bar, the name of the lines in the session.
        level: see `logging.Handler`.
    """

    def __init__(
        self,
        bar: Bar | None = None,
        *,
        sid: str | None = None,
        publisher: BlockingPublisher | None = None,
        key: str = KEY,
        level: int | str = logging.NOTSET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(level)
        self._bar = bar
        self._sid = find_sid(sid) if bar is None else None
        self._publisher = publisher
        if self._sid is not None and publisher is None:
            from progress_ws.publish.default import default_publisher

            self._publisher = default_publisher()
        self._key = key
        self._clock = clock
        self._stays_until_s = 0.0
        self._busy = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what is ours, before a lock is taken that the publisher's thread may want."""
        is_ours = record.name.split(".")[0] in OURS or _is_publishing(record)
        return not is_ours and super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if getattr(self._busy, "is_emitting", False):  # a formatter or a queue that logs
            return
        self._busy.is_emitting = True
        try:
            self._show(self._line(record), is_error=record.levelno >= logging.ERROR)
        except Exception:  # noqa: BLE001 - a log must not hurt its program, whatever a formatter does
            self.handleError(record)
        finally:
            self._busy.is_emitting = False

    def _line(self, record: logging.LogRecord) -> str:
        first, *_ = self.format(record).splitlines() or [""]
        raised = record.exc_info[1] if record.exc_info else None
        return clipped(first if raised is None else f"{first}: {told(raised)}")

    def _show(self, line: str, *, is_error: bool) -> None:
        if self._bar is not None:
            now_s = self._clock()
            if is_error:
                self._stays_until_s = now_s + ERROR_STAYS_S
            elif now_s < self._stays_until_s:
                return
            self._bar.text(line)
        elif self._sid is not None and self._publisher is not None:
            self._publisher.post(self._sid, line, key=None if is_error else self._key)


def _is_publishing(record: logging.LogRecord) -> bool:
    """Tell whether it was logged in a publisher's background thread, by whatever library."""
    return (record.threadName or "").startswith("progress-ws")
