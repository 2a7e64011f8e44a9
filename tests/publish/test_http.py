"""A publisher over a node's HTTP API, when the node answers this and that."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from deploy.local import free_port
from progress_ws import InvalidMessage, Publisher, PublishError, new_sid
from progress_ws.node.settings import Settings
from progress_ws.publish import http
from tests.node.conftest import TOKEN, live_when_ready
from tests.support.server import connected, serving
from tests.support.waiting import eventually

SID = new_sid()

Answer = Callable[[list[dict[str, Any]]], web.Response]


class Node:
    """A node's publish endpoint with the answers of a test."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.headers: list[Any] = []
        self.answers: list[Answer] = []
        self.open = 0
        self.most_at_once = 0
        self.url = ""
        self.count = 0

    async def post_messages(self, request: web.Request) -> web.Response:
        members = json.loads(await request.read())
        self.open += 1
        self.most_at_once = max(self.open, self.most_at_once)
        self.requests.append(members)
        self.headers.append(request.headers)
        await asyncio.sleep(0)
        self.open -= 1
        return self.answers.pop(0)(members) if self.answers else self.accept(members)

    def accept(self, members: list[dict[str, Any]]) -> web.Response:
        ids = [f"node-{self.count + n}" for n in range(1, len(members) + 1)]
        self.count += len(members)
        return web.json_response({"ids": ids, "cancel": []}, status=202)

    @property
    def values(self) -> list[list[Any]]:
        return [[member["message"] for member in members] for members in self.requests]


