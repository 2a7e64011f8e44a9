"""Bars on both ways to the browsers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from progress_ws import InvalidMessage, Publisher, new_sid
from progress_ws.publish.track import track
from tests.publish.conftest import Way
from tests.support.waiting import eventually, stopwatch

SID = new_sid()


async def frames_until_final(way: Way, sid: str, key: str = "progress") -> list[dict[str, Any]]:
    """What a browser gets that comes now, up to the end of a key."""
    frames: list[dict[str, Any]] = []
    async with way.node.tab(sid=sid) as browser:
        while not (frames and frames[-1].get("final") and frames[-1]["key"] == key):
            frames.append(await browser.frame())
    return frames


async def test_a_job_is_seen_from_its_beginning_to_its_end(way: Way) -> None:
    sid = new_sid()
    frames: list[dict[str, Any]] = []

    async with way.publisher() as publisher, way.node.tab(sid=sid) as browser:

        async def see(current: int, state: str = "running") -> None:
            while True:
                frames.append(await browser.frame())
                update = frames[-1]["message"]
                if (update["current"], update["state"]) == (current, state):
                    return

        async with publisher.progress(sid, total=3, title="Report", unit="rows") as bar:
            for step in range(3):
                await see(step)  # every one
                bar.advance()
        await see(3, "done")
    updates = [frame["message"] for frame in frames]
    assert {update["kind"] for update in updates} == {"progress"}
    assert [u["current"] for u in updates] == sorted(u["current"] for u in updates)
    assert {frame["run"] for frame in frames} == {bar.run}


async def test_a_browser_that_comes_late_sees_the_state(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher, publisher.progress(sid, total=10) as bar:
        bar.advance(4)

        async def is_seen() -> bool:
            async with way.node.tab(sid=sid) as browser:
                return bool((await browser.frame())["message"]["current"] == 4)

        await eventually(is_seen)


async def test_a_retry_is_a_greater_run_and_says_so(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher:
        with pytest.raises(ValueError, match="broken"):
            async with publisher.progress(sid):
                raise ValueError("broken")
        failed = (await frames_until_final(way, sid))[-1]
        assert failed["message"]["error"] == "ValueError: broken"
        async with publisher.progress(sid, attempt=2):
            pass
        await eventually(lambda: _is_done(way, sid), what="the retry is seen")


async def _is_done(way: Way, sid: str) -> bool:
    last = (await frames_until_final(way, sid))[-1]["message"]
    return bool(last["state"] == "done" and last["attempt"] == 2)


async def test_a_job_in_a_later_event_loop_is_seen_too(way: Way) -> None:
    """A script that runs `asyncio.run` for each of its jobs, and never closes its publisher."""
    publisher = way.publisher()

    async def job(sid: str) -> None:
        publisher.start()
        async with publisher.progress(sid, total=1) as bar:
            bar.advance()

    for sid in (new_sid(), new_sid()):
        await asyncio.to_thread(asyncio.run, job(sid))
        assert (await frames_until_final(way, sid))[-1]["message"]["state"] == "done"


async def test_a_tight_loop_that_lets_nobody_else_run_loses_no_end(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher:
        async with publisher.progress(sid, total=100_000) as bar:
            for _ in range(100_000):
                bar.advance()
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["state"], last["current"]) == ("done", 100_000)


async def test_a_thread_of_the_job_may_use_it(way: Way) -> None:
    sid = new_sid()

    def work(bar: Any) -> None:
        for _ in range(1000):
            bar.advance()
        bar.done("in a thread")

    async with way.publisher() as publisher:
        await asyncio.to_thread(work, publisher.progress(sid, total=1000))
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["current"], last["text"]) == (1000, "in a thread")


async def test_what_still_runs_at_the_end_of_its_publisher_has_failed(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher:
        bar = publisher.progress(sid)
        part = bar.child("part")
    bar.advance()
    bar.done()
    last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["state"], last["error"]) == ("failed", "the publisher was closed")
    assert part.state == "cancelled"


async def test_a_wrong_name_is_told_at_once(way: Way) -> None:
    async with way.publisher() as publisher:
        for wrong in ({"sid": "short"}, {"sid": SID, "key": "k" * 129}, {"sid": SID, "stall_s": 0}):
            with pytest.raises(InvalidMessage):
                publisher.progress(**wrong)


@pytest.mark.parametrize(
    "extra", [object(), "\ud800", "x" * 70_000], ids=["object", "half", "long"]
)
async def test_an_end_that_cannot_be_sent_is_told_without_what_came_with_it(
    way: Way, extra: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "progress_ws")
    sid = new_sid()
    async with way.publisher() as publisher:
        bar = publisher.progress(sid, total=2)
        bar.set(2)
        bar.done("All there", result=extra)
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["state"], last["current"], last["total"]) == ("done", 2, 2)
    assert not {"text", "result"} & last.keys()
    assert caplog.text.count("cannot be sent") == 1


async def test_an_end_that_can_never_be_sent_is_tried_no_more(
    way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "progress_ws")
    async with way.publisher(max_message_bytes=50) as publisher:
        publisher.progress(new_sid()).done("All there")
    assert caplog.text.count("cannot be sent") == 3  # the beginning, the end, and without its text


async def test_a_broker_that_is_away_keeps_no_job_waiting(way: Way) -> None:
    async with way.publisher() as publisher:
        await publisher.send(SID, "connected")
    url = "amqp://guest:guest@127.0.0.1:1/"
    publisher = Publisher(url)
    publisher.start()
    await eventually(lambda: publisher.trouble)
    with stopwatch() as seconds:
        for _ in range(20):
            async with publisher.progress(SID) as bar:
                bar.advance()
        assert seconds() < 1
    await publisher.close(timeout_s=0.1)


# -- loops --------------------------------------------------------------------------------------


async def test_a_loop_is_tracked(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher:
        rows = list(track(["a", "b"], sid=sid, publisher=publisher, title="Import", key="k"))
        last = (await frames_until_final(way, sid, "k"))[-1]["message"]
    assert rows == ["a", "b"]
    assert (last["state"], last["current"], last["total"]) == ("done", 2, 2)
    assert last["title"] == "Import"


async def test_a_loop_whose_length_cannot_be_told(way: Way) -> None:
    """As those of PyTorch over a stream: they have a `__len__`, which raises."""

    class Stream(list[int]):
        def __len__(self) -> int:
            raise NotImplementedError

    sid = new_sid()
    async with way.publisher() as publisher:
        for _ in track(Stream((1, 2)), sid=sid, publisher=publisher):
            pass
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["state"], last["current"], last.get("total")) == ("done", 2, None)


async def test_an_asynchronous_loop_is_tracked(way: Way) -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(3):
            yield n

    sid = new_sid()
    async with way.publisher() as publisher:
        got = [n async for n in track(numbers(), sid=sid, publisher=publisher)]
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert got == [0, 1, 2]
    assert (last["state"], last["current"]) == ("done", 3)
    assert "total" not in last


async def test_a_loop_that_is_left_is_cancelled(way: Way) -> None:
    sid = new_sid()
    async with way.publisher() as publisher:
        for row in track(range(10), sid=sid, publisher=publisher):
            if row == 3:
                break
        last = (await frames_until_final(way, sid))[-1]["message"]
    assert (last["state"], last["current"]) == ("cancelled", 3)


async def test_without_a_sid_a_loop_just_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROGRESS_WS_SID", raising=False)
    assert list(track(range(3))) == [0, 1, 2]
