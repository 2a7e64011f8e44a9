"""The page in Chromium, on a real node with real workers."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from deploy.local import Node
from progress_ws import new_sid
from progress_ws.demo import jobs
from progress_ws.demo.app import create_demo_app
from progress_ws.node.settings import Settings
from tests.support.parts import running
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, FileChooser, Locator, Page, Route

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
  const look = () => {
    for (const { shadowRoot: root } of document.querySelectorAll("progress-live")) {
      for (const bar of root?.querySelectorAll("progress") ?? []) {
        const name = bar.ariaLabel;
        const list = (window.shown[name] ??= []);
        const value = bar.getAttribute("value");
        const words = bar.getAttribute("aria-valuetext") ?? "";
        const last = list.at(-1);
        if (last?.value !== value || last.words !== words) list.push({ value, words });
      }
    }
    requestAnimationFrame(look);
  };
  look();
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


def part(job: "Locator", name: str) -> "Locator":
    """A part of the job's own bar, not of those of its steps."""
    return job.locator(f"progress-live [role=group] [part={name}]")


async def said(job: "Locator", news: str | re.Pattern[str]) -> None:
    """Wait until somebody who does not see the bar has been told that."""
    status = job.locator("progress-live [role=status]").filter(has_text=news)
    await status.wait_for(state="attached", timeout=SLOW_MS)


async def ended(job: "Locator", state: str) -> "Locator":
    found = job.and_(job.page.locator(f"[data-state={state}]"))
    await found.wait_for(timeout=SLOW_MS)
    return found


async def worker_of(job: "Locator") -> int:
    """The process that works on a job, once it says so."""
    text = part(job, "text").filter(has_text=WORKER)
    await text.wait_for(timeout=SLOW_MS)
    match = WORKER.search(await text.inner_text())
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
    left = r"Profiling the columns, \d+%, .*\d+ sec left.*"
    assert any(re.fullmatch(left, word) for word in words), words
    profiling = r"\d+%, [\d,]+ of 100,000 rows.*"
    words = [bar["words"] for bar in bars["Profiling the columns"]]
    assert any(re.fullmatch(profiling, word) for word in words), words
    assert await part(job, "text").inner_text() == "100,000 rows, 14 columns"
    await said(job, re.compile("^orders-100k.csv: Done"))
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
    assert await part(job, "error").inner_text() == (
        "This is not a CSV file: it looks like an Excel workbook or a zip archive; "
        "save the sheet as CSV first."
    )
    assert await job.locator(".result").is_hidden()


@pytest.mark.slow
async def test_files_are_dropped_one_after_the_other(page: "Page") -> None:
    for name in ("first.csv", "second.csv"):
        await page.locator("#drop").evaluate(f"zone => ({DROP})(zone, '{name}')")
        await ended(card(page, name), "done")
    titles = await part(page.locator(".job"), "label").all_inner_texts()
    assert titles == ["second.csv", "first.csv"]
    assert "over" not in (await page.locator("#drop").get_attribute("class") or "").split()


@pytest.mark.slow
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
    return job.get_by_role("button", name=re.compile(f"^{name}:? orders-1m.csv$"))


async def test_a_job_is_cancelled_with_a_button(page: "Page", long_job: "Locator") -> None:
    worker = await worker_of(long_job)
    seconds = part(long_job, "percent").filter(has_text=re.compile(r"^([3-9]|\d\d)%$"))
    await seconds.wait_for(timeout=SLOW_MS)
    await button(long_job, "Cancel").press("Enter")
    await ended(long_job, "cancelled")
    await said(long_job, re.compile("^orders-1m.csv: Cancelled"))
    await eventually(lambda: not is_alive(worker), what="the end of the worker")
    before = await long_job.locator("progress-live .row").all_inner_texts()
    assert len(before) == 5
    await page.reload()
    await ended(long_job, "cancelled")
    rows = long_job.locator("progress-live .row")
    await rows.nth(4).wait_for(state="attached")
    assert await rows.all_inner_texts() == before
    assert await long_job.get_by_role("button").count() == 0


@pytest.mark.slow  # as tests/browser/test_jobs.py and test_attempts.py have it, too
async def test_a_killed_worker_is_missed_and_another_may_try(
    page: "Page", long_job: "Locator"
) -> None:
    worker = await worker_of(long_job)
    await button(long_job, "Kill the worker").press("Enter")
    await ended(long_job, "stalled")
    assert not is_alive(worker)
    again = button(long_job, "Try again")
    assert await again.evaluate("button => button === document.activeElement")
    await said(long_job, re.compile("^orders-1m.csv: .*No news for"))
    await page.reload()
    await ended(long_job, "stalled")
    silence = part(long_job, "status").filter(has_text=re.compile(r"^No news for \d+ sec$"))
    await silence.wait_for()
    await button(long_job, "Cancel").click()
    await part(long_job, "cancel").filter(has_text="Nobody listens").wait_for()
    await again.click()
    await part(long_job, "attempt").filter(has_text="Attempt 2").wait_for(timeout=SLOW_MS)
    await ended(long_job, "running")
    await said(long_job, re.compile(r"^orders-1m.csv: .*\d+%"))
    assert await part(long_job, "cancel").inner_text() == "Cancel"
    assert await worker_of(long_job) != worker
    await page.reload()
    await part(long_job, "attempt").filter(has_text="Attempt 2").wait_for(timeout=SLOW_MS)
    await worker_of(long_job)
    await button(long_job, "Cancel").click()
    await ended(long_job, "cancelled")