def problem(status: int, detail: str = "for a reason") -> Answer:
    body = json.dumps({"title": "A problem", "status": status, "detail": detail})
    return lambda _: web.Response(status=status, text=body, content_type="application/problem+json")


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    app = web.Application(client_max_size=2**24)
    app.add_routes([web.post("/api/v1/messages", node.post_messages)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield node
    await runner.cleanup()


@pytest.fixture
async def publisher(node: Node) -> AsyncIterator[Publisher]:
    async with Publisher(node.url, token=TOKEN) as publisher:
        yield publisher


# -- what is asked ------------------------------------------------------------------------------


async def test_a_request_is_what_the_contract_says(node: Node, publisher: Publisher) -> None:
    id_ = await publisher.send(SID, {"rows": 1}, key="k", run="r", final=True, stall_s=5.0)
    ((member,),) = node.requests
    assert member.pop("dedupe")
    member.pop("ts", None)
    assert member == {
        "sid": SID,
        "message": {"rows": 1},
        "key": "k",
        "run": "r",
        "final": True,
        "stall_s": 5.0,
    }
    assert node.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    assert node.headers[0]["Content-Type"] == "application/json"
    assert id_ == "node-1"


@pytest.mark.parametrize("end", ["", "/"])
async def test_a_slash_at_the_end_of_the_address_does_not_matter(node: Node, end: str) -> None:
    async with Publisher(node.url + end, token=TOKEN) as publisher:
        assert await publisher.send(SID, 1)


async def test_requests_go_one_after_the_other_and_gather_what_waits(
    node: Node, publisher: Publisher
) -> None:
    await asyncio.gather(*(publisher.send(SID, n) for n in range(2000)))
    assert [value for values in node.values for value in values] == list(range(2000))
    assert node.most_at_once == 1
    assert len(node.requests) < 20


async def test_a_request_holds_at_most_a_thousand(node: Node, publisher: Publisher) -> None:
    for n in range(5000):
        publisher.post(SID, n)
    await publisher.send(SID, "last")
    assert max(map(len, node.requests)) <= 1000


async def test_every_message_has_a_name_of_its_own_for_repetitions(
    node: Node, publisher: Publisher
) -> None:
    await asyncio.gather(*(publisher.send(SID, n) for n in range(100)))
    names = [member["dedupe"] for members in node.requests for member in members]
    assert len(set(names)) == 100
    assert all(1 <= len(name) <= 64 for name in names)


async def test_the_callers_own_name_for_repetitions_is_kept(
    node: Node, publisher: Publisher
) -> None:
    await publisher.send(SID, 1, dedupe="job-7-done")
    assert node.requests[0][0]["dedupe"] == "job-7-done"


# -- try again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again_under_the_same_name(
    status: int, node: Node, publisher: Publisher
) -> None:
    node.answers = [problem(status), problem(status)]
    assert await publisher.send(SID, "a") == "node-1"
    first, second, third = node.requests
    assert first == second == third


async def test_a_connection_that_breaks_is_no_answer(node: Node, publisher: Publisher) -> None:
    def cut(_: list[dict[str, Any]]) -> web.Response:
        raise ConnectionResetError

    node.answers = [cut]
    assert await publisher.send(SID, "a") == "node-1"
    assert node.requests[0] == node.requests[1]


async def test_order_is_kept_through_repetitions(node: Node, publisher: Publisher) -> None:
    node.answers = [problem(503)]
    await asyncio.gather(*(publisher.send(SID, n) for n in range(200)))
    accepted = [value for values in node.values[1:] for value in values]
    assert accepted == list(range(200))


async def told(publisher: Publisher, word: str, *, timeout_s: float = 0.3) -> str:
    """What a send is told that comes to its deadline when this is known; soon, on any machine."""

    async def what() -> str:
        with pytest.raises(PublishError) as refusal:
            await publisher.send(SID, "a", timeout_s=timeout_s)
        said = str(refusal.value)
        return said if word in said else ""

    return await eventually(what)


async def test_a_deadline_says_what_the_node_said(node: Node, publisher: Publisher) -> None:
    node.answers = [problem(503, "the broker does not answer")] * 1000
    assert "the broker does not answer" in await told(publisher, "503")


async def test_a_page_of_a_proxy_is_no_riddle(node: Node, publisher: Publisher) -> None:
    def page(_: list[dict[str, Any]]) -> web.Response:
        return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")

    node.answers = [page] * 1000
    assert "html" not in await told(publisher, "502")


@pytest.mark.parametrize(
    "text",
    ["", "<html>hello</html>", "[]", "{}", '{"ids": 5}', '{"ids": []}', '{"ids": ["a", "b"]}'],
)
async def test_a_202_that_is_none_of_ours_is_no_confirm(
    text: str, node: Node, publisher: Publisher
) -> None:
    """A captive portal, say. The publisher goes on."""

    def strange(_: list[dict[str, Any]]) -> web.Response:
        return web.Response(status=202, text=text)

    node.answers = [strange]
    assert await publisher.send(SID, "a") == "node-1"
    assert await publisher.send(SID, "b") == "node-2"


async def test_a_node_that_comes_later(publisher: Publisher) -> None:
    port = free_port()
    async with Publisher(f"http://127.0.0.1:{port}", token=TOKEN) as early:
        early.post(SID, "posted")
        assert await told(early, str(port))
        settings = Settings(publish_token=TOKEN)
        async with live_when_ready(settings) as node, node.tab() as browser:
            own = int(node.url.rpartition(":")[2])
            async with serving(lambda r, w: forward(r, w, own), port=port):
                await early.send(browser.sid, "b")
                assert (await browser.frame())["message"] == "b"


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass one connection on to another port."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            target.write(chunk)
        target.close()

    async with connected(port) as (their_reader, their_writer):
        await asyncio.gather(pump(reader, their_writer), pump(their_reader, writer))


async def test_who_is_not_there_is_told_without_riddles(unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    async with Publisher(f"http://{address}", token=TOKEN) as publisher:
        assert (await told(publisher, address)).endswith(f": nobody listens at {address}")
        await publisher.close(timeout_s=0)


async def test_a_node_that_never_answers_is_no_end(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_TIMEOUT_S", 0.2)
    calls = 0

    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    async with serving(silent) as port:
        async with Publisher(f"http://127.0.0.1:{port}", token=TOKEN) as publisher:
            assert await told(publisher, "may still arrive", timeout_s=0.1)
            publisher.post(SID, "posted")
            await eventually(lambda: calls >= 3, what="it tries again")
            assert await publisher.close(timeout_s=0.1) == 1


async def test_an_end_in_the_moment_in_which_a_request_is_given_up_is_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a machine that slept meanwhile: all that was to come, comes at once."""
    monkeypatch.setattr(http, "REQUEST_TIMEOUT_S", 0.2)
    asked = asyncio.Event()

    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with serving(silent) as port:
        publisher = Publisher(f"http://127.0.0.1:{port}", token=TOKEN)
        publisher.start()
        publisher.post(SID, "posted")
        await asked.wait()
        ending = asyncio.create_task(publisher.close(timeout_s=0.1))
        await asyncio.sleep(0)
        time.sleep(0.3)
        done, _ = await asyncio.wait([ending], timeout=5)
        assert done
        assert await ending == 1


# -- refused for good ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_token_or_address_is_told_at_once(
    status: int, node: Node, publisher: Publisher
) -> None:
    node.answers = [problem(status, "send the header Authorization")] * 1000
    with pytest.raises(PublishError, match=f"{status}.*send the header"):
        async with asyncio.timeout(3):
            await publisher.send(SID, "a", timeout_s=30)


async def test_an_address_that_has_moved_is_told_with_the_new_one(
    node: Node, publisher: Publisher
) -> None:
    """As from http to https; a POST that follows it arrives as a GET."""
    new = "https://node/api/v1/messages"
    node.answers = [lambda _: web.Response(status=301, headers={"Location": new})] * 1000
    with pytest.raises(PublishError, match=f"301.*{new}"):
        async with asyncio.timeout(3):
            await publisher.send(SID, "a", timeout_s=30)


async def refusal_in_time(publisher: Publisher) -> str:
    """What a send of a publisher is told; neither it nor the end keep anybody waiting."""
    async with asyncio.timeout(4), publisher:
        with pytest.raises(PublishError) as refusal:
            await publisher.send(SID, "a", timeout_s=30)
    return str(refusal.value)


async def test_a_wrong_token_at_a_real_node() -> None:
    async with live_when_ready(Settings(publish_token=TOKEN)) as node:
        said = await refusal_in_time(Publisher(node.url, token="another-token"))
    assert "401" in said
    assert "another-token" not in said


async def test_a_node_without_a_token_says_which_setting_it_lacks() -> None:
    async with live_when_ready(Settings()) as node:
        said = await refusal_in_time(Publisher(node.url, token=TOKEN))
    assert "PROGRESS_WS_PUBLISH_TOKEN" in said


@pytest.mark.parametrize("status", [400, 413])
async def test_only_the_message_that_a_node_refuses_fails(
    status: int, node: Node, publisher: Publisher
) -> None:
    def strict(members: list[dict[str, Any]]) -> web.Response:
        bad = any(member["message"] == "bad" for member in members)
        return problem(status, "message is too large")(members) if bad else node.accept(members)

    node.answers = [strict] * 1000
    values = ["a", "b", "bad", "c", "d"]
    outcomes = await asyncio.gather(
        *(publisher.send(SID, value) for value in values), return_exceptions=True
    )
    refused = outcomes.pop(2)
    assert isinstance(refused, InvalidMessage)
    assert "too large" in str(refused)
    assert outcomes == [f"node-{n}" for n in range(1, 5)]
    accepted = [v for values in node.values for v in values if "bad" not in values]
    assert accepted == ["a", "b", "c", "d"]


async def test_at_a_real_node_with_a_smaller_bound(publisher: Publisher) -> None:
    settings = Settings(publish_token=TOKEN, max_message_bytes=100)
    async with live_when_ready(settings) as node, Publisher(node.url, token=TOKEN) as publisher:
        values = ["x" * n for n in (1, 100, 101, 2)]
        outcomes = await asyncio.gather(
            *(publisher.send(SID, value) for value in values), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [str, str, InvalidMessage, str]


async def test_a_posted_message_that_is_refused_holds_up_nothing_and_is_told_once(
    node: Node, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    node.answers = [problem(413, "too large")] * 2
    async with asyncio.timeout(5):
        for _ in range(2):
            publisher.post(SID, "contents", key="report")
            assert await publisher.flush() == 0
        await publisher.send(SID, "good")
    (told,) = [record.getMessage() for record in caplog.records]
    assert "key 'report', is refused" in told
    assert "too large" in told
    assert "contents" not in told


# -- promises -----------------------------------------------------------------------------------


def short(members: list[dict[str, Any]], **more: Any) -> web.Response:
    """The answer of a node that takes promises of 10 s at the most; an older one says no number."""
    body = {"title": "Bad Request", "status": 400, "detail": "stall_s …", "field": "stall_s"} | more
    if all(member.get("stall_s", 0) <= more.get("max_stall_s", 0) for member in members):
        ids = [f"node-{n}" for n in range(1, len(members) + 1)]
        return web.json_response({"ids": ids, "cancel": []}, status=202)
    return web.json_response(body, status=400)


@pytest.mark.parametrize(("more", "promised"), [({"max_stall_s": 10}, 10), ({}, None)])
async def test_a_promise_is_as_long_as_a_node_takes_it(
    node: Node, publisher: Publisher, more: dict[str, float], promised: float | None
) -> None:
    node.answers = [lambda members: short(members, **more)] * 10
    await publisher.send(SID, 1, key="k", stall_s=15)
    await asyncio.gather(
        publisher.send(SID, 2, key="k", stall_s=15),
        publisher.send(SID, 3, key="l", stall_s=5),
        publisher.send(SID, 4),
    )
    tried, *taken = [[m.get("stall_s") for m in members] for members in node.requests]
    assert tried == [15]
    kept = 5 if promised else None
    assert [stall_s for stalls in taken for stall_s in stalls] == [promised, promised, kept, None]


async def test_a_promise_that_is_refused_however_short_is_told(
    node: Node, publisher: Publisher
) -> None:
    def never(_: list[dict[str, Any]]) -> web.Response:
        return short([{"stall_s": 1}])

    node.answers = [never] * 10
    with pytest.raises(InvalidMessage, match="stall_s"):
        await publisher.send(SID, 1, key="k", stall_s=15)


async def test_a_bar_at_a_real_node_with_a_short_history() -> None:
    settings = Settings(publish_token=TOKEN, history_seconds=10)
    async with live_when_ready(settings) as node, node.tab() as browser:
        async with Publisher(node.url, token=TOKEN) as publisher:
            async with publisher.progress(browser.sid, total=3):
                assert (await browser.frame())["message"]["state"] == "running"
            assert (await browser.frame())["message"]["state"] == "done"
