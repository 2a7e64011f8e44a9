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
