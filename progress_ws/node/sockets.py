"""One WebSocket: a reader, a writer, and one way to end."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import WebSocketError, WSMessage, WSMsgType, web

from progress_ws.core import codec
from progress_ws.core.frames import (
    FOLLOWS_MAX,
    FRAMES_MAX,
    FRAMES_WINDOW_S,
    PROTOCOL,
    Cancel,
    CloseCode,
    Follow,
    Ping,
    Unfollow,
    parse_frame,
)
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.outbox import Outbox, Update, stalled_frame
from progress_ws.core.quota import FrameQuota
from progress_ws.errors import ProtocolError
from progress_ws.node.cancels import Asking, Canceller

log = structlog.get_logger(__name__)

PING_S = 25
STALLED_AFTER_S = 15.0
"""A reader that has not taken one write (about 64 KiB) in this time is let go."""
LINGER_S = 30.0
"""How long a close frame waits behind what the browser has not read yet."""
NOT_ATTACHED = "this socket is not attached to it"
_FROM_BROWSER = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)
NO_STATUS, ABNORMAL = 1005, 1006
"""In logs and metrics: a close frame without a code, and none at all (RFC 6455, 7.4.1)."""

OnWritten = Callable[[float], None]
"""Told the seconds from the publisher's timestamp to the write, for each message."""


