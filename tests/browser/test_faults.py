"""What a person sees while nodes, the broker and the network go away and come back."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import RabbitMQ
from tests.browser.conftest import Judge, Work
from tests.browser.judge import seconds
from tests.browser.screen import Screen
from tests.browser.site import Site, standing
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker, pytest.mark.slow]

#: A node that was killed is missed at once; then there is half a second of chance to wait.
BACK_S = 10


@pytest.mark.parametrize("page", ["live.html", "plain.html"])
async def test_the_node_under_a_page_is_killed(
    page: str, context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, page, sid=sid)
    worker = work(site.amqp_url, sid)
    await screen.shows("running")
    node = site.node((await screen.is_open())["node"])
    killed = time.monotonic()
    node.kill()
    back = await screen.since(killed, "client", type="welcome", within_s=BACK_S)
    assert back.what["detail"]["node"] != node.name
    attached = (await screen.told("followed")) or (await screen.told("welcome"))
    assert attached[-1]["recovered"] is True
    news = await screen.since(back.at, "screen", state="running")
    await worker.says(20)
    await screen.shows("running")
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker], back_s=seconds(killed, back), shown_s=seconds(killed, news))


async def test_all_nodes_are_restarted_in_turn(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid)
    await screen.shows("running")
    for node in site.nodes:
        node.terminate()
        await asyncio.to_thread(node.wait_end)
        node.start()
        await asyncio.to_thread(node.wait_ready)
        await screen.is_open()
        await screen.since(time.monotonic(), "screen", state="running")
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker])


@pytest.fixture
def own_site(session_folder: Path, own_rabbitmq: RabbitMQ) -> Iterator[Site]:
    with standing(session_folder, own_rabbitmq.amqp_url()) as site:
        yield site


async def test_the_broker_is_restarted(
    context: "BrowserContext",
    own_site: Site,
    own_rabbitmq: RabbitMQ,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    screen = await Screen.open(context, own_site.url, sid=sid)
    worker = work(own_site.amqp_url, sid)
    await screen.shows("running")
    await worker.says(20)
    await asyncio.to_thread(own_rabbitmq.kill)
    own_rabbitmq.start()
    await asyncio.to_thread(own_rabbitmq.wait_ready)
    healed = time.monotonic()
    news = await screen.since(healed, "screen", state="running", within_s=60)
    await worker.says(20)
    worker.terminate()
    await screen.shows("done", within_s=60)
    assert [detail["state"] for detail in await screen.told("state")] == ["connecting", "open"]
    await judged([screen], [worker], shown_s=seconds(healed, news))


async def test_a_connection_is_cut(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    async with Proxy(site.nginx.port) as proxy:
        screen = await Screen.open(context, f"http://127.0.0.1:{proxy.port}", sid=sid)
        worker = work(site.amqp_url, sid)
        for _ in range(3):
            await worker.says(10)
            cut = time.monotonic()
            proxy.reset()
            back = await screen.since(cut, "client", type="welcome", within_s=BACK_S)
        worker.terminate()
        await screen.shows("done")
        await judged([screen], [worker], back_s=seconds(cut, back))


async def test_the_network_goes_without_a_word_and_comes_back(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    """As with a wireless network that is left: the old connection is dead, and nobody says so."""
    async with Proxy(site.nginx.port) as proxy:
        screen = await Screen.open(context, f"http://127.0.0.1:{proxy.port}", sid=sid)
        worker = work(site.amqp_url, sid)
        before = await screen.shows("running", also=lambda seen: seen["position"] > 0.02)
        proxy.forget()
        await context.set_offline(True)
        await screen.shows("running")  # what was known stays
        await worker.says(20)
        online = time.monotonic()
        await context.set_offline(False)
        back = await screen.since(online, "client", type="welcome", within_s=BACK_S)
        news = await screen.since(back.at, "screen", state="running")
        assert news.what["position"] > before.what["position"]
        worker.terminate()
        await screen.shows("done")
        await judged([screen], [worker], back_s=seconds(online, back))
