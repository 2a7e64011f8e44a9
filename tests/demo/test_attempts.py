"""A job's life as its browser sees it: its parts, its cancelling, its worker's death, a retry."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from aiohttp.test_utils import TestClient, TestServer

from progress_ws import new_sid
from progress_ws.demo import jobs, worker
from progress_ws.demo.app import SID_HEADER, create_demo_app
from progress_ws.demo.folder import Folder
from progress_ws.node.settings import Settings
from tests.support.waiting import eventually

Frame = dict[str, Any]

TABLE = b"city,price\n" + b"Berlin,1.5\nParis,2.5\n" * 50
LARGE = "?sample=large"
"""Work for longer than any of these tests looks at it."""

DYING = """
import json, os, sys
job = json.load(sys.stdin)
files = ["part"] if job["sample_rows"] is None else ["part", "upload"]
for end in files:
    open(f"{job['folder']}/{job['id']}.{end}", "w").write("half a line")
os.kill(os.getpid(), 9)
"""


class Watched:
    """A job, and what its browser is told of it."""

    def __init__(
        self, client: TestClient[Any, Any], socket: ClientWebSocketResponse, sid: str
    ) -> None:
        self.client, self.socket, self.sid = client, socket, sid
        self.key = self.id = ""
        self.frames: list[Frame] = []

    async def begin(self, query: str = "", data: bytes | None = None) -> None:
        """Have it taken."""
        headers = {SID_HEADER: self.sid}
        async with self.client.post(f"/demo/jobs{query}", data=data, headers=headers) as response:
            answer = await response.json()
        self.key, self.id = answer["key"], answer["id"]

    async def until(self, is_it: Callable[[Frame], object]) -> Frame:
        """Return the first frame of the job itself that fulfils a condition."""
        async with asyncio.timeout(60):
            while True:
                frame: Frame = await self.socket.receive_json()
                self.frames.append(frame)
                if frame.get("key") == self.key and is_it(frame):
                    return frame

    async def end(self) -> Frame:
        """Return its last update."""
        return dict((await self.until(lambda frame: frame.get("final")))["message"])

    async def works(self) -> Frame:
        """Wait until a worker is in the middle of it."""
        return await self.until(lambda frame: "total" in frame.get("message", ()))

    async def cancel(self) -> None:
        """Ask the worker to stop."""
        await self.socket.send_json({"type": "cancel", "sid": self.sid, "key": self.key})

    async def ask(self, deed: str, *, sid: str | None = None, **headers: str) -> int:
        """Ask for something to be done to it; return the answer's status."""
        headers |= {SID_HEADER: self.sid if sid is None else sid}
        address = f"/demo/jobs/{self.id}/{deed}"
        async with self.client.post(address, headers=headers) as response:
            return response.status


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
async def job(folder: Folder) -> AsyncIterator[Watched]:
    app = create_demo_app(Settings(), folder=folder.path)
    sid = new_sid()
    async with TestClient(TestServer(app)) as client:
        async with client.ws_connect(f"/websocket/progress?sid={sid}") as socket:
            yield Watched(client, socket, sid)


async def is_empty(folder: Folder, *, but: str = "") -> None:
    """Wait until nothing is left of any job, but what ends so."""

    def left() -> list[Path]:
        return [path for path in folder.path.iterdir() if not but or path.suffix != but]

    await eventually(lambda: not left(), what="removal of what the job needed")


@pytest.mark.slow
async def test_the_bars_of_the_parts_make_up_that_of_the_job(job: Watched) -> None:
    await job.begin("?sample=small")
    assert (await job.end())["state"] == "done"
    told = [(each["key"], each["message"]) for each in job.frames if each["type"] == "message"]
    own = [update for key, update in told if key == job.key and "total" in update]
    shares = [update["current"] / update["total"] for update in own]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert shares[-1] == 1
    assert "Profiling the columns" in {update.get("phase") for update in own}
    parts = {key: update for key, update in told if update.get("parent") == job.key}
    assert {key.partition("/")[2]: update["unit"] for key, update in parts.items()} == {
        "1-sample": "rows",
        "2-look": "B",
        "3-profile": "rows",
        "4-write": "columns",
    }
    assert all(update["current"] == update["total"] for update in parts.values())
    assert {update["state"] for update in parts.values()} == {"done"}


async def test_a_job_that_is_cancelled_stops_and_leaves_nothing(
    job: Watched, folder: Folder
) -> None:
    await job.begin(LARGE)
    told = (await job.works())["message"]
    assert told["cancellable"] is True
    assert told["current"] < 20  # it speaks from the beginning, however busy its worker is
    await job.cancel()
    end = await job.end()
    assert end["state"] == "cancelled"
    assert end["current"] < end["total"]
    await is_empty(folder)


async def test_a_killed_worker_is_missed_and_another_heals_the_bar(
    job: Watched, folder: Folder
) -> None:
    await job.begin(LARGE)
    first = await job.works()
    assert await job.ask("kill") == 202
    stalled = await job.until(lambda frame: frame["type"] == "stalled")
    assert worker.STALL_S <= stalled["silent_s"] < jobs.RETRY_S
    assert await job.ask("kill") == 404
    assert await job.ask("retry") == 202
    second = await job.works()
    assert second["run"] > first["run"]
    assert second["message"]["attempt"] == 2
    assert await job.ask("retry") == 404
    await job.cancel()
    end = await job.end()
    assert (end["state"], end["attempt"]) == ("cancelled", 2)
    await is_empty(folder)


@pytest.mark.parametrize(
    ("query", "data", "result"),
    [
        ("", TABLE, "100 rows, 2 columns"),
        pytest.param("?sample=small", None, "100,000 rows, 14 columns", marks=pytest.mark.slow),
    ],
)
async def test_another_attempt_has_all_that_it_needs(
    job: Watched,
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    data: bytes | None,
    result: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "WORKER", ("-c", DYING))
        await job.begin(query, data)
        await eventually(lambda: list(folder.path.glob("*.retry")), what="the offer to try again")
    assert await job.ask("retry") == 202
    end = await job.end()
    assert (end["state"], end["attempt"], end["text"]) == ("done", 2, result)
    await is_empty(folder, but=".html")


async def test_nobody_wants_another_attempt(
    job: Watched, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs.RETRY_S > 4 * worker.STALL_S  # else its silence could not be seen
    monkeypatch.setattr(jobs, "RETRY_S", 0.2)
    monkeypatch.setattr(jobs, "WORKER", ("-c", DYING))
    await job.begin("", TABLE)
    end = await job.end()
    assert (end["state"], end["attempt"]) == ("failed", 1)
    assert "was killed (SIGKILL)" in end["error"]
    await is_empty(folder)
    assert await job.ask("retry") == 404


async def test_only_who_knows_the_sid_may_do_something_to_a_job(job: Watched) -> None:
    await job.begin(LARGE)
    await job.works()
    for sid in (new_sid(), "", "\xff" * 20):
        assert await job.ask("kill", sid=sid) == 404
    assert await job.ask("retry") == 404
    assert await job.ask("kill", Origin="https://evil.example") == 403
    assert await job.ask("burn") == 404
    await job.cancel()
    assert (await job.end())["state"] == "cancelled"
