"""Tasks of a real Celery worker with its prefork pool, on RabbitMQ, as a browser sees them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import celery
import pytest

from deploy.local import Process, RabbitMQ
from progress_ws import BlockingPublisher, Cancelled
from progress_ws.celery import ProgressTask
from progress_ws.errors import InvalidMessage, SettingsError
from progress_ws.node.settings import Settings
from progress_ws.publish import default
from tests.adapters import jobs
from tests.adapters.conftest import SID, Screen
from tests.node.conftest import LiveNode, live_when_ready, say, vhost
from tests.support.parts import running, subfolder
from tests.support.waiting import eventually

__all__ = ["vhost"]

ROOT = Path(__file__).parents[2]
FINAL = {"done", "failed", "cancelled"}
URL = "amqp://127.0.0.1:1"

pytestmark = pytest.mark.broker


class Worker(Process):
    """A Celery worker with two children."""

    def __init__(self, folder: Path, url: str, *more: str) -> None:
        argv = [sys.executable, "-m", "celery", "-A", "tests.adapters.jobs", "worker"]
        argv += ["-P", "prefork", "-c", "2", "-l", "info", "--without-gossip", "--without-mingle"]
        argv += more
        env = {"PATH": os.environ["PATH"], "PROGRESS_WS_AMQP_URL": url, "PYTHONPATH": str(ROOT)}
        super().__init__(argv, log=folder / "celery.log", env=env | {"C_FORCE_ROOT": "1"})

    def wait_ready(self) -> None:
        """Wait until it takes tasks."""
        self.wait_until(lambda: " ready." in self.output, timeout_s=60, what="the worker")


@pytest.fixture(scope="module")
def url(rabbitmq: RabbitMQ, vhost: str) -> str:
    return rabbitmq.amqp_url(vhost)


@pytest.fixture(scope="module")
def worker(url: str, session_folder: Path) -> Iterator[Worker]:
    with running(Worker(subfolder(session_folder), url)) as worker:
        yield worker


@pytest.fixture(scope="module")
def sender(url: str) -> Iterator[BlockingPublisher]:
    """The tests' own process sends tasks and says that they wait."""
    jobs.app.conf.broker_url = url
    with BlockingPublisher(url) as publisher:
        ProgressTask.publisher = publisher
        yield publisher
        ProgressTask.publisher = None
    jobs.app.close()


@pytest.fixture
async def node(url: str) -> AsyncIterator[LiveNode]:
    async with live_when_ready(Settings(amqp_url=url)) as node:
        yield node


Send = Callable[..., Any]


