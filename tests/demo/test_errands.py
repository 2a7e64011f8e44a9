"""Twenty jobs of one worker, each in a session of its own, followed over one socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from aiohttp.test_utils import TestClient, TestServer

from progress_ws import Publisher, new_sid
from progress_ws.demo import errands, jobs
from progress_ws.demo.app import IDLERS, SID_HEADER, create_demo_app
from progress_ws.demo.errands import ERRANDS, Errand
from progress_ws.demo.job import Job
from progress_ws.node.settings import Settings

Client = TestClient[Any, Any]
Frame = dict[str, Any]
FINAL = {"done", "failed", "cancelled"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    app = create_demo_app(Settings(), folder=tmp_path)
    async with TestClient(TestServer(app)) as client:
        yield client


class Followed:
    """A socket that follows every job of one request, and the newest that it was told of each."""

    def __init__(self, socket: ClientWebSocketResponse, owner: str, answer: Frame) -> None:
        self.socket, self.owner, self.id, self.key = socket, owner, answer["id"], answer["key"]
        self.sids = [job["sid"] for job in answer["jobs"]]
        self.newest: dict[str, Frame] = {}

    @classmethod
    async def begin(cls, client: Client) -> "Followed":
        owner = new_sid()
        async with client.post("/demo/errands", headers={SID_HEADER: owner}) as response:
            assert response.status == 202, await response.text()
            answer = await response.json()
        assert [job["title"] for job in answer["jobs"]] == [errand.title for errand in ERRANDS]
        socket = await client.ws_connect("/websocket/progress?sid=")
        followed = cls(socket, owner, answer)
        for sid in followed.sids:
            await socket.send_json({"type": "follow", "sid": sid})
        return followed

    async def until(self, is_it: Callable[[Frame], object]) -> None:
        """Wait until what was heard last of each fulfils a condition."""
        async with asyncio.timeout(60):
            while len(self.newest) < len(self.sids) or not all(map(is_it, self.newest.values())):
                frame = await self.socket.receive_json()
                if frame["type"] in ("message", "stalled"):
                    assert frame["key"] == self.key
                    self.newest[frame["sid"]] = frame


def state(frame: Frame) -> str:
    return str(frame.get("message", {}).get("state") or frame["type"])


async def test_twenty_jobs_are_watched_killed_tried_again_and_each_is_cancelled_alone(
    client: Client,
) -> None:
    followed = await Followed.begin(client)
    assert len(set(followed.sids)) == 20
    await followed.until(lambda frame: frame["message"].get("current"))
    headers = {SID_HEADER: followed.owner}
    foreign = {SID_HEADER: followed.sids[0]}  # to watch one is no right to kill them all
    address = f"/demo/jobs/{followed.id}"
    async with client.post(f"{address}/kill", headers=foreign) as response:
        assert response.status == 404
    async with client.post(f"{address}/kill", headers=headers) as response:
        assert response.status == 202
    await followed.until(lambda frame: state(frame) == "stalled")
    async with client.post(f"{address}/retry", headers=headers) as response:
        assert response.status == 202
    await followed.until(lambda frame: state(frame) == "running")
    assert {frame["message"]["attempt"] for frame in followed.newest.values()} == {2}

    first, *others = followed.sids
    await followed.socket.send_json({"type": "cancel", "sid": first, "key": followed.key})
    await followed.until(lambda frame: frame["sid"] != first or state(frame) == "cancelled")
    assert {state(followed.newest[sid]) for sid in others} == {"running"}


async def test_what_was_over_stays_so_when_nobody_replaces_the_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.2)
    followed = await Followed.begin(client)
    await followed.until(lambda frame: frame["message"].get("current"))
    first, *others = followed.sids
    await followed.socket.send_json({"type": "cancel", "sid": first, "key": followed.key})
    await followed.until(lambda frame: frame["sid"] != first or state(frame) == "cancelled")
    headers = {SID_HEADER: followed.owner}
    async with client.post(f"/demo/jobs/{followed.id}/kill", headers=headers) as response:
        assert response.status == 202
    await followed.until(lambda frame: frame["sid"] == first or state(frame) == "failed")
    assert "was killed (SIGKILL)" in followed.newest[others[0]]["message"]["error"]
    assert state(followed.newest[first]) == "cancelled"


async def test_so_many_workers_run_errands_at_once_and_others_wait_in_line(client: Client) -> None:
    begun = [await Followed.begin(client) for _ in range(IDLERS + 1)]
    await begun[-1].until(lambda frame: state(frame) == "queued")
    for followed in begun[:-1]:
        await followed.until(lambda frame: state(frame) == "running")


async def test_each_errand_ends_as_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of the test's, where their services answer at once."""
    monkeypatch.setattr(errands, "STEP_S", 0.001)
    monkeypatch.setattr(errands, "SHORTEST_S", 0.01)
    monkeypatch.setattr(errands, "LONGEST_S", 0.02)
    bars: dict[str, Any] = {}
    async with Publisher("http://127.0.0.1:9", token="unheard") as publisher:  # nobody is there
        made = publisher.progress

        def progress(sid: str, **options: Any) -> Any:
            bars[sid] = made(sid, **options)
            return bars[sid]

        monkeypatch.setattr(publisher, "progress", progress)
        titles = {new_sid(): errand.title for errand in ERRANDS}
        job = Job(id="i" * 32, sid=new_sid(), title="t", node="n", folder="", errands=titles)
        await errands.run(job, publisher, stall_s=3)
        await publisher.close(timeout_s=0)
    ends = {titles[sid]: bar.state for sid, bar in bars.items()}
    assert set(ends.values()) <= FINAL
    assert [title for title, end in ends.items() if end == "failed"] == [
        errand.title for errand in ERRANDS if errand.error
    ]


def test_every_errand_can_be_told_from_the_others() -> None:
    assert len({errand.title for errand in ERRANDS}) == len(ERRANDS) == 20
    assert all(isinstance(errand, Errand) and errand.unit for errand in ERRANDS)


async def test_a_foreign_page_or_none_gets_no_errands(client: Client) -> None:
    async with client.post("/demo/errands") as response:
        assert response.status == 400
    headers = {SID_HEADER: new_sid(), "Origin": "https://evil.example"}
    async with client.post("/demo/errands", headers=headers) as response:
        assert response.status == 403


async def test_the_page_is_told_the_nodes_names_and_counts_and_no_more(client: Client) -> None:
    async with client.ws_connect("/websocket/progress") as socket:
        name = (await socket.receive_json())["node"]
        async with asyncio.timeout(10):
            while True:  # a node counts in each of its heartbeats
                async with client.get("/demo/nodes") as response:
                    told = await response.json()
                if told["nodes"] and told["nodes"][0]["connections"]:
                    break
                await asyncio.sleep(0.1)
    assert told == {"node": name, "nodes": [{"node": name, "connections": 1}]}
