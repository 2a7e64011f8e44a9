"""The article's failure and its cure: a session on one node, its report from another.

With one server it works. With two, each keeping the sessions in its own memory, it works half of
the time; sticky sessions hide it until the report comes from a worker, or from wherever the
balancer sent that request. Here every browser hears every publisher, wherever both of them are.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from deploy.local import Node
from progress_ws import Publisher, new_sid
from tests.support.tab import tab
from tests.system.conftest import TOKEN, Cluster

pytestmark = [pytest.mark.broker, pytest.mark.nginx]

PUBLISHERS = ["HTTP to a", "HTTP to b", "HTTP to c", "worker", "management UI"]
COUNT = 30
LAST = "the last one"

Send = Callable[[str, object], Awaitable[object]]


@asynccontextmanager
async def publisher(cluster: Cluster, way: str) -> AsyncIterator[Send]:
    """A function `send(sid, value)` for one of the ways that lead to RabbitMQ."""
    if way == "management UI":
        yield lambda sid, value: type_into_form(cluster, sid, value)
        return
    urls = {f"HTTP to {node.name}": node.url for node in cluster.nodes}
    url, token = (urls[way], TOKEN) if way in urls else (cluster.amqp_url, None)
    async with Publisher(url, token=token) as opened:
        yield opened.send


async def type_into_form(cluster: Cluster, sid: str, value: object) -> None:
    """Publish the two required fields, as a person does by hand."""
    payload = json.dumps({"sid": sid, "message": value})
    publish = cluster.rabbitmq.management.publish
    assert await asyncio.to_thread(publish, cluster.vhost, "progress-ws", payload)


@pytest.mark.parametrize("way", PUBLISHERS)
@pytest.mark.parametrize("at", range(3), ids="abc")
async def test_every_browser_hears_every_publisher(cluster: Cluster, at: int, way: str) -> None:
    async with cluster.tab_on(cluster.nodes[at]) as browser, publisher(cluster, way) as send:
        for number in range(COUNT):
            await send(browser.sid, number)
        await send(browser.sid, LAST)
        assert await browser.values_until(LAST) == list(range(COUNT))


async def test_all_of_them_at_once(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(cluster.tab_on(node)) for node in cluster.nodes]
        sends = [await stack.enter_async_context(publisher(cluster, way)) for way in PUBLISHERS]

        async def report(way: str, send: Send) -> None:
            for number in range(COUNT):
                for browser in tabs:
                    await send(browser.sid, [way, number])

        await asyncio.gather(*map(report, PUBLISHERS, sends))
        for browser in tabs:
            await sends[0](browser.sid, LAST)
            values = await browser.values_until(LAST)
            # Between publishers there is no order to keep; each one's own is kept.
            by_way = sorted(values, key=lambda value: PUBLISHERS.index(value[0]))
            assert by_way == [[way, number] for way in PUBLISHERS for number in range(COUNT)]


async def test_tabs_of_one_session_on_different_nodes_all_hear_it(cluster: Cluster) -> None:
    sid = new_sid()
    async with AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(cluster.tab_on(node, sid=sid)) for node in cluster.nodes
        ]
        send = await stack.enter_async_context(publisher(cluster, "worker"))
        for number in range(COUNT):
            await send(sid, number)
        await send(sid, LAST)
        for browser in tabs:
            assert await browser.values_until(LAST) == list(range(COUNT))


async def test_a_browser_hears_only_its_own_session(cluster: Cluster) -> None:
    async with (
        tab(cluster.nginx.url) as mine,
        tab(cluster.nginx.url) as other,
        publisher(cluster, "worker") as send,
    ):
        for number in range(COUNT):
            await send(other.sid, number)
        await send(mine.sid, LAST)
        assert await mine.values_until(LAST) == []


async def test_round_robin_spreads_the_tabs_of_one_session(cluster: Cluster) -> None:
    sid = new_sid()
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(cluster.nginx.url, sid=sid)) for _ in range(6)]
        assert sorted(browser.node for browser in tabs) == ["a", "a", "b", "b", "c", "c"]


async def send_over_http(node: Node, sid: str, value: object) -> None:
    async with Publisher(node.url, token=TOKEN) as opened:
        await opened.send(sid, value)


@pytest.mark.parametrize("joined", [False, True], ids=["each on its own", "over RabbitMQ"])
async def test_the_failure_and_its_cure(
    joined: bool, amqp_url: str, node_process: Callable[..., Node]
) -> None:
    url = amqp_url if joined else None
    a, b = (node_process(node=name, amqp_url=url, publish_token=TOKEN) for name in "ab")
    async with tab(a.url) as browser:
        await send_over_http(b, browser.sid, "from b")
        await send_over_http(a, browser.sid, LAST)
        assert await browser.values_until(LAST) == (["from b"] if joined else [])
