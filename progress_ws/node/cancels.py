"""Carries cancel requests: from browsers to publishers, and to workers that publish over HTTP."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from progress_ws.broker.seam import LinkLost, Unroutable
from progress_ws.broker.sender import Sender
from progress_ws.core import codec
from progress_ws.core.cancels import (
    CANCEL,
    TAKEN,
    CancelRequest,
    Cancels,
    Nobody,
    Route,
    Slot,
    Taken,
)
from progress_ws.core.message import Draft

log = structlog.get_logger(__name__)

WITHIN_S = 0.9
"""A browser is told within a second that nobody listens."""
AGAIN_S = 0.1
SAID_MAX = 10_000
UNDERWAY_MAX = 8
"""Requests of one socket; more at a time are refused."""


class Canceller:
    """Asks whoever may listen, and says what was taken here."""

    def __init__(self, cancels: Cancels, sender: Sender) -> None:
        self._cancels = cancels
        self._sender = sender
        self._to_say: deque[str] = deque(maxlen=SAID_MAX)
        self._more = asyncio.Event()

    async def ask(self, sid: str, key: str) -> str | None:
        """Ask the publisher of a key to stop; return why nobody listens, None if somebody does."""
        route = self._cancels.route(sid, key)
        if isinstance(route, Nobody):
            self._cancels.refused += 1
            return route.reason
        taken = asyncio.Event()
        request = self._cancels.ask(sid, key, taken.set)
        if request is None:
            return "too many cancel requests at a time"
        reason: str | None = "nobody took the request"
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._send(request, route)
                if route.publisher is not None or not route.is_sure:
                    await taken.wait()
            reason = None
        except TimeoutError:
            pass
        except Unroutable:
            reason = "its publisher does not listen"
        except LinkLost as exc:
            log.warning("a cancel request was not sent", reason=str(exc))
            reason = "its publisher cannot be asked now"
        finally:
            self._cancels.settle(request, taken=reason is None)
        return reason

    def hand_over(self, drafts: Sequence[Draft]) -> list[Slot]:
        """Return the keys of a publish request that somebody wants to stop."""
        slots, names = self._cancels.hand_over(drafts)
        if names:
            self._to_say.extend(names)
            self._more.set()
        return slots

    async def run(self) -> None:
        """Tell all nodes what was handed over here, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._to_say:
                taken = codec.encode(Taken(self._to_say.popleft()))
                with suppress(LinkLost):  # then it is forgotten in time
                    await self._sender.announce(TAKEN, taken)

    async def _send(self, request: CancelRequest, route: Route) -> None:
        body = codec.encode(request)
        if route.publisher is None:
            await self._sender.announce(CANCEL, body)
            return
        while True:
            try:
                await self._sender.ask(CANCEL, body, to=route.publisher)
                return
            except Unroutable:
                if not route.is_sure:
                    raise
            await asyncio.sleep(AGAIN_S)


class Asking:
    """The requests of one socket: a few tasks, ended with it."""

    __slots__ = ("_canceller", "_tasks")

    def __init__(self, canceller: Canceller) -> None:
        self._canceller = canceller
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, sid: str, key: str, on_refused: Callable[[str], None]) -> None:
        """Ask without waiting; `on_refused` is called with the reason if nobody listens."""
        if len(self._tasks) >= UNDERWAY_MAX:
            on_refused(f"more than {UNDERWAY_MAX} cancel requests at a time")
            return
        task = asyncio.create_task(self._ask(sid, key, on_refused))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def end(self) -> None:
        """Leave nothing behind."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ask(self, sid: str, key: str, on_refused: Callable[[str], None]) -> None:
        try:
            reason = await self._canceller.ask(sid, key)
        except Exception:
            log.exception("asking to cancel failed")
            reason = "an error of the server"
        if reason is not None:
            on_refused(reason)
