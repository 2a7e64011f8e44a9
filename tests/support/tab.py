"""A browser tab, as far as the server can tell: an independent WebSocket client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

RECEIVE_S = 20


class Tab:
    """What one socket got: its `welcome`, and `message` frames as they come."""

    def __init__(self, socket: ClientConnection, welcome: dict[str, Any]) -> None:
        self.socket = socket
        self.welcome = welcome

    @property
    def sid(self) -> str:
        """The sid that the server told."""
        return str(self.welcome["sid"])

    @property
    def node(self) -> str:
        """The name of the node at the other end."""
        return str(self.welcome["node"])

    async def frame(self) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(RECEIVE_S):
            return dict(json.loads(await self.socket.recv()))

    async def values_until(self, last: object) -> list[Any]:
        """The messages up to and without `last`; any other frame on the way is an error."""
        values: list[Any] = []
        while True:
            frame = await self.frame()
            assert frame["type"] == "message", frame
            assert frame["sid"] == self.sid
            if frame["message"] == last:
                return values
            values.append(frame["message"])

    async def close_code(self) -> int:
        """Read on until the server closes; its code."""
        try:
            async with asyncio.timeout(RECEIVE_S):
                async for _ in self.socket:
                    pass
        except ConnectionClosed:
            pass
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def tab(url: str, *, origin: str | None = None, **query: str) -> AsyncIterator[Tab]:
    """Open a tab at a node or at nginx (`http://host:port`), with the query's fields.

    `origin` is the site that the page came from; without it the client is no browser.
    """
    address = url.replace("http", "ws", 1) + "/websocket/progress"
    if query:
        address += "?" + urlencode(query)
    site = None if origin is None else Origin(origin)
    async with connect(address, origin=site, proxy=None, max_size=None, max_queue=None) as socket:
        async with asyncio.timeout(RECEIVE_S):
            welcome = json.loads(await socket.recv())
        assert welcome["type"] == "welcome", welcome
        yield Tab(socket, welcome)
