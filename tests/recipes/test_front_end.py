"""The README's section for front ends: each of its blocks runs as it is written."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from progress_ws import Publisher, new_sid
from progress_ws.node.app import create_app
from progress_ws.node.settings import Settings
from tests.recipes.readme import FOLDER

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PROJECT = FOLDER.parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKEN = "a-token-for-tests"
PAGES = 40
CANCELLED_AT = 0.9

#: What each block is known by, in their order: every one is in a test below.
BLOCKS = {
    "tag": '<progress-live id="bar">',
    "statechange": 'addEventListener("statechange"',
    "css": "--progress-live-height: 4px",
    "texts": "ProgressLive.texts = {",
    "policy": "Content-Security-Policy:",
    "client": "await progress.ready",
    "loop": "for await (",
    "curl": "curl --no-buffer",
    "eventsource": "new EventSource(",
    "npm": "npm pack",
    "imports": 'from "progress-ws"',
}


def section(readme: str) -> list[tuple[str, str]]:
    """Language and text of the blocks in a README's section for front ends, its first."""
    text = (PROJECT / readme).read_text()
    return FENCE.findall(text.split("\n## ")[1])


def block(name: str) -> str:
    found = [text for _, text in section("README.md") if BLOCKS[name] in text]
    assert len(found) == 1, name
    return found[0]


def test_every_block_is_known_and_no_other_is_there() -> None:
    texts = [text for _, text in section("README.md")]
    assert texts == [block(name) for name in BLOCKS]


def test_the_chinese_readme_has_the_same_blocks() -> None:
    """But for the comments in them."""

    def bare(blocks: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(language, re.sub(r"\s*(?://|#) .*", "", text)) for language, text in blocks]

    assert bare(section("README.zh-CN.md")) == bare(section("README.md"))


class Site:
    """A node, and on its origin an application: a page, and reports that take two seconds."""

    def __init__(self) -> None:
        app = create_app(Settings(publish_token=TOKEN))
        app.router.add_get("/page", self._show)
        app.router.add_get("/page.js", self._show_script)
        app.router.add_post("/reports", self._start)
        self.server = TestServer(app)
        self.html = self.script = ""
        self.headers: dict[str, str] = {}
        #: Whether reports stand before their end until they are cancelled, however late.
        self.awaits_cancel = False
        self._jobs: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _show(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.html, content_type="text/html", headers=self.headers)

    async def _show_script(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.script, content_type="text/javascript")

    async def _start(self, request: web.Request) -> web.Response:
        given: dict[str, Any] = json.loads(await request.text() or "{}")
        sid = given.get("sid") or new_sid()
        self.work(sid)
        return web.json_response({"sid": sid})

    def work(self, sid: str) -> None:
        """Begin a report."""
        self._jobs.add(asyncio.create_task(self._report(sid)))

    async def _report(self, sid: str) -> None:
        async with (
            Publisher(self.url, token=TOKEN) as publisher,
            publisher.progress(
                sid, title="Report", total=PAGES, unit="pages", cancellable=True, stall_s=60
            ) as bar,
        ):
            while bar.fraction() < 1 and not bar.cancelled:
                if not self.awaits_cancel or bar.fraction() < CANCELLED_AT:
                    bar.advance()
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self.server.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start_server()
    yield site
    await site.end()


@pytest.fixture
async def page(chromium: "Browser") -> AsyncIterator["Page"]:
    page = await chromium.new_page()
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    assert [error for error in errors if "favicon" not in str(error)] == []


def script(text: str, before: str = "") -> str:
    return f'<script type="module">\n{before}\n{text}</script>'


LINK = '<link rel="icon" href="data:,">'


@pytest.mark.browser
async def test_the_tag_its_events_style_and_texts(site: Site, page: "Page") -> None:
    more = script(block("statechange")) + f"<style>{block('css')}</style>" + script(block("texts"))
    site.html = LINK + block("tag") + more
    await page.goto(f"{site.url}/page")
    bar = page.locator("progress-live")
    await page.get_by_role("button", name="Make the report").click()
    await bar.locator("[part=eta]").filter(has_text=" to go").wait_for()
    value = await bar.locator("progress").get_attribute("aria-valuetext")
    assert value
    height = "bar => getComputedStyle(bar.shadowRoot.querySelector('progress')).height"
    assert await bar.evaluate(height) == "4px"
    assert await bar.locator("[part=text]").is_hidden()
    await page.wait_for_function("document.title === 'Your report is ready'")
    assert await bar.get_attribute("state") == "done"
    assert await bar.evaluate("bar => bar.update.total") == PAGES


