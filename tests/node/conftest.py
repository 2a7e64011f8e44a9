"""Whole nodes inside the test's own event loop, and browsers and publishers to talk to them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from deploy.local import RabbitMQ
from progress_ws.node.admission import Door, NodeRunner
from progress_ws.node.app import create_app
from progress_ws.node.keys import MEMORY
from progress_ws.node.listening import PacedSite, bound
from progress_ws.node.settings import Settings
from tests.support.metrics import sum_of
from tests.support.parts import new_vhost
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

TOKEN = "a-token-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def vhost(rabbitmq: RabbitMQ) -> Iterator[str]:
    """One virtual host for the tests of a module: their nodes come one after the other."""
    with new_vhost(rabbitmq) as name:
        yield name


class LiveNode:
    """A node that serves on a free port, seen from outside."""

    def __init__(
        self, app: web.Application, url: str, http: aiohttp.ClientSession, door: Door
    ) -> None:
        self.app = app
        self.door = door
        self.url = url
        self.http = http

    def tab(self, **query: str) -> Any:
        """Open a browser's tab here, with the query's fields."""
        return tab(self.url, **query)

    async def post(self, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """Publish a body, bytes as they are, anything else as JSON; the status and the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = "/api/v1/messages"
        async with self.http.post(url, data=BytesIO(data), headers=BEARER | headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def send(self, sid: str, message: object, **fields: object) -> str:
        """Publish one message; its id."""
        status, answer = await self.post({"sid": sid, "message": message, **fields})
        assert status == 202, answer
        return str(answer["ids"][0])

    async def heard(self, id_: str) -> str:
        """Wait until this node has heard a message: a 202 says only that the broker has it."""
        publisher, _, seq = id_.rpartition("-")
        await eventually(lambda: not self.app[MEMORY].ahead({publisher: int(seq)}))
        return id_

    async def get(self, path: str) -> tuple[int, str]:
        """The status and the text of a page."""
        async with self.http.get(path) as answer:
            return answer.status, await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """See `sum_of`."""
        _, text = await self.get("/metrics")
        return sum_of(text, name, labels)

    async def refusal(self, **query: str) -> tuple[int | None, str | None]:
        """Open a socket that is closed before its first frame; the close code and the reason."""
        address = self.url.replace("http", "ws", 1) + "/websocket/progress?" + urlencode(query)
        async with connect(address, proxy=None) as socket:
            with pytest.raises(ConnectionClosed):
                pytest.fail(f"a refused socket got {await socket.recv()!r}")
            return socket.close_code, socket.close_reason


@asynccontextmanager
async def live(settings: Settings) -> AsyncIterator[LiveNode]:
    """Serve a node as its own server does, until the end."""
    app = create_app(settings)
    runner = NodeRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await PacedSite(runner, await bound("127.0.0.1", 0)).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(url) as http:
            yield LiveNode(app, url, http, runner.door)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def live_when_ready(settings: Settings) -> AsyncIterator[LiveNode]:
    """The same, once it is ready."""
    async with live(settings) as node:

        async def is_ready() -> bool:
            return (await node.get("/readyz"))[0] == 200

        await eventually(is_ready)
        yield node


Start = Callable[..., Awaitable[LiveNode]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start nodes: `await start(amqp_url=…, max_connections=2)`; the embedded broker by default.

    `ready=False` returns before the node is ready.
    """
    async with AsyncExitStack() as stack:

        async def started(*, ready: bool = True, **settings: Any) -> LiveNode:
            given = Settings(**({"publish_token": TOKEN} | settings))
            opened = live_when_ready(given) if ready else live(given)
            return await stack.enter_async_context(opened)

        yield started


@pytest.fixture
async def node(broker_url: str | None, start: Start) -> LiveNode:
    """A node on the embedded broker, then on RabbitMQ."""
    return await start(amqp_url=broker_url)


@pytest.fixture
async def lone(start: Start) -> LiveNode:
    """A node on the embedded broker, where what carries the messages makes no difference."""
    return await start()


async def say(browser: Tab, type_: str, **fields: object) -> None:
    """Send a frame."""
    await browser.socket.send(json.dumps({"type": type_, **fields}))


async def answer(browser: Tab, type_: str, **fields: object) -> dict[str, Any]:
    """Send a frame; the next frame that comes."""
    await say(browser, type_, **fields)
    return await browser.frame()


async def still_serves(browser: Tab) -> bool:
    """Whether the socket is open and nothing unexpected waits in it."""
    return (await answer(browser, "ping"))["type"] == "pong"
