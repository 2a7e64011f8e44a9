"""A job is watched by reloading tabs, by two tabs, by tabs that were away."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Judge, Work
from tests.browser.judge import seconds
from tests.browser.screen import Screen
from tests.browser.site import Site

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

#: From the first line of a document's script until it shows where the job is.
AT_ONCE_S = 2

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker]


async def test_a_reload_in_mid_job_shows_at_once_where_it_is(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid)
    before = await screen.shows("running", also=lambda seen: seen["position"] > 0.1)
    for _ in range(3):
        await screen.page.reload()
        reloaded = await screen.since(before.at, "document", shows="/pages/live.html")
        first = await screen.since(
            reloaded.at, "screen", state="running", also=lambda seen: (seen["position"] or -1) >= 0
        )
        for note in screen.notes:  # nor was it anywhere else between
            if note.kind == "screen" and note.at > reloaded.at and (note.what["position"] or 0) > 0:
                assert note.what["position"] >= before.what["position"]
        assert seconds(reloaded.at, first) < AT_ONCE_S
        before = first
    worker.terminate()
    await screen.shows("done", also=lambda seen: seen["position"] == 1)
    await judged([screen], [worker])


@pytest.mark.slow
async def test_two_tabs_show_the_same(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    worker = work(site.amqp_url, sid)
    first = await Screen.open(context, site.url, sid=sid)
    await first.shows("running", also=lambda seen: seen["position"] > 0.05)
    second = await Screen.open(context, site.url, sid=sid)
    await second.shows("running", also=lambda seen: seen["position"] > 0.1)
    for further in range(20):  # whichever node nginx chooses
        if (await first.is_open())["node"] != (await second.is_open())["node"]:
            break
        # A page asks for the same number of things each time: in turn, that may be the same node.
        for _ in range(further):
            await second.page.evaluate("fetch('/healthz').then((answer) => answer.text())")
        await second.page.reload()
    else:
        pytest.fail("every tab came to the same node")
    worker.terminate()
    for screen in (first, second):
        await screen.shows("done")
    await judged([first, second], [worker])