@pytest.mark.browser
async def test_the_tag_under_the_policy(site: Site, page: "Page") -> None:
    name, _, policy = block("policy").strip().partition(": ")
    assert name == "Content-Security-Policy"
    site.headers = {name: policy}
    (tag,) = re.findall(r"<progress-live.*?</progress-live>", block("tag"))
    (text,) = re.findall(r'<script type="module">\n(.*?)</script>', block("tag"), re.DOTALL)
    site.script = text
    site.html = (
        '<script type="module" src="/client/progress-live.js"></script>'
        f'<button id="start">Make the report</button>{tag}'
        '<script type="module" src="/page.js"></script>'
    )
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Policy" in said.text else None)
    site.awaits_cancel = True
    await page.goto(f"{site.url}/page")
    await page.get_by_role("button", name="Make the report").click()
    bar = page.locator("progress-live")
    await bar.get_by_role("button", name="Cancel Report").wait_for()
    style = "bar => getComputedStyle(bar.shadowRoot.querySelector('progress')).appearance"
    assert await bar.evaluate(style) == "none"  # it has its own style
    await bar.get_by_role("button", name="Cancel Report").click()
    await page.locator("progress-live[state=cancelled]").wait_for()
    assert [text for text in refused if "favicon" not in text] == []


@pytest.mark.browser
async def test_five_lines_draw_a_bar(site: Site, page: "Page") -> None:
    site.html = f'{LINK}<progress id="bar" max="{PAGES}"></progress>' + script(block("client"))
    await page.goto(f"{site.url}/page")
    await page.wait_for_function(f"bar.value === {PAGES}")


@pytest.mark.browser
async def test_a_loop_over_many_sessions(site: Site, page: "Page") -> None:
    sids = [new_sid() for _ in range(3)]
    bars = "".join(f'<progress id="{sid}" max="{PAGES}"></progress>' for sid in sids)
    text = block("loop") + "window.left = progress.state;"
    site.html = LINK + bars + script(text, f"const sids = {json.dumps(sids)};")
    site.awaits_cancel = True
    for sid in sids:
        site.work(sid)
    await page.goto(f"{site.url}/page")
    await page.wait_for_function("window.left === 'closed'")
    values = await page.evaluate("[...document.querySelectorAll('progress')].map((b) => b.value)")
    assert 30 < max(values) < PAGES
    assert min(values) > 10


@pytest.mark.browser
async def test_an_event_source(site: Site, page: "Page") -> None:
    sid = new_sid()
    bar = f'<progress id="bar" max="{PAGES}"></progress>'
    text = block("eventsource") + "window.events = events;"
    site.html = LINK + bar + script(text, f"const sid = '{sid}';")
    site.work(sid)
    await page.goto(f"{site.url}/page")
    await page.wait_for_function(f"bar.value === {PAGES} && events.readyState === 2")


async def test_curl(site: Site) -> None:
    sid = new_sid()
    site.work(sid)
    stream, once = block("curl").splitlines()
    settings = {"PROGRESS_WS_URL": site.url, "SID": sid, "PATH": "/usr/bin:/bin"}
    process = await asyncio.create_subprocess_shell(
        f"exec {stream}", env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    states: list[str] = []
    async with asyncio.timeout(20):
        while "done" not in states:
            line = (await process.stdout.readline()).decode()
            if line.startswith("data:"):
                frame = json.loads(line.removeprefix("data:"))
                states += [frame["message"]["state"]] if frame["type"] == "message" else []
    process.kill()
    await process.communicate()
    assert len(states) > 5
    process = await asyncio.create_subprocess_shell(
        once, env=settings, stdout=subprocess.PIPE, stderr=-3
    )
    told = json.loads((await process.communicate())[0])
    assert [frame["message"]["state"] for frame in told["messages"]] == ["done"]
    assert told["after"] == told["messages"][-1]["id"]


@pytest.mark.slow
def test_the_package_of_npm(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "progress_ws/client", tmp_path / "progress_ws/client")
    quiet = "export npm_config_offline=true npm_config_audit=false npm_config_fund=false\n"
    (tmp_path / "app.mjs").write_text(block("imports") + "console.log(typeof ProgressClient);")
    command = quiet + block("npm") + "node app.mjs"
    done = subprocess.run(
        ["/bin/sh", "-ec", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "function"
