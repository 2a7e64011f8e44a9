"""Listening, and accepting no more connections at a time than those connected already can bear.

An event loop accepts, in one turn, all that have come since the last. After a proxy's restart that
is everybody: some thousand handshakes, for whose time nothing is delivered to anyone. Here a turn
accepts a few; the others wait in the kernel's line, and messages pass between.
"""

import asyncio
import errno
import socket
from contextlib import suppress
from typing import cast

import structlog
from aiohttp import web
from yarl import URL

log = structlog.get_logger(__name__)

ACCEPTED_AT_ONCE = 16
"""At some 0.3 ms a handshake a turn of the loop stays within some 5 ms."""
SHORT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What a host has too little of (accept(2)); a while later some may be free again."""
PAUSE_S = 1.0


class Listener:
    """Accepts from some sockets, for one server.

    Attributes:
        sockets: those that are listened on.
    """

    def __init__(self, sockets: list[socket.socket], server: web.Server) -> None:
        """Begin. They are closed with it."""
        self.sockets = sockets
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept no more. Whoever is in the kernel's line is refused."""
        if self._paused is not None:
            self._paused.cancel()
        for each in self.sockets:
            self._loop.remove_reader(each.fileno())
            each.close()
        self.sockets = []

    def _resume(self) -> None:
        self._paused = None
        for each in self.sockets:
            self._loop.add_reader(each.fileno(), self._accept, each)

    def _pause(self) -> None:
        for each in self.sockets:
            self._loop.remove_reader(each.fileno())
        self._paused = self._loop.call_later(PAUSE_S, self._resume)

    def _accept(self, listening: socket.socket) -> None:
        """Accept some; the loop calls again in its next turn while there are more."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                if exc.errno not in SHORT_OF:
                    raise
                log.error("no connections are accepted for a while", reason=exc.strerror)
                self._pause()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._server, connection)
        except OSError:  # it has gone already
            connection.close()


async def bound(
    host: str, port: int, *, backlog: int = 128, reuse_port: bool = False
) -> list[socket.socket]:
    """Listen on every address of a host; the kernel lets who comes wait until they are accepted.

    `reuse_port`: others may listen on the same port, and get their part.

    Raises:
        OSError: on an address that cannot be had.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(
                socket.create_server(
                    address[:2], family=family, backlog=backlog, reuse_port=reuse_port
                )
            )
            sockets[-1].setblocking(False)
    except OSError:
        for each in sockets:
            with suppress(OSError):
                each.close()
        raise
    return sockets


class PacedSite(web.BaseSite):
    """`aiohttp.web.SockSite`, but for how it accepts."""

    def __init__(self, runner: web.BaseRunner, sockets: list[socket.socket]) -> None:
        """The sockets are closed with it."""
        super().__init__(runner)
        self._sockets = sockets

    @property
    def name(self) -> str:
        """The address, as a URL."""
        host, port = self._sockets[0].getsockname()[:2]
        return str(URL.build(scheme="http", host=host, port=port))

    async def start(self) -> None:
        """Accept."""
        await super().start()
        server = self._runner.server
        assert server is not None
        listener = Listener(self._sockets, server)
        self._server = cast(asyncio.AbstractServer, listener)  # of which `close` is used here
