"""One WebSocket: a reader, a writer, and one way to end."""

import asyncio
import time
from contextlib import suppress

import structlog
from aiohttp import WebSocketError, WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from progress_ws.core.frames import (
    FRAMES_MAX,
    FRAMES_WINDOW_S,
    Cancel,
    CloseCode,
    Follow,
    Ping,
    Unfollow,
    parse_frame,
)
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.outbox import Outbox
from progress_ws.core.quota import FrameQuota
from progress_ws.core.subscriber import Subscriber
from progress_ws.errors import ProtocolError
from progress_ws.node.cancels import Asking, Canceller
from progress_ws.node.wire import STALLED_AFTER_S, Turn, Wire

log = structlog.get_logger(__name__)

LINGER_S = 30.0
"""How long a close frame waits behind what the browser has not read yet."""
_FROM_BROWSER = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)
NO_STATUS, ABNORMAL = 1005, 1006
"""In logs and metrics: a close frame without a code, and none at all (RFC 6455, 7.4.1)."""


class Socket:
    """A browser's connection from the welcome to the close.

    The handler's own task reads; what the outbox holds, its wire writes, which is no task. Whoever
    wants it closed (the outbox that overflows, the drain, a limit) calls `end`, a plain call.
    """

    __slots__ = (
        "_as_text",
        "_asking",
        "_code",
        "_ended_with",
        "_farewell",
        "_linger",
        "_outbox",
        "_quota",
        "_subscriber",
        "_transport",
        "_websocket",
        "_wire",
    )

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        *,
        turn: Turn,
        hub: Hub,
        memory: Memory,
        canceller: Canceller,
        node: str,
        as_text: bool = False,
    ) -> None:
        self._websocket = websocket
        self._transport = transport
        self._asking = Asking(canceller)
        self._as_text = as_text
        self._wire = Wire(
            writer,
            transport,
            turn=turn,
            owner=self,
            as_text=as_text,
        )
        self._outbox = Outbox(
            on_overflow=self.let_go, on_ready=self._wire.wake, messages_only=as_text
        )
        self._subscriber = Subscriber(
            self._outbox, hub=hub, memory=memory, node=node, as_text=as_text
        )
        self._quota = FrameQuota(limit=FRAMES_MAX, window_s=FRAMES_WINDOW_S)
        self._code: CloseCode | None = None
        self._ended_with = ABNORMAL
        self._farewell: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    async def run(self, sid: str, *, after: dict[str, int] | None) -> int:
        """Serve the browser until either side ends it; return the close code.

        Args:
            sid: attach to this session; empty: to none.
            after: the position that the browser resumes from.
        """
        started_s = time.monotonic()
        try:
            self._subscriber.welcome(sid, after)
            self._wire.carry(self._outbox)
            await self._read()
        except Exception:
            log.exception("socket failed")
            self.fail()
        finally:
            try:
                await self._settle()
            finally:
                self._subscriber.leave()
        code = self._code or self._ended_with
        duration_s = round(time.monotonic() - started_s, 3)
        log.info("socket closed", code=int(code), duration_s=duration_s, written=self._wire.written)
        self._free()
        return int(code)

    def _free(self) -> None:
        """Let go of whatever points back here.

        Thousands that close at a time are then freed one by one, and leave nothing to the garbage
        collector, which would stop the whole node to find it.
        """
        self._outbox.close()
        del self._wire
        if self._linger is not None and not self._transport.get_write_buffer_size():
            self._linger.cancel()
        error = self._websocket.exception()
        while error is not None:
            error.__traceback__ = None  # its frames know the socket, which keeps the error
            error = error.__context__

    def end(self, code: CloseCode, reason: str) -> None:
        """Begin to close, at once and without waiting; what has not been written is dropped."""
        if self._farewell is None and not self._websocket.closed:
            self._code = code
            self._outbox.close()
            self._wire.end()
            self._farewell = asyncio.create_task(self._say_goodbye(code, reason))

    def let_go(self) -> None:
        """End it: the browser reads too slowly."""
        self.end(CloseCode.SLOW_READER, "slow reader")

    def fail(self) -> None:
        """End it: an error of ours."""
        self.end(CloseCode.SERVER_ERROR, "server error")

    def cut(self) -> None:
        """End the connection without waiting for the browser to read what it was sent."""
        self._transport.abort()

    # -- ending ---------------------------------------------------------------------------------

    async def _say_goodbye(self, code: CloseCode, reason: str) -> None:
        loop = asyncio.get_running_loop()
        # Closing a transport waits for what the browser has not read; this bounds the wait.
        self._linger = loop.call_later(LINGER_S, self._transport.abort)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LINGER_S):
                await self._websocket.close(code=code, message=reason.encode())

    async def _settle(self) -> None:
        """Leave nothing behind, or wait until the close has been said."""
        await self._asking.end()
        self._wire.end()
        await self._wire.ended()
        if self._farewell is not None:
            await asyncio.wait([self._farewell])
        elif self._ended_with == ABNORMAL:
            self._transport.abort()

    # -- reading --------------------------------------------------------------------------------

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            message = await self._websocket.receive()
            if message.type not in _FROM_BROWSER:
                self._ended_with = _code(message)
                return
            if message.type is WSMsgType.PONG:
                continue
            if not self._quota.spend(clock()):
                self.end(CloseCode.TOO_MANY_FRAMES, "too many frames")
                return
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
            elif not self._as_text:
                self._answer(message)

    async def _pong(self, payload: bytes) -> None:
        """Answer a ping; whoever sends pings and never reads stalls here, but not for ever."""
        try:
            async with asyncio.timeout(STALLED_AFTER_S):
                await self._websocket.pong(payload)
        except TimeoutError:
            self.let_go()
        except ConnectionError:
            pass  # the next reading says so

    def _answer(self, message: WSMessage) -> None:
        try:
            if message.type is not WSMsgType.TEXT:
                raise ProtocolError("bad_frame", "frames are text")
            match parse_frame(message.data):
                case Ping():
                    self._subscriber.say("pong", ts=round(time.time(), 3))
                case Follow(sid, after):
                    self._subscriber.follow(sid, after)
                case Unfollow(sid):
                    self._subscriber.unfollow(sid)
                case Cancel(sid, key):
                    self._cancel(sid, key)
        except ProtocolError as exc:
            self._subscriber.say(
                "error", code=exc.code, detail=exc.detail, sid=exc.sid, key=exc.key
            )

    def _cancel(self, sid: str, key: str) -> None:
        self._subscriber.check(sid, key=key)

        def refuse(reason: str) -> None:
            self._subscriber.say("error", code="nobody_listens", detail=reason, sid=sid, key=key)

        self._asking.begin(sid, key, refuse)


def _code(message: WSMessage) -> int:
    """Return the close code of what ended the reading, from either side."""
    match message.type:
        case WSMsgType.CLOSE:
            return int(message.data) or NO_STATUS
        case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
            return int(message.data.code)  # aiohttp has closed with it
        case _:
            return ABNORMAL
