"""Celery: a web process that sends the task, and a worker that reports."""

import pytest

from deploy.local import Node
from tests.recipes.conftest import Cook
from tests.recipes.readme import commands
from tests.recipes.watching import ordered, seen
from tests.support.tab import tab

pytestmark = pytest.mark.broker


async def test_a_task_is_watched_from_its_queue_to_its_end_and_another_is_stopped(
    cook: Cook, node: Node
) -> None:
    web, worker = commands("Celery")
    app = cook(web)
    async with tab(node.url, sid=await ordered(app.url)) as browser:
        queued = (await browser.frame())["message"]
        assert (queued["state"], queued["title"]) == ("queued", "Report")
        cook(worker)
        states = await seen(browser)
    assert states[0]["state"] == "running"
    assert (states[-1]["state"], states[-1]["current"], states[-1]["total"]) == ("done", 40, 40)

    async with tab(node.url, sid=await ordered(app.url)) as browser:
        states = await seen(browser, cancel_at=5)
    assert states[-1]["state"] == "cancelled"
    assert states[-1]["current"] < 40
