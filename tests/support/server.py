"""A TCP server of a test's own, that leaves no connection behind."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

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
        server.close()
        await connections.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a loopback port; closed at the end, whatever ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
