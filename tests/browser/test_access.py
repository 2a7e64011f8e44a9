"""Every state of a bar for everybody: judged by axe, by the keyboard, and by a look at it.

`PROGRESS_WS_SCREENSHOTS=FOLDER` has the pictures written there.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from progress_ws import Publisher
from tests.browser.screen import Screen
from tests.browser.site import Site
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker, pytest.mark.slow]

AXE = Path(__file__).parents[1] / "client/node_modules/axe-core/axe.min.js"
PICTURES = os.environ.get("PROGRESS_WS_SCREENSHOTS")
#: All of WCAG 2.2 to AA, and what axe holds for good practice.
RUN = "axe.run({ resultTypes: ['violations'] })"
STATES = {
    "waiting": "waiting",
    "queued": "queued",
    "running": "running",
    "unknown": "running",
    "parts": "running",
    "stalled": "stalled",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1000, "height": 1400}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1000, "height": 1400}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 320, "height": 1700}},
    "narrow and dark": {"color_scheme": "dark", "viewport": {"width": 320, "height": 1700}},
    "forced colours": {"forced_colors": "active", "viewport": {"width": 1000, "height": 1400}},
    "less motion": {"reduced_motion": "reduce", "viewport": {"width": 1000, "height": 1400}},
}


async def tell(publisher: Publisher, sid: str) -> None:
    """Bring a bar into each state."""

    async def say(key: str, state: str, **fields: Any) -> None:
        update = {"kind": "progress", "state": state, "title": key.capitalize(), **fields}
        final = state in ("done", "failed", "cancelled")
        stall_s = 0.2 if key == "stalled" else None
        await publisher.send(sid, update, key=key, run="1", final=final, stall_s=stall_s)

    rows = {"current": 12_345, "total": 50_000, "unit": "rows", "rate": 812.5, "eta_s": 46.3}
    timed = {"elapsed_s": 83.0}
    await say("queued", "queued", total=50_000, unit="rows")
    await say("running", "running", phase="Reading", text="orders.csv", cancellable=True, **rows)
    await say("unknown", "running", current=81, unit="files", text="/srv/data", **timed)
    await say("parts", "running", current=1, total=3, attempt=2, cancellable=True)
    for name, state, current in (("load", "done", 10), ("sort", "running", 4)):
        part = {"current": current, "total": 10, "parent": "parts", "title": name}
        await say(f"parts/{name}", state, **part)
    await say("stalled", "running", cancellable=True, **rows)
    await say("done", "done", total=50_000, unit="rows", text="3 warnings", **timed)
    await say("failed", "failed", error="The disk is full", **rows, **timed)
    await say("cancelled", "cancelled", **rows, **timed)


async def shown(context: "BrowserContext", site: Site, sid: str, lang: str = "en") -> Screen:
    """The page with a bar in each state, settled."""
    screen = await Screen.open(context, site.url, "many.html", sid=sid, lang=lang)
    async with Publisher(site.amqp_url) as publisher:
        await tell(publisher, sid)

        async def settled() -> bool:
            states = "[...document.querySelectorAll('progress-live')].map((it) => it.state)"
            return bool(await screen.page.evaluate(states) == list(STATES.values()))

        await eventually(settled, what="a bar in each state")
        # What is painted follows with the next frame, and a bar gets there a little later.
        await screen.page.evaluate(
            "Promise.all(document.getAnimations().map((it) => it.playState === 'running' && "
            "it.effect.getTiming().iterations === 1 ? it.finished : null))"
        )
    return screen


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing(look: str, chromium: "Browser", site: Site, sid: str) -> None:
    context = await chromium.new_context(**LOOKS[look])
    try:
        screen = await shown(context, site, sid)
        if PICTURES:
            picture = Path(PICTURES) / f"{look}.png"
            await screen.page.screenshot(path=picture, full_page=True)
        await screen.page.evaluate(AXE.read_text())
        found = await screen.page.evaluate(RUN)
        told = [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
        assert told == []
        assert await screen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert screen.errors == []
    finally:
        await context.close()


async def test_what_is_read_aloud(context: "BrowserContext", site: Site, sid: str) -> None:
    """The tree that a screen reader gets."""
    screen = await shown(context, site, sid)
    tree = await screen.page.locator("main").aria_snapshot()
    for line in (
        '- progressbar "Running"',
        '- progressbar "Invoices"',
        '- button "Cancel Running"',
    ):
        assert line in tree, tree
    words = await screen.page.evaluate(
        "[...document.querySelectorAll('progress-live')]"
        ".map((it) => it.shadowRoot.querySelector('progress').getAttribute('aria-valuetext'))"
    )
    said = dict(zip(STATES, words, strict=True))
    assert said["running"].startswith("Reading, 24%, 12,345 of 50,000 rows, ")
    assert said["done"].startswith("Done, 100%")
    assert "The disk is full" in said["failed"]


async def test_chinese_for_readers_of_chinese(
    context: "BrowserContext", site: Site, sid: str
) -> None:
    screen = await shown(context, site, sid, lang="zh-CN")

    async def translated() -> bool:
        text = await screen.page.evaluate(
            "document.querySelector('[key=done]').shadowRoot.querySelector('[part=status]').innerText"
        )
        return bool(text and text != "Done" and not text.isascii())

    await eventually(translated, what="Chinese")
    if PICTURES:
        await screen.page.screenshot(path=Path(PICTURES) / "chinese.png", full_page=True)
    assert screen.errors == []
