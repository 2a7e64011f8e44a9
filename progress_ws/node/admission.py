"""Who is let in: a connection without a finished request head is short-lived, and one of few.

aiohttp waits for a head for an hour. Here all such connections stand in one line with one timer for
all; an upgraded WebSocket stands in none, so an idle one costs nothing. Refused WebSockets join the
line too: how long one may take to read its close frame is the same question.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

HANDSHAKE_TIMEOUT_S = 10.0
"""From the connection's begin, or the first byte of a later head, to the head's end."""
KEEPALIVE_S = 75.0
"""Above the 60 s of a proxy, so that it is the proxy that ends an idle connection: a request that
crosses the node's own close would be lost."""
BACKLOG = 4096
"""Connections that wait to be accepted: after a node's end all its browsers come at once."""
UNFINISHED_MAX = 2 * BACKLOG
"""More than a backlog, for a network that is slow after a node's end. At some 6 kB for a silent
connection the bound is 50 MB."""

AT_ONCE = 16
"""A first request, or a browser's end, takes some 0.1 to 0.2 ms, and a turn of the loop no longer
than all of them in it."""


class Turnstile:
    """Lets a few through in a turn of the loop; messages pass between.

    When a proxy restarts, some thousand connections end in the same turn, and come back in one.
    What waits is bounded by the connections: each waits once for its head, and once for its end.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._passed = 0

    def passes(self) -> bool:
        """Tell whether one more may pass at once; if so it has."""
        if self._passed >= AT_ONCE:
            return False
        self._count()
        return True

    def wait(self, call: Callable[[], None]) -> None:
        """Call this in a later turn."""
        self._waiting.append(call)

    def _count(self) -> None:
        self._passed += 1
        if self._passed == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._passed = 0
        while self._waiting and self._passed < AT_ONCE:
            self._count()
            self._waiting.popleft()()


class Door:
    """The connections whose head is not finished, in the order in which they came.

    Policy at the bound: the oldest is cut. A browser finishes its head within milliseconds, so the
    oldest is the least likely to be one, and a flood of silent connections keeps nobody out.

    Attributes:
        heads: what first heads pass.
        ends: what the ends of connections pass.
    """

    def __init__(self, *, timeout_s: float, limit: int) -> None:
        self._timeout_s = timeout_s
        self._limit = limit
        self._deadlines: OrderedDict[Connection, float] = OrderedDict()
        self.heads, self.ends = Turnstile(), Turnstile()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, connection: "Connection") -> None:
        """Let its time begin, unless it runs already."""
        if connection in self._deadlines:
            return
        if len(self._deadlines) >= self._limit:
            self._cut_oldest()
        loop = asyncio.get_running_loop()
        self._deadlines[connection] = deadline = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._sweep)

    def leave(self, connection: "Connection") -> None:
        """Its head is finished, or it is gone."""
        self._deadlines.pop(connection, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._deadlines:
            deadline = next(iter(self._deadlines.values()))
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._sweep)
                return
            self._cut_oldest()

    def _cut_oldest(self) -> None:
        connection, _ = self._deadlines.popitem(last=False)
        if connection.transport is not None:
            connection.transport.abort()


class Connection(web.RequestHandler):
    """aiohttp's connection, which tells the door when a head begins and ends."""

    __slots__ = ("_door", "_held", "_on_lost")

    def __init__(self, door: Door, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._door = door
        self._held = b""
        self._on_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._door.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no more; what is left to do may have to wait."""
        self._door.leave(self)
        if self._door.ends.passes():
            self._end(exc)
        else:
            self._door.ends.wait(partial(self._end, exc))

    def _end(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        # aiohttp leaves it, and with it a cycle that only the collector would find.
        self._data_received_cb = None
        if self._on_lost is not None:
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a first head may have to wait."""
        if self._held:
            self._held += data
        elif self._request_count or self._door.heads.passes():
            self._take(data)
        else:
            self._held = data
            if self.transport is not None:
                self.transport.pause_reading()
            self._door.heads.wait(self._go_on)

    def _go_on(self) -> None:
        """Take what had to wait."""
        held, self._held = self._held, b""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._take(held)

    def _take(self, data: bytes) -> None:
        """See whether the bytes finish a head, or begin one on a connection that was idle."""
        finished = self._request_count
        super().data_received(data)
        if self._request_count != finished:
            self._door.leave(self)
        elif self._waiter is not None:
            self._door.enter(self)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Be told of the connection's end during an answer that has none of its own.

        The answer is the connection's last: whatever else the client says is ignored.
        """
        self._on_lost = call
        self.close()

    def refused(self) -> None:
        """Give the client as long as for a head to take its refusal."""
        self._door.enter(self)


class _Server(web.Server):
    """aiohttp's server, but for what it makes of a new connection."""

    def __init__(self, plain: web.Server, door: Door) -> None:
        super().__init__(
            plain.request_handler, request_factory=plain.request_factory, **plain._kwargs
        )
        self._door = door

    def __call__(self) -> Connection:
        return Connection(self._door, self, loop=self._loop, **self._kwargs)


class NodeRunner(web.AppRunner):
    """Runs a node's application behind a door, the same one for all addresses it listens on."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=shutdown_timeout,
        )
        self.door = Door(timeout_s=HANDSHAKE_TIMEOUT_S, limit=UNFINISHED_MAX)

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.door)