class Socket:
    """A browser's connection from the welcome to the close.

    The handler's own task reads; one task writes what the outbox holds. Whoever wants the socket
    closed (the outbox that overflows, the drain, a limit) calls `end`, a plain call.
    """

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        hub: Hub,
        memory: Memory,
        canceller: Canceller,
        node: str,
        on_written: OnWritten,
        as_text: bool = False,
    ) -> None:
        self._websocket = websocket
        self._transport = transport
        self._hub = hub
        self._memory = memory
        self._asking = Asking(canceller)
        self._node = node
        self._on_written = on_written
        self._as_text = as_text
        self._outbox = Outbox(on_overflow=self._overflow, messages_only=as_text)
        self._quota = FrameQuota(limit=FRAMES_MAX, window_s=FRAMES_WINDOW_S)
        self._sid = ""
        self._sids: set[str] = set()
        self._code: CloseCode | None = None
        self._ended_with = ABNORMAL
        self._writer: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._written = 0

    async def run(self, sid: str, *, after: dict[str, int] | None) -> int:
        """Serve the browser until either side ends it; return the close code.

        Args:
            sid: attach to this session; empty: to none.
            after: the position that the browser resumes from.
        """
        started_s = time.monotonic()
        with self._hub.attachments(self._outbox) as self._sids:
            self._welcome(sid, after)
            self._writer = asyncio.create_task(self._write())
            try:
                await self._read()
            except Exception:
                log.exception("socket failed")
                self.end(CloseCode.SERVER_ERROR, "server error")
            finally:
                await self._settle()
        code = self._code or self._ended_with
        duration_s = round(time.monotonic() - started_s, 3)
        log.info("socket closed", code=int(code), duration_s=duration_s, written=self._written)
        return int(code)

    def end(self, code: CloseCode, reason: str) -> None:
        """Begin to close, at once and without waiting; what has not been written is dropped."""
        if self._farewell is None and not self._websocket.closed:
            self._code = code
            self._outbox.close()
            if self._writer is not None:
                self._writer.cancel()
            self._farewell = asyncio.create_task(self._say_goodbye(code, reason))

    def cut(self) -> None:
        """End the connection without waiting for the browser to read what it was sent."""
        self._transport.abort()

    # -- writing --------------------------------------------------------------------------------

    async def _write(self) -> None:
        try:
            while True:
                batch = await self._outbox.take()
                async with asyncio.timeout(STALLED_AFTER_S):
                    await self._write_batch(batch)
        except TimeoutError:
            self.end(CloseCode.SLOW_READER, "slow reader")
        except ConnectionError:
            pass  # the reader notices too, and ends the socket
        except Exception:
            log.exception("writing failed")
            self.end(CloseCode.SERVER_ERROR, "server error")

    async def _write_batch(self, batch: list[Update | bytes]) -> None:
        now = time.time()
        for item in batch:
            if isinstance(item, bytes):
                frame = item
            else:
                frame = item.text() if self._as_text else item.frame()
                # Of other publishers the time may be anything, and AMQP's is in whole seconds.
                if item.message.id is not None and item.message.ts and not item.replay:
                    self._on_written(max(0.0, now - item.message.ts))  # two hosts, two clocks
            self._written += 1
            await self._websocket.send_frame(frame, WSMsgType.TEXT)

    def _overflow(self) -> None:
        self.end(CloseCode.SLOW_READER, "slow reader")

    async def _say_goodbye(self, code: CloseCode, reason: str) -> None:
        loop = asyncio.get_running_loop()
        # Closing a transport waits for what the browser has not read; this bounds the wait.
        loop.call_later(LINGER_S, self._transport.abort)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LINGER_S):
                await self._websocket.close(code=code, message=reason.encode())

    async def _settle(self) -> None:
        """Leave nothing behind: end the writer, or wait until the close has been said."""
        assert self._writer is not None
        await self._asking.end()
        if self._farewell is None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
            if self._ended_with == ABNORMAL:
                self._transport.abort()
        else:
            await asyncio.wait([self._writer, self._farewell])

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
            self.end(CloseCode.SLOW_READER, "slow reader")
        except ConnectionError:
            pass  # the next reading says so

    def _answer(self, message: WSMessage) -> None:
        try:
            if message.type is not WSMsgType.TEXT:
                raise ProtocolError("bad_frame", "frames are text")
            match parse_frame(message.data):
                case Ping():
                    self._say("pong", ts=round(time.time(), 3))
                case Follow(sid, after):
                    self._follow(sid, after)
                case Unfollow(sid):
                    self._unfollow(sid)
                case Cancel(sid, key):
                    self._cancel(sid, key)
        except ProtocolError as exc:
            self._say("error", code=exc.code, detail=exc.detail, sid=exc.sid, key=exc.key)

    # -- sessions -------------------------------------------------------------------------------

    def _welcome(self, sid: str, after: dict[str, int] | None) -> None:
        self._sid = sid
        if self._as_text:
            self._outbox.push(f"连接成功{sid}".encode())
        else:
            self._say(
                "welcome",
                sid=sid or None,
                node=self._node,
                protocol=PROTOCOL,
                ping_s=PING_S,
                recovered=self._memory.recovered(sid, after),
            )
        if sid:
            self._attach(sid, after)

    def _follow(self, sid: str, after: dict[str, int] | None) -> None:
        if sid not in self._sids and len(self._sids - {self._sid}) >= FOLLOWS_MAX:
            detail = f"a socket follows at most {FOLLOWS_MAX} sessions"
            raise ProtocolError("too_many_follows", detail, sid=sid)
        self._say("followed", sid=sid, recovered=self._memory.recovered(sid, after))
        self._attach(sid, after)

    def _unfollow(self, sid: str) -> None:
        if sid not in self._sids:
            raise ProtocolError("not_attached", NOT_ATTACHED, sid=sid)
        self._sids.discard(sid)
        self._hub.detach(sid, self._outbox)
        self._outbox.forget(sid)
        self._say("unfollowed", sid=sid)

    def _cancel(self, sid: str, key: str) -> None:
        if sid not in self._sids:
            raise ProtocolError("not_attached", NOT_ATTACHED, sid=sid, key=key)

        def refuse(reason: str) -> None:
            self._say("error", code="nobody_listens", detail=reason, sid=sid, key=key)

        self._asking.begin(sid, key, refuse)

    def _attach(self, sid: str, after: dict[str, int] | None) -> None:
        """From here on the socket gets what is retained, and then what comes live."""
        self._sids.add(sid)
        self._hub.attach(sid, self._outbox)
        if (replay := self._memory.replay(sid, after)) is not None:
            self._outbox.replay(replay, ahead=self._memory.ahead(after))
            return
        for stall in self._memory.stalled(sid):
            self._outbox.stalled(stall.sid, stall.key, stalled_frame(stall))

    def _say(self, type: str, **fields: object) -> None:
        self._outbox.push(codec.frame(type, **fields))


def _code(message: WSMessage) -> int:
    """Return the close code of what ended the reading, from either side."""
    match message.type:
        case WSMsgType.CLOSE:
            return int(message.data) or NO_STATUS
        case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
            return int(message.data.code)  # aiohttp has closed with it
        case _:
            return ABNORMAL
