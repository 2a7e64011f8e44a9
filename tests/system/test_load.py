"""Five thousand browsers on one node."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from deploy.local import Node
from progress_ws import Publisher
from tests.support.files import allow_files
from tests.support.metrics import metric
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

BROWSERS = 5_000
SPARE_FILES = 500
AT_ONCE = 100


@pytest.fixture
def many_files() -> None:
    """Allow this process, and the node that it will start, as many open files as it takes."""
    allow_files(BROWSERS + SPARE_FILES)


@pytest.mark.usefixtures("many_files")
async def test_each_of_five_thousand_browsers_hears_its_own_message(
    amqp_url: str, node_process: Callable[..., Node]
) -> None:
    node = node_process(amqp_url=amqp_url, drain_seconds=5)
    at_once = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack, Publisher(amqp_url) as publisher:

        async def open_tab() -> Tab:
            async with at_once:
                return await stack.enter_async_context(tab(node.url))

        tabs = await asyncio.gather(*(open_tab() for _ in range(BROWSERS)))
        assert len({browser.sid for browser in tabs}) == BROWSERS
        assert metric(node, "connections") == BROWSERS
        for browser in tabs:
            publisher.post(browser.sid, f"for {browser.sid}")
        for browser in tabs:
            assert (await browser.frame())["message"] == f"for {browser.sid}"
        node.terminate()
        codes = await asyncio.gather(*map(Tab.close_code, tabs))
        assert set(codes) == {1012}
    await eventually(lambda: node.returncode == 0)