class Page:
    """A browser on one session, and what it was shown."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.sid: str = browser.sid
        self.frames: list[dict[str, Any]] = []

    async def until(self, *states: str, key: str = "progress") -> dict[str, Any]:
        """The message with which the key comes to one of these states."""
        while True:
            frame = await self.browser.frame()
            self.frames.append(frame)
            if frame.get("key") == key and frame["message"]["state"] in (states or FINAL):
                return dict(frame["message"])

    def states(self, key: str = "progress") -> list[tuple[str, int | None]]:
        """The states that a key came through, with its attempts.

        Without repetitions, and without those that may be shorter than a publisher's patience: a
        quick task's running is replaced by its end while it waits to be sent.
        """
        said = [
            (frame["message"]["state"], frame["message"].get("attempt"))
            for frame in self.frames
            if frame.get("key") == key and frame["message"]["state"] != "running"
        ]
        return [state for n, state in enumerate(said) if n == 0 or said[n - 1] != state]


@pytest.fixture
async def page(node: LiveNode, worker: Worker, sender: BlockingPublisher) -> AsyncIterator[Page]:
    async with node.tab() as browser:
        yield Page(browser)


async def send(task: Any, page: Page, *args: Any) -> Any:
    return await asyncio.to_thread(task.apply_async, args, sid=page.sid)


async def test_a_task_waits_runs_and_ends(page: Page) -> None:
    await send(jobs.report, page, 100)
    last = await page.until()
    assert (last["state"], last["current"], last["total"]) == ("done", 100, 100)
    assert (last["title"], last["attempt"]) == ("Report", 1)
    assert page.states()[-1] == ("done", 1)


async def test_it_waits_in_view(page: Page, node: LiveNode, tmp_path: Path) -> None:
    """While both children are busy."""
    others = [await send(jobs.long, page, str(tmp_path / str(n))) for n in range(2)]
    await eventually(lambda: len(list(tmp_path.iterdir())) == 2, 20)
    async with node.tab() as browser:
        waiting = Page(browser)
        await send(jobs.report, waiting, 10)
        assert (await waiting.until("queued"))["title"] == "Report"
        for other in others:
            await asyncio.to_thread(jobs.app.control.revoke, other.id, terminate=True)
        await waiting.until("done")
        assert waiting.states() == [("queued", None), ("done", 1)]


async def test_the_session_may_be_an_argument(page: Page) -> None:
    await asyncio.to_thread(jobs.report.delay, 3, page.sid)
    await page.until("done")
    assert page.states()[-1] == ("done", 1)


async def test_an_attempt_by_hand_that_will_be_repeated_waits(page: Page) -> None:
    await send(jobs.stubborn, page, 2)
    waits = await page.until("queued")
    while not waits.get("attempt"):  # the one of the sender
        waits = await page.until("queued")
    assert waits["text"] == "will be tried again in 1 s: ValueError: broken 0"
    assert "error" not in waits
    last = await page.until()
    assert (last["state"], last["attempt"]) == ("done", 3)
    assert page.states()[-3:] == [("queued", 1), ("queued", 2), ("done", 3)]
    runs = [frame["run"] for frame in page.frames]
    assert runs == sorted(runs)


async def test_the_last_failure_is_one(page: Page) -> None:
    await send(jobs.stubborn, page, 9, 0.2)
    last = await page.until()
    assert (last["state"], last["error"]) == ("failed", "ValueError: broken 2")
    assert last["attempt"] == 3
    assert [state for state, _ in page.states()].count("failed") == 1


async def test_automatic_retries(page: Page) -> None:
    await send(jobs.automatic, page)
    last = await page.until()
    assert (last["state"], last["error"], last["attempt"]) == ("failed", "ValueError: broken", 2)
    assert page.states()[-2:] == [("queued", 1), ("failed", 2)]


async def test_a_retry_inside_of_the_block(page: Page) -> None:
    await send(jobs.inside, page)
    assert (await page.until())["state"] == "done"
    assert page.states()[-2:] == [("queued", 1), ("done", 2)]


@pytest.mark.parametrize(("fails", "state"), [(False, "done"), (True, "failed")])
async def test_a_loop(page: Page, fails: bool, state: str) -> None:
    await send(jobs.looped, page, fails)
    last = await page.until()
    assert (last["state"], last["total"]) == (state, 3)
    assert last.get("error") == ("ValueError: broken" if fails else None)


async def test_several_bars_in_one_attempt(page: Page) -> None:
    await send(jobs.twice, page)
    await page.until("done", key="other")
    assert page.states()[-1] == ("done", 1)
    last = [frame for frame in page.frames if frame["key"] == "progress"][-1]
    assert last["run"].endswith(".0001-0001")


async def test_a_failure_that_the_task_swallows_is_shown_at_its_end(page: Page) -> None:
    await send(jobs.swallows, page)
    assert (await page.until())["error"] == "ValueError: broken"


@pytest.mark.parametrize(("requeue", "state"), [(True, "done"), (False, "failed")])
async def test_a_rejection(page: Page, requeue: bool, state: str) -> None:
    await send(jobs.rejects, page, requeue)
    assert (await page.until())["state"] == state
    assert page.frames[-1]["run"].endswith(".0001~" if requeue else ".0001")


@pytest.mark.parametrize(
    ("ends", "state", "error", "attempt"),
    [
        ("well", "done", None, 1),
        ("failure", "failed", "ValueError: broken", 1),
        ("retry", "done", None, 2),
    ],
)
async def test_a_task_that_shows_nothing_of_what_waits_in_view(
    page: Page, ends: str, state: str, error: str | None, attempt: int
) -> None:
    """It has nothing to do, or fails before its block."""
    await send(jobs.shows_nothing, page, ends)
    last = await page.until()
    assert (last["state"], last.get("error"), last["attempt"]) == (state, error, attempt)
    assert last["title"] == "Report"


async def test_a_task_that_is_ended_by_its_time_limit_has_failed(page: Page) -> None:
    await send(jobs.too_long, page)
    last = await page.until()
    assert (last["state"], last["error"]) == ("failed", "TimeLimitExceeded: 1 s")


# -- cancelled ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
async def test_a_revoked_task_is_cancelled(page: Page, tmp_path: Path, number: str) -> None:
    sent = await send(jobs.long, page, str(tmp_path / "started"))
    await eventually((tmp_path / "started").exists, 20)
    await asyncio.to_thread(jobs.app.control.revoke, sent.id, terminate=True, signal=number)
    last = await page.until()
    assert (last["state"], last["text"]) == ("cancelled", "revoked")


async def test_a_task_revoked_by_sid_alone_says_so_itself(page: Page, tmp_path: Path) -> None:
    """What the worker's main process cannot know, the child tells: the session is an argument."""
    arguments = {"started": str(tmp_path / "started"), "sid": page.sid}
    sent = await asyncio.to_thread(jobs.long.apply_async, (), arguments)
    await eventually((tmp_path / "started").exists, 20)
    await asyncio.to_thread(jobs.app.control.revoke, sent.id, terminate=True)
    last = await page.until()
    assert (last["state"], last["text"]) == ("cancelled", "revoked")


