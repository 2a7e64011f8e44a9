"""A tab lies behind another one for long, is frozen there, and is shown again.

The browser is one that hides a tab for real: it paints nothing, its timers come once a second, and
a frozen one (what browsers do to tabs after minutes) runs no code at all.
"""

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Judge, Work
from tests.browser.judge import seconds
from tests.browser.screen import Screen
from tests.browser.site import Site
from tests.browser.worker import Worker
from tests.support.chromium import Drawer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker, pytest.mark.slow]

#: From the moment a tab is shown until it shows what is so now.
AT_ONCE_S = 2
#: The same if it first has to find out that its connection is dead.
NOTICED_S = 8
MINUTES_S = 130


@pytest.fixture
async def proxy(site: Site) -> AsyncIterator[Proxy]:
    async with Proxy(site.nginx.port) as proxy:
        yield proxy


@pytest.fixture
async def screen(tabs: "BrowserContext", proxy: Proxy, sid: str) -> Screen:
    return await Screen.open(tabs, f"http://127.0.0.1:{proxy.port}", sid=sid)


async def comes_back(
    screen: Screen, drawer: Drawer, worker: Worker, judged: Judge, *, within_s: float
) -> None:
    """Show the tab: it is connected again in time, and sees its job to the end."""
    shown = await drawer.show()
    back = await screen.since(shown, "client", type="welcome")
    assert seconds(shown, back) < within_s
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker], back_s=seconds(shown, back))


async def shows_the_end(screen: Screen, drawer: Drawer, worker: Worker, judged: Judge) -> None:
    """Let the job end, and show the tab: it shows that at once."""
    worker.terminate()
    worker.wait_end()
    shown = await drawer.show()
    done = await screen.since(shown, "screen", state="done")
    assert seconds(shown, done) < AT_ONCE_S
    await judged([screen], [worker], shown_s=seconds(shown, done))


async def test_a_frozen_tab_shows_at_once_what_it_missed(
    screen: Screen, site: Site, work: Work, judged: Judge, sid: str
) -> None:
    drawer, worker = Drawer(screen.page), work(site.amqp_url, sid)
    await screen.shows("running")
    await drawer.freeze()
    await worker.says(40)
    await shows_the_end(screen, drawer, worker, judged)


async def test_a_frozen_tab_whose_node_died_comes_back_at_once(
    screen: Screen, site: Site, work: Work, judged: Judge, sid: str
) -> None:
    drawer, worker = Drawer(screen.page), work(site.amqp_url, sid)
    await screen.shows("running")
    node = site.node((await screen.is_open())["node"])
    await drawer.freeze()
    node.kill()
    await worker.says(40)
    await comes_back(screen, drawer, worker, judged, within_s=AT_ONCE_S)


async def test_a_frozen_tab_notices_within_seconds_that_its_connection_is_dead(
    screen: Screen, proxy: Proxy, site: Site, work: Work, judged: Judge, sid: str
) -> None:
    """Nobody tells it, as after a night in a bag."""
    drawer, worker = Drawer(screen.page), work(site.amqp_url, sid)
    await screen.shows("running")
    await drawer.freeze()
    proxy.forget()
    await worker.says(40)
    await comes_back(screen, drawer, worker, judged, within_s=NOTICED_S)


async def test_a_hidden_tab_that_waits_comes_back_when_it_is_shown(
    screen: Screen, proxy: Proxy, site: Site, work: Work, judged: Judge, sid: str
) -> None:
    drawer, worker = Drawer(screen.page), work(site.amqp_url, sid)
    await screen.shows("running")
    await drawer.hide()
    await proxy.refuse()

    async def waits_long() -> bool:
        return bool((await screen.told("state"))[-1].get("wait_s", 0) > AT_ONCE_S)

    await eventually(waits_long, 60, what="a long wait")
    await proxy.listen()
    await comes_back(screen, drawer, worker, judged, within_s=AT_ONCE_S)


@pytest.mark.timeout(300)
async def test_a_tab_is_hidden_for_minutes(
    screen: Screen, site: Site, work: Work, judged: Judge, sid: str
) -> None:
    drawer, worker = Drawer(screen.page), work(site.amqp_url, sid)
    await screen.shows("running")
    await drawer.hide()
    hidden = time.monotonic()
    await eventually(lambda: time.monotonic() > hidden + MINUTES_S, MINUTES_S + 60)
    await shows_the_end(screen, drawer, worker, judged)
