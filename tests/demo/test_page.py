"""The page in Chromium, on a real node with real workers."""

import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from deploy.local import Node
from progress_ws.demo import jobs
from progress_ws.demo.app import create_demo_app
from progress_ws.node.settings import Settings
from tests.support.parts import running
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, FileChooser, Locator, Page

pytestmark = pytest.mark.browser

WORKER = re.compile(r"worker (\d+) on ")
SLOW_MS = 60_000  # a job on a busy machine

DROP = """
(zone, name) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File(["city,price\\nBerlin,1.5\\nParis,2.5\\n"], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    zone.dispatchEvent(
      new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }),
    );
  }
}
"""

# Kept by the page itself: whoever asks from outside sees less the busier the machine is.
RECORD = """
() => {
  window.shown = {};
  new MutationObserver(() => {
    for (const bar of document.querySelectorAll("progress[aria-label]")) {
      const list = (window.shown[bar.getAttribute("aria-label")] ??= []);
      list.push({
        value: bar.getAttribute("value"),
        words: bar.getAttribute("aria-valuetext") ?? "",
      });
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}
"""


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def node(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for all tests here, which leave it as they found it."""
    logs = tmp_path_factory.mktemp("logs")
    with running(Node(logs, command=("progress_ws.demo",), demo_dir=demo_dir)) as node:
        yield node


@pytest.fixture
async def page(chromium: "Browser", node: Node) -> AsyncIterator["Page"]:
    """The page, connected; nothing may go wrong in it unseen."""
    page = await chromium.new_page()
    errors: list[Any] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    await page.goto(node.url)
    await page.locator("#connection[data-state=open]").wait_for()
    yield page
    unforeseen = [error for error in errors if "net::ERR_CONNECTION_REFUSED" not in str(error)]
    assert unforeseen == []


def card(page: "Page", title: str) -> "Locator":
    return page.locator(".job").filter(has_text=title)


async def ended(job: "Locator", state: str) -> "Locator":
    found = job.and_(job.page.locator(f"[data-state={state}]"))
    await found.wait_for(timeout=SLOW_MS)
    return found


async def worker_of(job: "Locator") -> int:
    """The process that works on a job, once it says so."""
    detail = job.locator(".detail").filter(has_text=WORKER)
    await detail.wait_for(timeout=SLOW_MS)
    match = WORKER.search(await detail.inner_text())
    assert match
    return int(match[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_sample_is_profiled_before_the_eyes(page: "Page", node: Node) -> None:
    assert node.name in await page.locator("#connection").inner_text()
    await page.evaluate(RECORD)
    await page.get_by_role("button", name="100,000 orders").click()
    job = await ended(card(page, "orders-100k.csv"), "done")
    bars: dict[str, list[dict[str, str]]] = await page.evaluate("shown")
    whole = bars["orders-100k.csv"]
    positions = [float(bar["value"] or -1) for bar in whole]
    seen = [position for position in positions if 0 <= position < 1]
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    words = [bar["words"] for bar in whole]
    assert any(re.fullmatch(r"\d+ %, \d+ s left", word) for word in words), words
    profiling = r"\d+ %, [\d,]+ of 100,000 rows( · [\d,]+/s)?"
    words = [bar["words"] for bar in bars["Profiling the columns: orders-100k.csv"]]
    assert any(re.fullmatch(profiling, word) for word in words), words
    assert "100,000 rows, 14 columns" in await job.inner_text()
    assert await page.locator("#news").inner_text() == "orders-100k.csv: done"
    async with page.context.expect_page() as opened:
        await job.get_by_role("link", name="Open the report").click()
    report = await opened.value
    assert await report.locator("h1").inner_text() == "orders-100k.csv"
    assert await report.locator("article").count() == 14
    shown = await report.locator("rect").first.evaluate("bar => getComputedStyle(bar).fill")
    assert shown != "rgb(0, 0, 0)", "the report's own policy keeps its style sheet out"


async def test_a_file_that_is_no_csv_says_so_in_words(page: "Page") -> None:
    book = {"name": "book.xlsx", "mimeType": "application/zip", "buffer": b"PK\x03\x04" + bytes(99)}
    await page.locator("#file").set_input_files(book)  # type: ignore[arg-type]
    job = await ended(card(page, "book.xlsx"), "failed")
    assert await job.locator(".error").inner_text() == (
        "This is not a CSV file: it looks like an Excel workbook or a zip archive; "
        "save the sheet as CSV first."
    )
    assert await job.locator(".result").is_hidden()


async def test_files_are_dropped_one_after_the_other(page: "Page") -> None:
    for name in ("first.csv", "second.csv"):
        await page.locator("#drop").evaluate(f"zone => ({DROP})(zone, '{name}')")
        await ended(card(page, name), "done")
    titles = await page.locator(".job h3").all_inner_texts()
    assert titles == ["second.csv", "first.csv"]
    assert "over" not in (await page.locator("#drop").get_attribute("class") or "").split()


async def test_a_file_can_be_chosen_with_the_keyboard(page: "Page") -> None:
    choosers: list[FileChooser] = []  # listened for long before the key that opens it
    page.on("filechooser", lambda it: choosers.append(it))
    await page.keyboard.press("Tab")
    await page.locator("#file:focus").wait_for(state="attached")
    await page.keyboard.press("Space")
    await eventually(lambda: choosers, what="the file chooser")
    assert choosers[0].is_multiple()


@pytest.fixture
async def long_job(page: "Page", demo_dir: Path) -> AsyncIterator["Locator"]:
    """The card of a job that takes long, with a worker at it; its test ends it."""
    await page.get_by_role("button", name="1,000,000 orders").click()
    job = card(page, "orders-1m.csv")
    await worker_of(job)
    yield job
    await eventually(lambda: not list(demo_dir.glob("*.upload")), what="removal of the sample")


def button(job: "Locator", name: str) -> "Locator":
    return job.get_by_role("button", name=f"{name}: orders-1m.csv")


async def test_a_job_is_cancelled_with_a_button(page: "Page", long_job: "Locator") -> None:
    worker = await worker_of(long_job)
    await button(long_job, "Cancel").press("Enter")
    await ended(long_job, "cancelled")
    assert "Stopped after" in await long_job.locator(".detail").inner_text()
    assert await page.locator("#news").inner_text() == "orders-1m.csv: cancelled"
    await eventually(lambda: not is_alive(worker), what="the end of the worker")
    before = await long_job.inner_text()
    await page.reload()
    await ended(long_job, "cancelled")
    assert await long_job.inner_text() == before
    assert await long_job.get_by_role("button").count() == 0


async def test_a_killed_worker_is_missed_and_another_may_try(
    page: "Page", long_job: "Locator"
) -> None:
    worker = await worker_of(long_job)
    await button(long_job, "Kill the worker").press("Enter")
    await ended(long_job, "stalled")
    assert not is_alive(worker)
    again = button(long_job, "Try again")
    assert await again.evaluate("button => button === document.activeElement")
    await page.reload()
    await ended(long_job, "stalled")
    detail = long_job.locator(".detail")
    await detail.filter(has_text=re.compile(r"No word from the worker for \d+ s")).wait_for()
    await button(long_job, "Cancel").click()
    await long_job.locator(".notice", has_text="Nobody is there to stop it.").wait_for()
    await again.click()
    await detail.filter(has_text=WORKER).filter(has_text="attempt 2").wait_for(timeout=SLOW_MS)
    assert await page.locator("#news").inner_text() == "orders-1m.csv: at work again"
    assert await long_job.locator(".notice").inner_text() == ""
    assert await worker_of(long_job) != worker
    await page.reload()
    await detail.filter(has_text=WORKER).filter(has_text="attempt 2").wait_for(timeout=SLOW_MS)
    await button(long_job, "Cancel").click()
    await ended(long_job, "cancelled")


async def test_a_page_that_is_loaded_anew_shows_the_bars_again(
    page: "Page", long_job: "Locator"
) -> None:
    worker = await worker_of(long_job)
    await page.locator("#wire summary").click()
    session = await page.locator("#wire-sid").inner_text()
    await page.reload()
    assert await worker_of(long_job) == worker
    names = [part.split("\n")[0] for part in await long_job.locator(".part").all_inner_texts()]
    assert names == [
        "Making the sample",
        "Looking through the file",
        "Profiling the columns",
        "Writing the report",
    ]
    await page.locator("#wire summary").click()
    assert await page.locator("#wire-sid").inner_text() == session
    assert await long_job.count() == 1
    await button(long_job, "Cancel").click()
    await ended(long_job, "cancelled")


async def test_a_worker_that_nobody_replaces_is_reported(
    chromium: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.2)
    app = create_demo_app(Settings(), folder=tmp_path)
    async with TestServer(app) as server:
        page = await chromium.new_page()
        await page.goto(str(server.make_url("/")))
        await page.get_by_role("button", name="1,000,000 orders").click()
        job = card(page, "orders-1m.csv")
        os.kill(await worker_of(job), signal.SIGKILL)
        for _ in range(2):
            await ended(job, "failed")
            assert "was killed (SIGKILL)" in await job.locator(".error").inner_text()
            assert await job.locator(".part[data-state=stopped]").count() == 1
            await page.reload()  # its end is not forgotten either
        await page.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_node_that_stops_takes_its_workers_along(
    page: "Page", node: Node, demo_dir: Path
) -> None:
    await page.get_by_role("button", name="1,000,000 orders").click()
    worker = await worker_of(card(page, "orders-1m.csv"))
    node.terminate()
    await page.locator("#connection", has_text="Reconnecting…").wait_for()
    await eventually(lambda: not node.alive, 20, what="the end of the node")
    assert node.returncode == 0
    assert not is_alive(worker)
    assert list(demo_dir.glob("*.upload")) == []
    node.start()
    await page.locator("#connection", has_text=f"Live · {node.name}").wait_for(timeout=SLOW_MS)


async def test_nothing_is_wider_than_the_screen(page: "Page") -> None:
    await page.locator("#drop").evaluate(f"zone => ({DROP})(zone, '{'long name ' * 20}.csv')")
    await ended(card(page, "long name"), "done")
    for width in (360, 390, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width


WORDS = {
    "amount(1234567, 'rows')": "1,234,567 rows",
    "amount(7)": "7",
    "amount(0, 'B')": "0 B",
    "amount(341150015, 'B')": "341 MB",
    "rate(24187.3, 'rows')": "24,200/s",
    "rate(75700000, 'B')": "75.7 MB/s",
    "portion(9999, 100000, 'rows')": "9,999 of 100,000 rows",
    "portion(1500, 2000, 'B')": "1.5 kB of 2.0 kB",
    "pace({current: 9999, total: 100000, unit: 'rows', rate: 24187.3, state: 'running'})": (
        "9,999 of 100,000 rows · 24,200/s"
    ),
    "pace({total: 2e6, unit: 'B', state: 'done'})": "2.0 MB",
    "pace({current: 5})": "",
    "percentage(0.58)": "58 %",
    "percentage(0.999)": "99 %",
    "duration(-3)": "0 s",
    "duration(59.4)": "1 min 0 s",
    "duration(7322)": "2 h 2 min",
}


async def test_the_page_writes_numbers_as_people_do(page: "Page") -> None:
    calls = ", ".join(f"words.{call}" for call in WORDS)
    written = await page.evaluate(
        f"async () => {{ const words = await import('/demo/wording.js'); return [{calls}]; }}"
    )
    assert dict(zip(WORDS, written, strict=True)) == WORDS
