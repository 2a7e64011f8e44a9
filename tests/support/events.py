"""An EventSource, as far as the server can tell: written from WHATWG HTML, section 9.2.6."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp

RECEIVE_S = 20
BUFFER_BYTES = 2**20
_LINE_END = re.compile(r"\r\n|\r|\n")

Query = Iterable[tuple[str, str]]


class Events:
    """One connection's events; `last_id` and `retry_ms` are what a browser keeps of them."""

    def __init__(self, answer: aiohttp.ClientResponse, last_id: str) -> None:
        self.answer = answer
        self.last_id = last_id
        self.retry_ms: int | None = None

    async def event(self) -> str | None:
        """The data of the next event; None at the end of the stream."""
        async with asyncio.timeout(RECEIVE_S):
            while True:
                try:
                    block = (await self.answer.content.readuntil(b"\n\n")).decode()
                except aiohttp.ClientError:
                    return None
                if not block.endswith("\n\n"):
                    return None  # what is not finished is not dispatched
                if data := self._read(block):
                    return data

    def _read(self, block: str) -> str:
        data, last_id = "", self.last_id
        for line in _LINE_END.split(block):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match name:
                case "data":
                    data += value + "\n"
                case "id" if "\0" not in value:
                    last_id = value
                case "retry" if value.isdecimal():
                    self.retry_ms = int(value)
        self.last_id = last_id
        return data.removesuffix("\n")

    async def frame(self) -> dict[str, Any]:
        """The next frame."""
        data = await self.event()
        assert data is not None, "the stream has ended"
        return dict(json.loads(data))

    async def frames_until(self, last: object) -> list[dict[str, Any]]:
        """The frames up to and with the message `last`."""
        frames = [await self.frame()]
        while frames[-1].get("message") != last:
            frames.append(await self.frame())
        return frames

    async def values_until(self, last: object) -> list[Any]:
        """The messages up to and without `last`; any other frame on the way is an error."""
        frames = await self.frames_until(last)
        assert {frame["type"] for frame in frames} == {"message"}, frames
        return [frame["message"] for frame in frames[:-1]]

    async def end(self) -> list[dict[str, Any]]:
        """Read on until the server ends the stream; the frames that came before."""
        frames = []
        while (data := await self.event()) is not None:
            frames.append(json.loads(data))
        return frames


@asynccontextmanager
async def events(
    url: str,
    query: Query = (),
    *,
    last_id: str = "",
    buffer_bytes: int = BUFFER_BYTES,
    **headers: str,
) -> AsyncIterator[Events]:
    """Open a stream at a node or at nginx (`http://host:port`), with the query's fields.

    Twice `buffer_bytes` is what is read ahead, and the longest line that there may be.
    """
    if last_id:
        headers["Last-Event-ID"] = last_id
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        read_bufsize=buffer_bytes,
        timeout=timeout,
        connector=aiohttp.TCPConnector(socket_factory=partial(_socket, buffer_bytes)),
    ) as http:
        where, fields = f"{url}/sse/progress", list(query)
        async with http.get(where, params=fields, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            yield Events(answer, last_id)


def _socket(buffer_bytes: int, address: tuple[Any, ...]) -> socket.socket:
    plain = socket.socket(address[0], address[1], address[2])
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    return plain