async def test_a_task_revoked_before_it_began_is_cancelled(page: Page) -> None:
    sent = await asyncio.to_thread(jobs.report.apply_async, (1,), sid=page.sid, countdown=3)
    await page.until("queued")
    await asyncio.to_thread(jobs.app.control.revoke, sent.id)
    last = await page.until()
    assert (last["state"], last["text"]) == ("cancelled", "revoked")


async def test_a_task_that_waited_too_long_is_cancelled(page: Page) -> None:
    await asyncio.to_thread(jobs.report.apply_async, (1,), sid=page.sid, countdown=1, expires=0.5)
    last = await page.until()
    assert (last["state"], last["text"]) == ("cancelled", "expired")


async def test_a_browser_ends_a_task(page: Page, worker: Worker, tmp_path: Path) -> None:
    before = worker.output.count("ERROR")
    await send(jobs.long, page, str(tmp_path / "started"), True)
    assert (await page.until("running"))["cancellable"] is True
    await say(page.browser, "cancel", sid=page.sid, key="progress")
    last = await page.until()
    assert last["state"] == "cancelled"
    assert last["current"] < 1000
    assert worker.output.count("ERROR") == before


# -- the end of processes -----------------------------------------------------------------------


async def test_what_waits_at_the_end_of_a_child_is_sent(
    page: Page, worker: Worker, sender: BlockingPublisher
) -> None:
    """Its end is on the spot: neither Python's own nor that of multiprocessing."""
    await send(jobs.ends_its_process, page, page.sid)
    frames = []
    while not frames or frames[-1]["message"] != "the last words":
        frames.append(await page.browser.frame())


@pytest.mark.slow
async def test_a_task_that_another_worker_takes_up_goes_on(
    url: str, node: LiveNode, sender: BlockingPublisher, tmp_path: Path
) -> None:
    """Its own is told to end at once, and has not acknowledged it."""
    started = tmp_path / "started"
    async with node.tab() as browser:
        page = Page(browser)
        other = "-n", "other@%h", "-Q", "other"
        with running(Worker(subfolder(tmp_path), url, *other)) as worker:
            send = partial(jobs.late.apply_async, (str(started),), sid=page.sid, queue="other")
            await asyncio.to_thread(send)
            await eventually(started.exists, 20)
            await page.until("running")
            os.kill(worker.pid, signal.SIGQUIT)
            assert (await page.until("queued"))["text"] == "interrupted"
            await asyncio.to_thread(worker.wait_end)
        with running(Worker(subfolder(tmp_path), url, *other)):
            last = await page.until()
        assert (last["state"], last["current"], last["attempt"]) == ("done", 2, 1)


# -- without a worker ---------------------------------------------------------------------------


class Called(Screen):
    """A publisher for a task that is called here."""

    def flush(self, *, timeout_s: float) -> int:
        return 0


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    screen = Called()
    monkeypatch.setattr(ProgressTask, "publisher", screen)
    return screen


def test_a_task_may_be_called(called: Called) -> None:
    assert jobs.report(3, SID) == "done"
    assert (called.shows()["state"], called.shows()["current"]) == ("done", 3)
    assert jobs.report(3) == "done"
    assert len(called.bars) == 1
    with pytest.raises(ValueError, match="broken"):
        jobs.stubborn(1)


def test_a_task_may_be_applied(called: Called) -> None:
    assert jobs.report.apply((3, SID)).get() == "done"
    assert called.shows()["state"] == "done"
    result = jobs.stubborn.apply((1,), headers={"progress-ws-sid": SID})
    assert result.state == "SUCCESS"
    assert [str(bar.state) for bar in called.bars[1:]] == ["queued", "done"]
    assert called.bars[1].run < called.bars[2].run


@pytest.mark.parametrize(
    ("environ", "sid"),
    [({}, SID), ({"PROGRESS_WS_AMQP_URL": URL}, "short")],
    ids=["no publisher", "no sid"],
)
def test_what_is_set_wrongly_is_told_before_a_task_is_sent(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], sid: str
) -> None:
    """Whoever is told that it failed sends it again."""
    sent: list[Any] = []
    monkeypatch.setattr(celery.Task, "apply_async", lambda *_, **options: sent.append(options))
    monkeypatch.setattr(os, "environ", environ)
    monkeypatch.setattr(ProgressTask, "publisher", None)
    monkeypatch.setattr(default, "_publisher", None)
    with pytest.raises((SettingsError, InvalidMessage)):
        jobs.report.apply_async((1,), sid=sid)
    assert sent == []


def test_called_a_task_is_stopped_by_an_exception(
    called: Called, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROGRESS_WS_SID", SID)
    monkeypatch.setattr("time.sleep", lambda _s: called.bar().request.make())
    with pytest.raises(Cancelled):
        jobs.long(str(tmp_path / "started"), True)
    assert called.shows()["state"] == "cancelled"
    result = jobs.long.apply((str(tmp_path / "started"), True))
    assert result.state == "IGNORED"
    assert called.shows()["state"] == "cancelled"