async def test_a_page_that_is_loaded_anew_shows_the_bars_again(
    page: "Page", long_job: "Locator"
) -> None:
    worker = await worker_of(long_job)
    session = await long_job.locator("progress-live").get_attribute("sid")
    await page.reload()
    assert await worker_of(long_job) == worker
    names = long_job.locator("progress-live li [part=label]")
    await names.nth(3).wait_for()
    assert await names.all_inner_texts() == [
        "Making the sample",
        "Looking through the file",
        "Profiling the columns",
        "Writing the report",
    ]
    assert await long_job.locator("progress-live").get_attribute("sid") == session
    assert await long_job.count() == 1
    await page.locator("#wire summary").click()
    await page.locator("#wire-frame").filter(has_text=f"{str(session)[:6]}…").wait_for()
    assert str(session) not in await page.locator("body").inner_text()
    await button(long_job, "Cancel").click()
    await ended(long_job, "cancelled")


@pytest.mark.slow
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
            error = part(job, "error").filter(has_text="was killed (SIGKILL)")
            await error.wait_for()
            steps = job.locator("progress-live li")
            await steps.nth(3).wait_for()
            states = [await step.get_attribute("class") for step in await steps.all()]
            assert states == ["row failed"] * 4
            await page.reload()  # its end is not forgotten either
        await page.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
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


