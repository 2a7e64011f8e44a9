"""Scripts and commands that are told their sid by whoever starts them."""

import pytest

from deploy.local import Node
from progress_ws import new_sid
from tests.recipes.conftest import Cook
from tests.recipes.readme import commands
from tests.recipes.watching import seen
from tests.support.tab import tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker


async def test_a_script_is_watched_to_its_end(cook: Cook, node: Node) -> None:
    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        (command,) = commands("A plain script")
        script = cook(command, SID=sid)
        states = await seen(browser, "progress")
    last = states[-1]
    assert (last["state"], last["title"], last["unit"]) == ("done", "Checksums", "files")
    assert last["current"] == last["total"] > 10
    await eventually(lambda: script.returncode == 0)


async def test_a_command_is_watched_to_its_end_and_another_is_stopped(
    cook: Cook, node: Node, slowly: dict[str, str]
) -> None:
    (command,) = commands("Any command")
    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        shell = cook(command, SID=sid)
        states = await seen(browser, "command")
    last = states[-1]
    assert (last["state"], last["title"], last["text"]) == ("done", "Copy", "copied 100 %")
    assert (last["current"], last["total"]) == (100, 100)
    await eventually(lambda: shell.returncode == 0)

    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        cook(command, SID=sid, **slowly)
        states = await seen(browser, "command", cancel_at=10)
    assert states[-1]["state"] == "cancelled"
    assert states[-1]["current"] < 100
