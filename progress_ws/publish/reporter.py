"""Sends what bars say: at once where their state changes, else ten times a second at the most."""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakSet

from progress_ws.core.progress import Update
from progress_ws.errors import InvalidMessage, ProgressError
from progress_ws.publish.bar import INTERVAL_S, Bar

log = logging.getLogger("progress_ws")

Post = Callable[[Bar, Update], None]


class Reporter:
    """Looks at the bars of one publisher, in its event loop.

    It holds them weakly: of one that its job has forgotten nothing is heard any more, and browsers
    are told after its `stall_s` that it has fallen silent.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._bars: WeakSet[Bar] = WeakSet()
        self._watching: asyncio.Task[None] | None = None

    def report(self, bar: Bar) -> None:
        """Send what a bar says now; until its end it is looked at from now on."""
        self._say(bar)
        if bar.has_ended:
            self._bars.discard(bar)
            return
        self._bars.add(bar)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="progress-ws bars")

    def cancel(self, sid: str, key: str) -> bool:
        """Tell a bar that a browser has asked to stop; return whether one listens to that."""
        listening = [
            bar for bar in self._bars if (bar.sid, bar.key) == (sid, key) and bar.request.wanted
        ]
        for bar in listening:
            try:
                bar.request.make()
            except Exception:
                log.exception("on_cancel of the bar %r has failed", key)
        return bool(listening)

    def end(self, error: str) -> None:
        """End all that still run as failed: whoever would have ended them is gone."""
        for bar in sorted(self._bars, key=lambda bar: len(bar.key)):  # parents end their children
            bar.failed(error)

    def stop(self) -> None:
        """Look at none any more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while self._bars:
            await asyncio.sleep(INTERVAL_S)
            for bar in list(self._bars):
                self._say(bar)

    def _say(self, bar: Bar) -> None:
        try:
            if (update := bar.update()) is not None:
                self._post(bar, update)
        except InvalidMessage as exc:
            log.warning("an update of the bar %r cannot be sent: %s", bar.key, exc)
            if bar.strip():
                self._say(bar)
        except ProgressError:
            pass  # the publisher has ended, and said why
        except Exception:
            self._bars.discard(bar)
            log.exception("the bar %r has failed and is not shown any more", bar.key)
