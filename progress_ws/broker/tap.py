"""A tap on the bytes of an AMQP connection: one channel's deliveries are taken out in bulk.

The library opens the connection through its own hook (`aiormq.TransportFactory`) and keeps it:
handshake, calls, heartbeats, closes and their reasons. It is handed every frame, in whole frames,
but the deliveries of the tapped channel. What this relies on, beside that hook: that the library
reads from the `StreamReader` that it was given, and writes whole frames at a time.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiormq import SSLContextProvider, TransportFactory
from yarl import URL

from progress_ws.broker.bulk import BrokenFrame, Delivered, DeliverParser

SLICE_BYTES = 64 * 1024
TURN_S = 0.005
"""So long at a time: browsers are served in the same loop."""
HEARTBEAT = b"\x08\0\0\0\0\0\0\xce"
HEARTBEAT_S = 1.0

OnDelivered = Callable[[list[Delivered]], None]


class Tap(asyncio.Protocol, TransportFactory):
    """Stands between a transport and the library's protocol, and passes on what it does not take.

    Attributes:
        heard_at: when bytes last came, by the loop's clock.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = DeliverParser()
        self._on_delivered: OnDelivered | None = None
        self._waiting = bytearray()
        self._is_broken = False
        self._beaten_at = self.heard_at = self._loop.time()

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the transport: what the library calls."""
        provider: SSLContextProvider = kwargs.pop("ssl_context_provider")
        ssl = await provider.get_context() if url.scheme == "amqps" else None
        reader, writer = await asyncio.open_connection(url.host, url.port, ssl=ssl, **kwargs)
        self._transport = cast(asyncio.Transport, writer.transport)
        self._inner = cast(asyncio.Protocol, self._transport.get_protocol())
        self._transport.set_protocol(self)
        return reader, writer

    def take(self, channel: int, on_delivered: OnDelivered, *, with_offsets: bool) -> None:
        """From now on call `on_delivered` with what is delivered on a channel."""
        self._parser.channel = channel
        self._parser.with_offsets = with_offsets
        self._on_delivered = on_delivered

    def drop(self) -> None:
        """Take no more: what is still delivered on the channel is forgotten."""
        self._on_delivered = None

    def write(self, frames: bytes) -> None:
        """Write whole frames."""
        if not self._transport.is_closing():
            self._transport.write(frames)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.heard_at = self._loop.time()
        self._waiting += data
        if len(self._waiting) == len(data):
            self._work()

    def _work(self) -> None:
        """Go through what waits, for one turn; nothing more is read until all of it is done."""
        until = self._loop.time() + TURN_S
        while self._waiting:
            part = bytes(self._waiting[:SLICE_BYTES])
            del self._waiting[:SLICE_BYTES]
            self._feed(part)
            if self._waiting and self._loop.time() > until:
                self._transport.pause_reading()
                self._loop.call_soon(self._work_on)
                return

    def _work_on(self) -> None:
        self.heard_at = self._loop.time()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._work()

    def _feed(self, data: bytes) -> None:
        if self._is_broken:
            self._inner.data_received(data)
            return
        try:
            delivered = self._parser.feed(data)
        except BrokenFrame:
            # Not for us to tell: the library sees the same bytes from here on, and says so.
            self._is_broken = True
            self._inner.data_received(self._parser.take_aside() + data)
            return
        if aside := self._parser.take_aside():
            self._inner.data_received(aside)
        elif delivered and self.heard_at - self._beaten_at > HEARTBEAT_S:
            # A broker that delivers sends no heartbeats, and the library would miss them.
            self._beaten_at = self.heard_at
            self._inner.data_received(HEARTBEAT)
        if delivered and self._on_delivered is not None:
            self._on_delivered(delivered)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._waiting.clear()
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._inner.resume_writing()
