"""Standard input by lines, as they come, from whatever it is: a pipe, a terminal, a file."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError

from progress_ws.errors import InvalidMessage, ProgressError

LINE_MAX_BYTES = 16 * 1024 * 1024
READ_BYTES = 64 * 1024
CHUNKS_WAITING = 16


async def lines() -> AsyncIterator[str]:
    """Yield the lines without their ends.

    A thread reads, because not everything that standard input may be can be polled, and it is a
    daemon, so that an interrupt need not wait for the next line.

    Raises:
        InvalidMessage: a line is longer than 16 MiB.
        ProgressError: standard input cannot be read.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue(CHUNKS_WAITING)

    def read() -> None:
        chunk: bytes | OSError = b"-"
        while chunk and not isinstance(chunk, OSError):
            try:
                chunk = os.read(0, READ_BYTES)
            except OSError as exc:
                chunk = exc
            put = chunks.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(put, loop).result()
            except (RuntimeError, CancelledError):  # the loop has ended before its input
                put.close()
                return

    threading.Thread(target=read, name="standard input", daemon=True).start()
    rest = bytearray()
    while chunk := await chunks.get():
        if isinstance(chunk, OSError):
            raise ProgressError(f"cannot read standard input: {chunk.strerror}")
        rest += chunk
        for line in _complete(rest):
            yield _text(line)
    if rest:
        yield _text(bytes(rest))


def _complete(rest: bytearray) -> Iterator[bytes]:
    """Take the complete lines out of what has been read."""
    end = rest.rfind(b"\n")
    if end >= 0:
        complete = bytes(rest[:end])
        del rest[: end + 1]
        yield from complete.split(b"\n")
    if len(rest) > LINE_MAX_BYTES:
        detail = f"standard input is wrong: a line is longer than {LINE_MAX_BYTES} bytes"
        raise InvalidMessage(detail, reason="too_large")


def _text(line: bytes) -> str:
    """Read a line; what is no UTF-8 in it shows as U+FFFD, as it would on a terminal."""
    return line.removesuffix(b"\r").decode(errors="replace")
