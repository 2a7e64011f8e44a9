"""A job is cancelled from the page, fails, loses its worker, and is taken up again."""

import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Judge, Work
from tests.browser.judge import seconds
from tests.browser.screen import Screen
from tests.browser.site import Site

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker]

STALL_S = 2
#: How much later than promised a page may say that the worker is silent.
LATE_S = 1.5


async def test_a_job_is_cancelled_with_the_keyboard(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid)
    await screen.shows("running")
    button = screen.page.get_by_role("button", name="Cancel")
    await button.wait_for()
    await screen.page.keyboard.press("Tab")
    asked = time.monotonic()
    await screen.page.keyboard.press("Enter")
    cancelled = await screen.shows("cancelled")
    worker.wait_end()
    assert worker.returncode == 0
    assert await button.count() == 0
    assert cancelled.what["position"] < 1
    await judged([screen], [worker], cancelled_s=seconds(asked, cancelled))


@pytest.mark.slow
async def test_a_job_that_fails_says_why(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid)
    await screen.shows("running", also=lambda seen: seen["position"] > 0.02)
    worker.fail()
    failed = await screen.shows("failed")
    assert failed.what["parts"]["error"] == "Told: the disk is full"
    assert 0 < failed.what["position"] < 1
    await judged([screen], [worker])


async def test_a_killed_worker_is_missed_in_time_and_another_takes_over(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    late = await Screen.open(context, site.url, sid=sid)
    first = work(site.amqp_url, sid, stall_s=STALL_S)
    before = await screen.shows("running", also=lambda seen: seen["position"] > 0.05)
    killed = time.monotonic()
    first.kill()
    stalled = await screen.since(killed, "screen", state="stalled")
    assert seconds(killed, stalled) < STALL_S + LATE_S
    assert stalled.what["position"] >= before.what["position"]
    assert "No news for" in stalled.what["parts"]["status"]
    await late.page.reload()  # whoever comes now sees it, too
    await late.shows("stalled")
    await screen.page.get_by_role("button", name="Cancel").click()
    await screen.page.get_by_text("Nobody listens", exact=True).wait_for()
    second = work(site.amqp_url, sid, stall_s=STALL_S, attempt=2)
    for tab in (screen, late):
        await tab.shows("running", also=lambda seen: seen["parts"].get("attempt") == "Attempt 2")
    second.terminate()
    for tab in (screen, late):
        await tab.shows("done")
    await judged([screen, late], [first, second], stalled_s=seconds(killed, stalled))


@pytest.mark.slow
async def test_a_frozen_worker_is_missed_and_heals_by_itself(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid, stall_s=STALL_S)
    await screen.shows("running")
    frozen = time.monotonic()
    worker.freeze()
    stalled = await screen.since(frozen, "screen", state="stalled")
    assert seconds(frozen, stalled) < STALL_S + LATE_S
    worker.thaw()
    await screen.shows("running")
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker], stalled_s=seconds(frozen, stalled))


@pytest.mark.slow
async def test_parts_of_a_job_are_shown_below_it(
    context: "BrowserContext", site: Site, work: Work, judged: Judge, sid: str
) -> None:
    screen = await Screen.open(context, site.url, sid=sid)
    worker = work(site.amqp_url, sid, parts=3)
    await screen.shows("running", also=lambda seen: len(seen["children"]) == 3)
    worker.terminate()
    await screen.shows("done", also=lambda seen: seen["children"] == [1, 1, 1])
    await judged([screen], [worker])
