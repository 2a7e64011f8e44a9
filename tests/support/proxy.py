"""A TCP proxy that misbehaves on demand: resets, black holes, delays, refused connections."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Self

from tests.support.server import Connections, connected, stop

CHUNK_BYTES = 65_536
# SO_LINGER on, for 0 seconds: closing sends a reset, and what was not sent is forgotten.
ABORT = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a free loopback port and passes everything on to `target`.

    `async with Proxy(broker.port) as proxy:`, then point the client to `proxy.port`.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        #: Seconds that every chunk waits, in both directions.
        self.delay_s = 0.0
        #: Told what a client says, before it is passed on.
        self.on_said: Callable[[bytes], None] = bool
        #: Connections that were accepted so far.
        self.accepted = 0
        self._gate = _open_gate()
        self._clients: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self._connections = Connections(self._serve)
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.refuse()
        await self._connections.close()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._clients)

    async def listen(self) -> None:
        """Accept connections, after `refuse` on the same port as before."""
        self._listener = await asyncio.start_server(
            self._connections.accept, "127.0.0.1", self.port
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Reset what is open and refuse new connections until `listen`."""
        if self._listener is not None:
            await stop(self._listener)
            self._listener = None
        self.reset()
        await asyncio.sleep(0)

    def reset(self, *, server_side: bool = True) -> None:
        """Reset what is open; with `server_side=False` the server is left believing in it."""
        for writer in [*self._clients, *(self._servers if server_side else ())]:
            _abort(writer)

    def black_hole(self) -> None:
        """Accept everything and pass on nothing, in both directions, until `pass_on`."""
        self._gate.clear()

    def pass_on(self) -> None:
        """End `black_hole`; what was held back goes on."""
        self._gate.set()

    def forget(self) -> None:
        """Pass on nothing of what is open, ever, and tell nobody; new connections are served."""
        self._gate.clear()
        self._gate = _open_gate()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._clients.add(writer)
        gate = self._gate
        try:
            await gate.wait()
            async with connected(self.target) as (server_reader, server_writer):
                self._servers.add(server_writer)
                try:
                    up = self._pump(reader, server_writer, gate, lambda chunk: self.on_said(chunk))
                    down = self._pump(server_reader, writer, gate)
                    await asyncio.gather(up, down)
                finally:
                    self._servers.discard(server_writer)
        except OSError:
            pass  # the client sees its connection end, as it would without a proxy
        finally:
            self._clients.discard(writer)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event,
        on_said: Callable[[bytes], None] = bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                on_said(chunk)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await gate.wait()
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


def _abort(writer: asyncio.StreamWriter) -> None:
    plain = writer.get_extra_info("socket")
    if plain is not None and plain.fileno() != -1:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()
