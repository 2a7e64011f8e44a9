"""`PROGRESS_WS_WORKERS`: several processes on one port, each a node of its own."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from deploy.local import Node
from progress_ws import Publisher
from tests.support.metrics import metric
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

Start = Callable[..., Node]

TABS = 40


@pytest.fixture
def node(amqp_url: str, node_process: Start) -> Node:
    """Two workers, each ready."""
    return node_process(node="w", workers=2, amqp_url=amqp_url)


async def test_they_share_the_port_and_hear_the_same(node: Node, amqp_url: str) -> None:
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(node.url)) for _ in range(TABS)]
        assert {browser.node for browser in tabs} == {"w-1", "w-2"}
        publisher = await stack.enter_async_context(Publisher(amqp_url))
        for browser in tabs:
            await publisher.send(browser.sid, f"for {browser.sid}")
        for browser in tabs:
            assert (await browser.frame())["message"] == f"for {browser.sid}"


async def test_whichever_is_asked_answers_for_all(node: Node) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(TABS):
            await stack.enter_async_context(tab(node.url))
        for _ in range(10):
            each = [metric(node, "connections", node=name) for name in ("w-1", "w-2")]
            assert sum(each) == TABS
            assert all(each)


async def test_they_end_together(node: Node) -> None:
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(node.url)) for _ in range(TABS)]
        node.terminate()
        codes = await asyncio.gather(*map(Tab.close_code, tabs))
        assert set(codes) == {1012}
    node.wait_end()
    assert node.returncode == 0
    await eventually(lambda: not node.group_alive)
