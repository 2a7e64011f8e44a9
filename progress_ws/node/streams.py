"""One event stream: server-sent events, for browsers whose WebSockets are blocked.

The request's own task is the writer, and there is no other: what nobody writes to costs little.
"""

import asyncio
import random
import socket
import time
from collections.abc import Sequence

import structlog
from aiohttp import web

from progress_ws.core.frames import PING_S, CloseCode
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.outbox import Outbox
from progress_ws.core.position import After, Position
from progress_ws.core.subscriber import Subscriber
from progress_ws.core.update import Update
from progress_ws.node.sockets import LINGER_S, NO_STATUS
from progress_ws.node.wire import STALLED_AFTER_S, OnWritten

log = structlog.get_logger(__name__)

RETRY_MS = 1_000, 5_000
"""An EventSource waits so long before it comes back: drawn for each stream, so that the browsers of
a node that died do not come all at once."""
DRAIN_RETRY_MS = 0, 1_000
"""The ends of a drained node's streams are spread already."""
DEAD_AFTER_MS = 75_000
"""Nothing sent was acknowledged: three pongs. Scripts cannot answer, so the kernel has to tell."""
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class Stream:
    """A browser's event stream from the welcome to its end.

    Whoever wants it to end (the outbox that overflows, the drain, the connection that is lost)
    calls `end` or `lost`, plain calls.
    """

    def __init__(
        self,
        sessions: Sequence[tuple[str, After]],
        transport: asyncio.Transport,
        *,
        minted: bool,
        hub: Hub,
        memory: Memory,
        node: str,
        on_written: OnWritten,
    ) -> None:
        """Be ready to run.

        Args:
            sessions: each sid, the first one possibly empty, with the browser's position in it.
            transport: what its connection can be cut by.
            minted: the browser does not know the first sid.
            hub: of this node, as all that follows.
            memory: what is replayed from.
            node: the name that browsers are told.
            on_written: told of messages that are written.
        """
        self._sessions = sessions
        self._transport = transport
        self._minted = minted
        self._on_written = on_written
        self._outbox = Outbox(on_overflow=self._overflow)
        self._subscriber = Subscriber(self._outbox, hub=hub, memory=memory, node=node)
        self._position = Position(sessions, minted=minted)
        self._code = NO_STATUS
        self._is_ended = False
        self._written = 0
        self._written_s = 0.0
        self._pong: asyncio.TimerHandle | None = None

    async def run(self, response: web.StreamResponse) -> int:
        """Serve the browser until either side ends it; return the code that a socket would have."""
        started_s = time.monotonic()
        with self._subscriber.attached():
            self._greet()
            self._await_silence(PING_S)
            _watch_peer(self._transport)
            try:
                await self._write(response)
            except TimeoutError:
                self.end(CloseCode.SLOW_READER, "slow reader")
                self.cut()
            except ConnectionError:
                pass  # the browser is gone
            except Exception:
                log.exception("stream failed")
                self.end(CloseCode.SERVER_ERROR, "server error")
                self.cut()
            finally:
                self._outbox.close()
                if self._pong is not None:
                    self._pong.cancel()
        duration_s = round(time.monotonic() - started_s, 3)
        log.info("stream closed", code=self._code, duration_s=duration_s, written=self._written)
        return self._code

    def end(self, code: CloseCode, _reason: str) -> None:
        """Begin to end, at once and without waiting; what has not been written is dropped."""
        if not self._is_ended:
            self._is_ended = True
            self._code = int(code)
            self._outbox.close()
            # A write may wait for the browser, and closing a transport does: this bounds it.
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def cut(self) -> None:
        """End the connection without waiting for the browser to read what it was sent."""
        self._transport.abort()

    def lost(self) -> None:
        """Note that the browser is gone: it has no way to say why."""
        self._is_ended = True
        self._outbox.close()

    def _overflow(self) -> None:
        self.end(CloseCode.SLOW_READER, "slow reader")

    def _greet(self) -> None:
        (sid, after), *further = self._sessions
        self._subscriber.welcome(sid, after)
        for sid, after in further:
            self._subscriber.follow(sid, after)

    # -- writing --------------------------------------------------------------------------------

    async def _write(self, response: web.StreamResponse) -> None:
        head = _retry(RETRY_MS)
        if self._minted:
            head += b"id: %b\n" % str(self._position).encode()
        while batch := await self._outbox.take():
            self._written_s = asyncio.get_running_loop().time()
            async with asyncio.timeout(STALLED_AFTER_S):
                await response.write(head + self._events(batch))
            head = b""
        if not self._transport.is_closing():
            await self._say_goodbye(response)

    def _events(self, batch: list[Update | bytes]) -> bytes:
        now_s = time.time()
        parts: list[bytes] = []
        updates: list[Update] = []
        for item in batch:
            frame = item if isinstance(item, bytes) else item.frame()
            if isinstance(item, Update):
                message = item.message
                if message.id is not None:
                    self._position.come_to(message.sid, message.id)
                    parts.append(b"id: %b\n" % str(self._position).encode())
                updates.append(item)
            # A value travels as it came in; outside its strings a line may end.
            parts += b"data: ", frame.translate(_LINE_ENDS), b"\n\n"
        self._on_written(updates, now_s)
        self._written += len(batch)
        return b"".join(parts)

    async def _say_goodbye(self, response: web.StreamResponse) -> None:
        if self._code == CloseCode.RESTARTING:
            await response.write(_retry(DRAIN_RETRY_MS) + b"\n")
        await response.write_eof()

    def _await_silence(self, wait_s: float) -> None:
        self._pong = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _look(self) -> None:
        """Say that the stream lives, if nothing was said for so long; one timer does for both."""
        silent_s = asyncio.get_running_loop().time() - self._written_s
        if silent_s >= PING_S:
            self._subscriber.say("pong", ts=round(time.time(), 3))
            silent_s = 0.0
        self._await_silence(PING_S - silent_s)


def _retry(between_ms: tuple[int, int]) -> bytes:
    return b"retry: %d\n" % random.randint(*between_ms)


def _watch_peer(transport: asyncio.Transport) -> None:
    """Have the kernel end a connection whose other end vanished without a word."""
    peer = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
    if option is not None and peer is not None and peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.IPPROTO_TCP, option, DEAD_AFTER_MS)
