"""A job in a shell, over a node's HTTP API."""

import pytest

from deploy.local import Node
from progress_ws import new_sid
from tests.recipes.conftest import Cook
from tests.recipes.readme import commands
from tests.recipes.watching import seen
from tests.support.tab import tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker


async def test_a_shell_with_curl_is_watched_to_its_end(cook: Cook, node: Node) -> None:
    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        (command,) = commands("curl")
        shell = cook(command, SID=sid)
        states = await seen(browser)
    assert [state["current"] for state in states] == list(range(21))
    assert states[-1]["state"] == "done"
    await eventually(lambda: shell.returncode == 0)


async def test_a_shell_with_curl_stops_when_its_browser_asks(cook: Cook, node: Node) -> None:
    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        (command,) = commands("curl")
        shell = cook(command, SID=sid)
        states = await seen(browser, cancel_at=3)
    assert states[-1]["state"] == "cancelled"
    assert states[-1]["current"] < 20
    await eventually(lambda: shell.returncode == 0)