@pytest.mark.slow
async def test_nothing_is_wider_than_the_screen(page: "Page") -> None:
    await page.locator("#drop").evaluate(f"zone => ({DROP})(zone, '{'long name ' * 20}.csv')")
    await ended(card(page, "long name"), "done")
    await page.get_by_role("button", name="Start twenty jobs").click()
    await page.locator("#errands [state=running]").nth(19).wait_for()
    for width in (360, 390, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.slow
async def test_twenty_jobs_are_on_one_socket_and_their_worker_may_die(
    chromium: "Browser", node: Node
) -> None:
    page = await chromium.new_page()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await page.goto(node.url)
    await page.get_by_role("button", name="Start twenty jobs").click()
    tiles = page.locator("#errands")
    await tiles.locator("[state=running]").nth(19).wait_for(timeout=SLOW_MS)
    assert sockets == [f"{node.url.replace('http', 'ws')}/websocket/progress?sid="]
    assert await tiles.locator("[part=label]").nth(7).inner_text() == "Log archive"
    await page.locator("#nodes .is-here").filter(has_text="20 of 20 jobs").wait_for()
    await tiles.get_by_role("button", name="Cancel Thumbnails").click()
    await tiles.locator("[state=cancelled]").wait_for()
    await page.get_by_role("button", name="Kill their worker").click()
    await tiles.locator("[state=stalled]").nth(18).wait_for(timeout=SLOW_MS)
    await page.locator("#errands-tally").filter(has_text="19 stalled").wait_for()
    await page.reload()
    await tiles.locator("[state=stalled]").nth(18).wait_for(timeout=SLOW_MS)
    await tiles.locator("[state=cancelled]").wait_for()
    await page.get_by_role("button", name="Try all again").click()
    await tiles.locator("[state=running]").nth(19).wait_for(timeout=SLOW_MS)
    assert len(sockets) == 2  # the other one is that of the reload
    await page.close()


@pytest.mark.slow
async def test_what_no_node_remembers_any_more_leaves_the_page(page: "Page") -> None:
    """As a tab that comes back after hours, when its sessions are beyond what is retained."""
    sids = [new_sid() for _ in range(3)]
    job = {"id": "i" * 32, "key": "k", "node": "gone"}
    reports = [job | {"title": "old.csv", "sid": sids[0]}]
    jobs = [{"sid": sid, "title": "old"} for sid in sids[1:]]
    kept = {"demo.reports": reports, "demo.errands": job | {"sid": new_sid(), "jobs": jobs}}
    keep = "kept => { for (const k in kept) sessionStorage[k] = JSON.stringify(kept[k]); }"
    await page.evaluate(keep, kept)
    await page.reload()
    await page.locator("#errands [state=waiting]").nth(1).wait_for()
    await page.locator("#errands progress-live").first.wait_for(state="detached")
    await page.locator(".job").wait_for(state="detached")
    await page.locator("#empty").wait_for()
    await page.get_by_role("button", name="Start twenty jobs").click()
    await page.locator("#errands [state=running]").nth(19).wait_for(timeout=SLOW_MS)


@pytest.mark.slow
async def test_one_node_alone_is_shown_and_no_other_is_promised(page: "Page", node: Node) -> None:
    here = page.locator("#nodes .is-here").filter(has_text="1 connection")
    await here.filter(has_text=node.name).wait_for()
    await page.get_by_role("button", name="Switch me to another node").click()
    await page.locator("#switch-notice").filter(has_text="There is only one node here").wait_for()


@pytest.mark.slow
async def test_twenty_jobs_are_started_once(page: "Page") -> None:
    """Also where those of before have ended, so that the page paints itself while it waits."""
    answered = asyncio.Event()
    asked = 0

    async def answer(route: "Route") -> None:
        nonlocal asked
        asked += 1
        await answered.wait()
        await route.fulfill(json=job | {"jobs": []}, status=202)

    sid = new_sid()
    job = {"id": "i" * 32, "key": "k", "node": "n"}
    kept = json.dumps(job | {"sid": new_sid(), "jobs": [{"sid": sid, "title": "old"}]})
    await page.evaluate("kept => { sessionStorage['demo.errands'] = kept; }", kept)
    await page.route("**/demo/errands", answer)
    await page.reload()
    await page.locator("#errands [state=waiting]").wait_for()
    done = {"kind": "progress", "state": "done"}
    await page.evaluate(
        """async (detail) => {
          const { progress } = await import("/demo/connection.js");
          progress.dispatchEvent(new CustomEvent("message", { detail }));
        }""",
        {"type": "message", "sid": sid, "key": "k", "run": "1", "message": done},
    )
    start = page.locator("#errands-start[aria-disabled=false]")
    await start.click()
    await eventually(lambda: asked, what="the question for twenty jobs")
    paint = "document.querySelector('#errands').dispatchEvent(new Event('statechange'))"
    await page.evaluate(paint)
    await page.evaluate("document.querySelector('#errands-start').click()")
    answered.set()
    await page.locator("#errands progress-live").wait_for(state="detached")
    await start.wait_for()
    assert asked == 1


@pytest.mark.slow
async def test_why_twenty_jobs_were_refused_stays_to_be_read(page: "Page") -> None:
    job = {"id": "i" * 32, "key": "k", "node": "n", "jobs": []}
    await page.route("**/demo/errands", lambda route: route.fulfill(json=job, status=202))
    start = page.get_by_role("button", name="Start twenty jobs")
    await start.click()
    await page.locator("#errands-start[aria-disabled=false]").wait_for()
    await page.unroute("**/demo/errands")
    await page.route("**/demo/errands", lambda route: route.abort("connectionrefused"))
    await start.click()
    why = page.locator("#errands-notice", has_text="The server did not answer.")
    await why.wait_for()
    await page.evaluate(
        "document.querySelector('#errands').dispatchEvent(new Event('statechange'))"
    )
    assert await why.count() == 1


@pytest.mark.slow
async def test_a_report_that_is_refused_leaves_no_session_behind(page: "Page") -> None:
    refused = {"detail": "No room."}
    await page.route("**/demo/jobs?*", lambda route: route.fulfill(json=refused))
    first, left = await page.evaluate(
        """async () => {
          const { reports, start } = await import("/demo/reports.js");
          const { progress } = await import("/demo/connection.js");
          const left = [];
          progress.unfollow = (sid) => left.push(sid);
          await start({ sample: "small", title: "0.csv" });
          const first = reports[0].card.live.getAttribute("sid");
          for (let n = 1; n <= 30; n++) await start({ sample: "small", title: `${n}.csv` });
          return [first, left];
        }"""
    )
    assert left == [first]
    assert await page.locator(".job").count() == 30


@pytest.mark.slow
async def test_what_no_node_has_yet_has_a_bar_with_a_name(page: "Page") -> None:
    asked: list[Route] = []
    await page.route("**/demo/jobs?*", lambda route: asked.append(route))
    await page.get_by_role("button", name="100,000 orders").click()
    await page.get_by_role("progressbar", name="orders-100k.csv", exact=True).wait_for()
    await eventually(lambda: asked, what="the question for a report")
    await asked[0].continue_()
    await ended(card(page, "orders-100k.csv"), "done")


WORDS = {
    "bytes(0)": "0 B",
    "bytes(341150015)": "341 MB",
    "pace({current: 1500, total: 2000})": "1.5 kB of 2.0 kB",
    "pace({current: 1500, total: 2e6, rate: 75700000})": "1.5 kB of 2.0 MB · 75.7 MB/s",
    "pace({current: 5})": "",
    "fractionOf({current: 5, total: 0})": None,
    "fractionOf({current: 5, total: 2})": 1,
    "percentage(0.58)": "58 %",
    "percentage(0.999)": "99 %",
}


async def test_the_page_writes_numbers_as_people_do(page: "Page") -> None:
    calls = ", ".join(f"words.{call}" for call in WORDS)
    written = await page.evaluate(
        f"async () => {{ const words = await import('/demo/wording.js'); return [{calls}]; }}"
    )
    assert dict(zip(WORDS, written, strict=True)) == WORDS
