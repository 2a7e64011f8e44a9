"""Reads the bodies of publish requests: all of them together within a bound, and none for ever."""

import asyncio

from aiohttp import web

BODY_MAX_BYTES = 8 * 1024 * 1024
BODIES_MAX_BYTES = 8 * BODY_MAX_BYTES
"""Of all bodies that are being read at one time."""
BODY_STALL_S = 30.0
"""A body of which nothing comes for this long is given up."""


class NoRoom(Exception):
    """Too many bytes of other bodies are being read; it is worth trying again soon."""


class Bodies:
    """The bodies that are being read now.

    A declared length is reserved before the first byte is read, so that at the bound some requests
    succeed and the others are refused at once; an undeclared one counts as it comes.
    """

    def __init__(self) -> None:
        self._held_bytes = 0

    async def read(self, request: web.Request) -> bytes:
        """Read one body. What the caller does with it before it waits again is within the bound.

        Raises:
            NoRoom: the bound is reached.
            TimeoutError: the client fell silent.
            web.HTTPRequestEntityTooLarge: this body alone is too large.
        """
        body = bytearray()  # not a list of blocks: they may be of one byte each
        held = 0
        try:
            held = self._hold(held, request.content_length or 0)
            while block := await _next_block(request):
                body += block
                held = self._hold(held, len(body))
            return bytes(body)
        finally:
            self._held_bytes -= held

    def _hold(self, held: int, wanted: int) -> int:
        """Extend a reservation; return how large it is now."""
        if wanted > BODY_MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(BODY_MAX_BYTES, wanted)
        more = max(0, wanted - held)
        if self._held_bytes + more > BODIES_MAX_BYTES:
            raise NoRoom("the node is reading too many large requests")
        self._held_bytes += more
        return held + more


async def _next_block(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_STALL_S):
        return await request.content.readany()
