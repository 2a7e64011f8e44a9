"""Web applications: a POST answers the sid, the job runs, browsers see it and can stop it."""

import pytest

from deploy.local import Node
from tests.recipes.conftest import Cook
from tests.recipes.readme import commands
from tests.recipes.watching import ordered, seen
from tests.support.tab import tab

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    "framework", ["FastAPI", pytest.param("Flask", marks=pytest.mark.slow), "Django"]
)
async def test_a_report_is_watched_to_its_end_and_another_is_stopped(
    framework: str, cook: Cook, node: Node
) -> None:
    (command,) = commands(framework)
    app = cook(command)
    async with tab(node.url, sid=await ordered(app.url)) as browser:
        states = await seen(browser)
    assert states[0]["state"] == "running"
    assert (states[-1]["state"], states[-1]["current"], states[-1]["total"]) == ("done", 40, 40)
    assert (states[-1]["title"], states[-1]["unit"]) == ("Report", "pages")

    async with tab(node.url, sid=await ordered(app.url)) as browser:
        states = await seen(browser, cancel_at=5)
    assert states[-1]["state"] == "cancelled"
    assert states[-1]["current"] < 40
