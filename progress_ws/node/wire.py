"""Writing to WebSockets: what reaches one of them in one turn of the loop leaves in one write.

A write is a system call, the dearest step on a message's way; so there is no task for each socket
that would be woken for each message, but one callback for all that something waits for.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from aiohttp.abc import AbstractStreamWriter

from progress_ws.core.frames import pack
from progress_ws.core.outbox import Outbox
from progress_ws.core.update import Update

log = structlog.get_logger(__name__)

STALLED_AFTER_S = 15.0
"""A reader that has not taken what lies before it (about 64 KiB) in this time is let go."""
HIGH_WATER_BYTES = 64 * 1024
"""Above it nothing more is written until the reader has taken most of it."""
TURN_S = 0.005
"""So long at a time: the node reads in the same loop."""
REST_FROM_S, REST_MAX_S = 0.0005, 0.002

OnWritten = Callable[[Sequence[Update], float], None]
"""Told messages that are written, once for each reader, and the Unix time."""


class Turn:
    """All wires of a node that something waits for; they are written to at the turn's end.

    After a long one comes a rest as long, of 2 ms at the most, in which the node reads on: when it
    is busy, more of what it reads joins in one write, and when it is not, nothing waits.
    """

    def __init__(self, on_written: OnWritten) -> None:
        """`on_written` is told of what is written in a turn."""
        self._on_written = on_written
        self._due: list[Wire] = []
        self._is_scheduled = False
        self._rests_until = 0.0

    def add(self, wire: "Wire") -> None:
        """Have a wire written to, once."""
        self._due.append(wire)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop = asyncio.get_running_loop()
            if self._rests_until and self._rests_until > loop.time():
                loop.call_at(self._rests_until, self._write)
            else:
                loop.call_soon(self._write)

    def _write(self) -> None:
        loop, now_s = asyncio.get_running_loop(), time.time()
        began = loop.time()
        due, self._due = self._due, []
        written: list[Update] = []
        for n, wire in enumerate(due, 1):
            try:
                written += wire.write()
            except Exception:
                log.exception("writing failed")
                wire.owner.fail()
            if n % 64 == 0 and loop.time() - began > TURN_S:
                self._due = due[n:] + self._due
                break
        took_s = loop.time() - began
        self._is_scheduled = bool(self._due)
        self._rests_until = 0.0
        if self._due:
            loop.call_soon(self._write)
        elif took_s > REST_FROM_S:
            self._rests_until = loop.time() + min(took_s, REST_MAX_S)
        self._on_written(written, now_s)


class WireOwner(Protocol):
    """Who has a wire."""

    def let_go(self) -> None:
        """Take note that the reader takes nothing for too long."""

    def fail(self) -> None:
        """Take note that writing failed, by an error of ours."""


class Wire:
    """One WebSocket's end of its outbox.

    Attributes:
        owner: is told when there is no use in going on.
        written: how many frames.
    """

    __slots__ = (
        "_as_text",
        "_drain",
        "_is_due",
        "_outbox",
        "_transport",
        "_turn",
        "_writer",
        "owner",
        "written",
    )

    def __init__(
        self,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        *,
        turn: Turn,
        owner: WireOwner,
        as_text: bool = False,
    ) -> None:
        """Be ready to carry what an outbox holds.

        Args:
            writer: what `WebSocketResponse.prepare` returned; tells when the reader has caught up.
            transport: is written to.
            turn: of this node.
            owner: see above.
            as_text: frames are those of `format=text`.
        """
        self.owner = owner
        self.written = 0
        self._writer = writer
        self._transport = transport
        self._turn = turn
        self._as_text = as_text
        self._outbox: Outbox | None = None
        self._drain: asyncio.Task[None] | None = None
        self._is_due = False

    def carry(self, outbox: Outbox) -> None:
        """Write what an outbox holds from now on; `wake` is what it calls."""
        self._outbox = outbox
        self.wake()

    def wake(self) -> None:
        """Note that something waits: it is written in this turn, or once the reader is ready."""
        if not self._is_due and self._drain is None and self._outbox is not None:
            self._is_due = True
            self._turn.add(self)

    def end(self) -> None:
        """Write no more."""
        self._outbox = None
        if self._drain is not None:
            self._drain.cancel()

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        if self._drain is not None:
            await asyncio.wait([self._drain])

    def write(self) -> Sequence[Update]:
        """Write what waits, about 64 KiB of it; return the messages among it."""
        self._is_due = False
        outbox, transport = self._outbox, self._transport
        if outbox is None or transport.is_closing():
            return ()  # the reader notices too, and ends the socket
        frames: list[bytes] = []
        updates: list[Update] = []
        for item in outbox.take_now():
            if isinstance(item, Update):
                frames.append(item.packed_text() if self._as_text else item.packed())
                updates.append(item)
            else:
                frames.append(pack(item))
        if not frames:
            return ()
        self.written += len(frames)
        transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        if transport.get_write_buffer_size() > HIGH_WATER_BYTES:
            self._drain = asyncio.create_task(self._await_reader())
        elif outbox.has_more:
            self.wake()
        return updates

    async def _await_reader(self) -> None:
        is_stalled = False
        # All who wait for one connection wait for one future of aiohttp's: to be cancelled here
        # must not cancel them. What becomes of it then is nobody's error, but from Python 3.14 on
        # `shield` would log it as one.
        drained = asyncio.ensure_future(self._writer.drain())
        drained.add_done_callback(_take_note)
        try:
            async with asyncio.timeout(STALLED_AFTER_S):
                await asyncio.wait([drained])
            drained.result()
        except TimeoutError:
            is_stalled = True
        except ConnectionError:
            return  # the reader notices too, and ends the socket
        finally:
            self._drain = None
            del drained  # it holds its error, whose traceback holds this frame
        if is_stalled:
            self.owner.let_go()
        else:
            self.wake()


def _take_note(done: asyncio.Future[None]) -> None:
    """See how it ended: an exception that nobody has seen is logged."""
    if not done.cancelled():
        done.exception()
