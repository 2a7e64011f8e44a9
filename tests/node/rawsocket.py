"""A WebSocket client made of a bare TCP socket: it may stop reading, and say what no library says.

Written from RFC 6455, section 5.2; it knows no extensions.
"""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

FINAL, MASKED = 0x80, 0x80
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
#: Few enough that a reader that stalls is noticed soon.
RECEIVE_BUFFER_BYTES = 4096


class RawSocket:
    """One WebSocket; nothing is read but in `frame`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one unfragmented frame."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.send_head(len(payload), opcode, mask)
        self.writer.write(masked)

    def send_head(self, length: int, opcode: int = TEXT, mask: bytes = b"mask") -> None:
        """Send the head of a frame that declares this length."""
        if length < 126:
            size = bytes([MASKED | length])
        elif length < 65_536:
            size = bytes([MASKED | 126]) + length.to_bytes(2, "big")
        else:
            size = bytes([MASKED | 127]) + length.to_bytes(8, "big")
        self.writer.write(bytes([FINAL | opcode]) + size + mask)

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        first, length = await self.reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        """Read on until the close frame; its code."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw_socket(url: str, path: str = "/websocket/progress") -> AsyncIterator[RawSocket]:
    """Connect and upgrade; the kernel and the reader buffer as little as they can."""
    where = urlsplit(url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    plain.connect((where.hostname, where.port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=RECEIVE_BUFFER_BYTES)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()
