"""Client and element in Firefox: the plain way through, and what it does otherwise."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local import Node
from progress_ws import Publisher
from tests.support.firefox import NAME, Firefox, FirefoxTab
from tests.support.parts import running, subfolder
from tests.support.waiting import eventually

needs_firefox = pytest.mark.skipif(not shutil.which(NAME), reason="needs Debian's firefox-esr")
pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_firefox]

TOKEN = "a-token-for-tests"
SID = "sid-of-a-job-in-the-browser"
SHOWN_S = 30
BAR_PX = 8

# In each document of the tab: one element, and what goes wrong.
PAGE = f"""
window.mistakes = [];
addEventListener("error", ({{ message }}) => mistakes.push(message));
addEventListener("DOMContentLoaded", async () => {{
  document.documentElement.lang = "en";
  document.body.innerHTML = '<progress-live sid="{SID}"></progress-live>';
  window.element = document.body.firstChild;
  await import("/client/progress-live.js");
}});
"""
PART = "element.shadowRoot.querySelector('[part=%s]')"


@pytest.fixture
async def tab(session_folder: Path) -> AsyncIterator[FirefoxTab]:
    folder = subfolder(session_folder)
    with running(Firefox(folder)) as firefox:
        async with firefox.tab() as tab:
            yield tab
    shutil.rmtree(folder, ignore_errors=True)


async def shows(tab: FirefoxTab, part: str, text: str) -> None:
    async def shown() -> bool:
        return bool(await tab.evaluate(f"{PART % part}?.textContent") == text)

    await eventually(shown, SHOWN_S, what=f"{part}: {text}")


async def test_a_job_through_a_reload_and_a_nodes_death_to_its_cancel(
    tab: FirefoxTab, node_process: Callable[..., Node]
) -> None:
    node = node_process(publish_token=TOKEN)
    await tab.prepare(PAGE)
    await tab.goto(f"{node.url}/metrics")
    async with (
        Publisher(node.url, token=TOKEN) as publisher,
        publisher.progress(SID, title="Report", total=500, cancellable=True) as bar,
    ):

        async def is_asked() -> bool:
            bar.advance()
            return bar.cancelled

        bar.set(100)
        await shows(tab, "percent", "20%")
        await tab.reload()
        await shows(tab, "percent", "20%")

        # It draws a frame around a native bar, unless it is told not to.
        assert await tab.evaluate(f"{PART % 'bar'}.getBoundingClientRect().height") == BAR_PX

        node.kill()
        node.start()
        node.wait_ready()
        bar.set(200)
        await shows(tab, "percent", "40%")

        await tab.click(PART % "cancel")
        await shows(tab, "cancel", "Cancelling")
        await eventually(is_asked, what="the wish to cancel")
        bar.cancel()
    await shows(tab, "status", "Cancelled")
    assert await tab.evaluate("mistakes") == []
