"""A TCP server of a test's own, that leaves no connection behind."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

TURNS = 5
"""Of the loop, from the turn in which a connection is accepted to that in which it is handled."""

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]]


class Connections:
    """Every connection that was accepted, with the task that handles it: ended together."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection: what `asyncio.start_server` calls."""
        task = asyncio.create_task(self._handle(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._end)

    async def close(self) -> None:
        """End all of them, wherever their handlers are."""
        for task in list(self._open):
            task.cancel()
        while self._open:
            await asyncio.wait(self._open)
        await asyncio.sleep(0)  # a transport is gone one turn of the loop after it was told to go

    def _end(self, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step runs no `finally`.
        writer = self._open.pop(task)
        if task.cancelled():
            writer.transport.abort()
        else:
            writer.close()
            task.result()


async def stop(server: asyncio.Server) -> None:
    """Accept nobody any more; who has been accepted is handled, or will have been.

    A server that is just closed forgets whom it has accepted the turn before, open and unhandled.
    """
    for plain in server.sockets:
        asyncio.get_running_loop().remove_reader(plain.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    server.close()


@asynccontextmanager
async def serving(
    handle: Handle, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve on a loopback port, a free one by default, until the end; yields the port."""
    connections = Connections(handle)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop(server)
        await connections.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a loopback port; closed at the end, whatever ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
