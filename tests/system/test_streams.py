"""Browsers without WebSocket, through `deploy/nginx.conf` and a cluster without any stickiness."""

import asyncio
import gzip
import json
import urllib.error
import urllib.request
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local import Node
from progress_ws import Publisher, new_sid
from tests.support.events import Events, events
from tests.support.waiting import eventually
from tests.system.conftest import Cluster

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.nginx, pytest.mark.broker]

LAST = "the last one"


def fetch(url: str, **headers: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as found:
        return found.read(), found.headers


async def test_a_message_arrives_while_the_stream_stays_open(cluster: Cluster) -> None:
    async with (
        Publisher(cluster.amqp_url) as publisher,
        events(cluster.nginx.url) as browser,
    ):
        sid = (await browser.frame())["sid"]
        assert "Content-Length" not in browser.answer.headers
        for n in range(5):
            await publisher.send(sid, n)
            assert (await browser.frame())["message"] == n


async def test_a_stream_goes_on_at_whatever_node_it_comes_to(cluster: Cluster) -> None:
    """The URL knows no sid: all that a browser brings along is its position."""
    seen, nodes, last_id = [], set(), ""
    async with Publisher(cluster.amqp_url) as publisher:
        async with events(cluster.nginx.url) as browser:
            sid = (await browser.frame())["sid"]
            last_id = browser.last_id
        for n in range(9):
            await publisher.send(sid, n)
            async with events(cluster.nginx.url, last_id=last_id) as browser:
                nodes.add((await browser.frame())["node"])
                seen.append((await browser.frame())["message"])
                last_id = browser.last_id
    assert seen == list(range(9))
    assert nodes == {"a", "b", "c"}


@pytest.mark.slow
async def test_polling_goes_from_node_to_node(cluster: Cluster) -> None:
    sid, after, seen = new_sid(), "", []
    async with Publisher(cluster.amqp_url) as publisher:
        for n in range(9):
            await publisher.send(sid, n)

            async def polled() -> bool:
                nonlocal after
                url = f"{cluster.nginx.url}/api/v1/sessions/{sid}/messages?after={after}"
                answer = json.loads((await asyncio.to_thread(fetch, url))[0])
                after = answer["after"]
                seen.extend(frame["message"] for frame in answer["messages"])
                return bool(answer["messages"])

            await eventually(polled)
    assert seen == list(range(9))


def test_scripts_are_packed_and_asked_for_again_in_a_few_bytes(cluster: Cluster) -> None:
    url = f"{cluster.nginx.url}/client/progress-ws.js"
    plain, _ = fetch(url)
    packed, headers = fetch(url, **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed) == plain
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        fetch(url, **{"Accept-Encoding": "gzip", "If-None-Match": headers["ETag"]})
    unchanged.value.close()
    assert unchanged.value.code == 304


async def last_words(browser: Events) -> list[Any]:
    return [frame["message"] for frame in await browser.end()]


async def test_a_node_that_drains_sends_its_streams_to_the_others(
    cluster: Cluster,
) -> None:
    """Through nginx, too, they end one by one, each with a position that goes on elsewhere."""
    node: Node = cluster.nodes[0]
    sid = new_sid()
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher(cluster.amqp_url))
        browsers = [
            await stack.enter_async_context(events(cluster.nginx.url, [("sid", sid)]))
            for _ in range(9)
        ]
        names = [(await browser.frame())["node"] for browser in browsers]
        mine = [b for b, name in zip(browsers, names, strict=True) if name == node.name]
        assert len(mine) == 3
        await publisher.send(sid, 1)
        for browser in browsers:
            assert (await browser.frame())["message"] == 1
        node.terminate()
        for browser in mine:
            assert await last_words(browser) == []
            assert browser.retry_ms is not None
            assert browser.retry_ms <= 1_000
            async with events(cluster.nginx.url, [("sid", sid)], last_id=browser.last_id) as again:
                welcome = await again.frame()
                assert welcome["node"] != node.name
                assert welcome["recovered"] is True
        await publisher.send(sid, LAST)
        for browser, name in zip(browsers, names, strict=True):
            if name != node.name:
                assert await browser.values_until(LAST) == []
    await eventually(lambda: not node.alive)
    node.start()
    await asyncio.to_thread(node.wait_ready)


EVENT_SOURCE = """() => {
  globalThis.frames_ = [];
  const source = new EventSource("/sse/progress");
  source.onmessage = ({ data }) => frames_.push(JSON.parse(data));
}"""


@pytest.mark.slow
@pytest.mark.browser
async def test_a_browsers_own_event_source_needs_no_script_to_come_back(
    cluster: Cluster, chromium: "Browser"
) -> None:
    """Its node is drained, the next one killed: it comes to its session, and misses nothing."""
    page = await chromium.new_page()
    await page.goto(f"{cluster.nginx.url}/client/progress-ws.js")
    await page.evaluate(EVENT_SOURCE)

    async def frames(kind: str) -> list[dict[str, Any]]:
        return [f for f in await page.evaluate("frames_") if f["type"] == kind]

    async def has_welcomes(count: int) -> bool:
        return len(await frames("welcome")) == count

    await eventually(lambda: has_welcomes(1))
    sid = (await frames("welcome"))[0]["sid"]
    sent = 0
    async with Publisher(cluster.amqp_url) as publisher:
        for end in (Node.terminate, Node.kill):
            name = (await frames("welcome"))[-1]["node"]
            node = next(node for node in cluster.nodes if node.name == name)
            count = len(await frames("welcome"))
            end(node)
            for _ in range(5):
                await publisher.send(sid, sent)
                sent += 1
            await eventually(lambda count=count: has_welcomes(count + 1), 20)  # type: ignore[misc]
            await eventually(lambda node=node: not node.alive)  # type: ignore[misc]
            node.start()
            await asyncio.to_thread(node.wait_ready)
        await publisher.send(sid, LAST)

        async def is_complete() -> bool:
            return [f["message"] for f in await frames("message")] == [*range(sent), LAST]

        await eventually(is_complete)
    welcomes = await frames("welcome")
    assert {welcome["sid"] for welcome in welcomes} == {sid}
    assert all(welcome.get("recovered") is not False for welcome in welcomes)
