"""The browser client without WebSocket, in Node.js, against nodes that die and come back."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deploy.local import Node
from tests.support.waiting import eventually

HERE = Path(__file__).parent
TOKEN = "a-token-for-tests"
SID = "sid-of-a-job-without-sockets"
OTHER = "sid-of-another-such-job-0001"
TRANSPORTS = ["sse", "polling"]


class Watcher:
    """A client in a process of its own, and what it has told so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[tuple[str, Any]] = []

    async def read(self) -> None:
        """Take note of the events until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            type_, detail = json.loads(line)
            self.events.append((type_, detail))

    def call(self, method: str, *args: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *args]).encode() + b"\n")

    def details(self, event: str) -> list[Any]:
        return [detail for type_, detail in self.events if type_ == event]

    @property
    def messages(self) -> list[object]:
        return [detail["message"] for detail in self.details("message")]

    @property
    def states(self) -> list[str]:
        return [detail["state"] for detail in self.details("state")]

    async def gets(self, *messages: object, timeout_s: float = 15) -> None:
        """Wait until these messages, and no others, have arrived."""

        def got() -> bool:
            assert self.messages == list(messages)
            return True

        await eventually(got, timeout_s, what=f"messages {messages}")

    async def is_welcomed(self) -> dict[str, Any]:
        """Wait for the first welcome."""
        await eventually(lambda: self.details("welcome") != [], 15, what="a welcome")
        welcome: dict[str, Any] = self.details("welcome")[0]
        return welcome

    async def reaches(self, state: str, timeout_s: float = 15) -> None:
        await eventually(lambda: self.states[-1:] == [state], timeout_s, what=f"state {state}")


@asynccontextmanager
async def watching(root: str, transport: str | None, **options: object) -> AsyncIterator[Watcher]:
    """Run a client that may use this transport and no other; None: whatever works."""
    given = {"url": f"{root}/websocket/progress", "storage": None}
    if transport is not None:
        given["transports"] = [transport]
    program = shutil.which("node")
    assert program
    process = await asyncio.create_subprocess_exec(
        program,
        "watch.mjs",
        json.dumps(given | options),
        cwd=HERE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    watcher = Watcher(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.read())
        try:
            yield watcher
        finally:
            assert process.stdin is not None
            process.stdin.close()
            # A timer or a request that is left would keep it.
            async with asyncio.timeout(10):
                assert await process.wait() == 0


async def publish(node: Node, sid: str, *messages: object, **fields: object) -> None:
    body = [{"sid": sid, "message": message, **fields} for message in messages]
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{node.url}/api/v1/messages", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer,
    ):
        assert answer.status == 202, await answer.text()


@pytest.fixture
def node(node_process: Callable[..., Node]) -> Node:
    return node_process(publish_token=TOKEN)


@asynccontextmanager
async def gateway(node: Node, *, lets_through: tuple[str, ...]) -> AsyncIterator[str]:
    """Run a proxy that knows nothing of upgrades, and passes plain answers of some paths only."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            if not request.path.startswith(lets_through):
                return web.Response(status=502, text="Bad gateway")
            async with session.request(
                request.method, f"{node.url}{request.path_qs}", data=await request.read()
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                response.content_type = answer.content_type
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                return response

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port, *_ = runner.addresses[0]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


@pytest.mark.parametrize(
    ("lets_through", "transport"),
    [(("/sse/", "/api/"), "sse"), (("/api/",), "polling")],
)
@pytest.mark.slow
async def test_what_gets_through_a_gateway_is_found_within_seconds(
    node: Node, lets_through: tuple[str, ...], transport: str
) -> None:
    await publish(node, SID, "before")
    async with (
        gateway(node, lets_through=lets_through) as url,
        watching(url, None, sid=SID) as watcher,
    ):
        await watcher.gets("before", timeout_s=10)
        assert watcher.details("transport")[-1] == transport
        await publish(node, SID, "after")
        await watcher.gets("before", "after")


with_each = pytest.mark.parametrize("transport", TRANSPORTS)


@with_each
async def test_messages_come_once_and_in_order(node: Node, transport: str) -> None:
    await publish(node, SID, "before")
    async with watching(node.url, transport, sid=SID) as watcher:
        await watcher.is_welcomed()
        values = ["50 %", "", '"\\;;;\n\0\r\u2028', "进度 😀", 0, None, {"rows": [1, 2.5]}]
        for value in values:
            await publish(node, SID, value)
        await watcher.gets("before", *values)
        assert watcher.details("welcome")[0]["sid"] == SID
        assert set(watcher.details("transport")) == {transport}
        assert watcher.states == ["open"]


@with_each
@pytest.mark.slow
async def test_a_sid_is_minted_where_none_is_given(node: Node, transport: str) -> None:
    async with watching(node.url, transport) as watcher:
        welcome = await watcher.is_welcomed()
        await publish(node, welcome["sid"], "mine")
        await watcher.gets("mine")


@with_each
@pytest.mark.slow
async def test_sessions_are_followed_and_left(node: Node, transport: str) -> None:
    await publish(node, OTHER, "retained")
    async with watching(node.url, transport, sid="") as watcher:
        assert "sid" not in await watcher.is_welcomed()
        for sid in (SID, OTHER):
            watcher.call("follow", sid)
        await watcher.gets("retained")
        await eventually(lambda: len(watcher.details("followed")) == 2)
        await publish(node, SID, "one")
        await watcher.gets("retained", "one")
        watcher.call("unfollow", OTHER)
        await eventually(
            lambda: watcher.details("unfollowed") == [{"type": "unfollowed", "sid": OTHER}]
        )
        await publish(node, OTHER, "unheard")
        await publish(node, SID, "two")
        await watcher.gets("retained", "one", "two")
        watcher.call("follow", OTHER)
        await watcher.gets("retained", "one", "two", "retained", "unheard")
        assert watcher.states == ["open"]
        assert watcher.details("gap") == []


@with_each
@pytest.mark.slow
async def test_256_sessions_are_followed_at_once(node: Node, transport: str) -> None:
    sids = [f"sid-of-job-number-{number:04}" for number in range(256)]
    await publish(node, sids[0], "first")
    await publish(node, sids[-1], "last")
    async with watching(node.url, transport, sid="") as watcher:
        await watcher.is_welcomed()
        for sid in [*sids, SID]:
            watcher.call("follow", sid)
        await watcher.gets("first", "last")
        await eventually(lambda: len(watcher.details("followed")) == len(sids))
        (error,) = watcher.details("error")
        assert (error["code"], error["sid"]) == ("too_many_follows", SID)


@with_each
@pytest.mark.slow
async def test_after_the_node_died_it_goes_on_where_it_was(node: Node, transport: str) -> None:
    async with watching(node.url, transport, sid=SID) as watcher:
        await publish(node, SID, "one")
        await watcher.gets("one")
        node.kill()
        await watcher.reaches("waiting")
        node.start()
        node.wait_ready()
        await watcher.reaches("open", timeout_s=40)
        await publish(node, SID, "two")
        await watcher.gets("one", "two")
        # The embedded broker has died with the node: what it cannot know it says.
        assert watcher.details("welcome")[-1]["recovered"] is False


@with_each
@pytest.mark.slow
async def test_a_drained_node_sends_it_away(node: Node, transport: str) -> None:
    async with watching(node.url, transport, sid=SID) as watcher:
        await watcher.is_welcomed()
        node.terminate()
        await watcher.reaches("waiting")


@with_each
@pytest.mark.slow
async def test_nobody_listens_to_a_cancel(node: Node, transport: str) -> None:
    async with watching(node.url, transport, sid=SID) as watcher:
        await watcher.is_welcomed()
        watcher.call("cancel", "report")
        await eventually(lambda: len(watcher.details("error")) == 1)
        (error,) = watcher.details("error")
        assert (error["code"], error["sid"], error["key"]) == ("nobody_listens", SID, "report")
        assert watcher.details("result") == [True]


@with_each
@pytest.mark.slow
async def test_silence_is_told(node: Node, transport: str) -> None:
    async with watching(node.url, transport, sid=SID) as watcher:
        await watcher.is_welcomed()
        await publish(node, SID, "news", key="report", stall_s=1)
        await eventually(lambda: len(watcher.details("stalled")) >= 1, 20)
        await publish(node, SID, "again", key="report", final=True)
        await watcher.gets("news", "again")
        stalled = watcher.details("stalled")
        assert [frame["key"] for frame in stalled] == ["report"]


@with_each
@pytest.mark.slow
async def test_a_refusal_for_good_is_told(node: Node, transport: str) -> None:
    url = f"{node.url}/websocket/progress?after=of%20no%20form"
    async with watching(node.url, transport, sid=SID, url=url) as watcher:
        await watcher.reaches("closed")
        await eventually(lambda: len(watcher.details("error")) == 1)
        (error,) = watcher.details("error")
        assert error["code"] == 4400
        assert error["detail"]
