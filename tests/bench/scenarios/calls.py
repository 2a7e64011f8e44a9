"""What one call costs whoever reports: `post`, and a throttled `advance()`."""

import asyncio
import os
import time
from statistics import median

import tqdm

from progress_ws import BlockingPublisher, Publisher
from tests.bench.advance import measured
from tests.bench.bench import Bench
from tests.bench.peers import Ours
from tests.bench.results import Goal, Result, Row

POSTS = 20_000
CHUNK = 500


def run(bench: Bench) -> Result:
    ours = bench.stage.system(Ours)
    assert isinstance(ours, Ours)
    post, put = asyncio.run(posts(ours.url, bench.stage.sids, bench.scale(9, 3)))
    steps = bench.scale(500_000, 100_000)
    with open(os.devnull, "w") as nowhere, BlockingPublisher(ours.url) as publisher:
        bar = publisher.progress(bench.stage.sids[0], total=steps * 100)
        update = tqdm.tqdm(total=steps * 100, file=nowhere).update
        costs = measured({"advance": _repeat(bar.advance), "update": _repeat(update)}, steps)
    advance, update_ns = costs["advance"], costs["update"]
    return Result(
        "calls",
        "What a call costs the caller, in ns",
        [
            Row("Publisher.post", "ours", {"ns": post}),
            Row("asyncio.Queue.put_nowait", "reference", {"ns": put}),
            Row("advance(), throttled", "ours", {"ns": advance}),
            Row("tqdm: update()", "reference", {"ns": update_ns}),
        ],
        [
            Goal("Publisher.post, beside put_nowait", post / put, 2),
            Goal("advance(), beside tqdm's update()", advance / update_ns, 2),
        ],
    )


async def posts(url: str, sids: list[str], rounds: int) -> tuple[float, float]:
    """Nanoseconds of CPU of one post and of one `put_nowait`: nodes and broker work meanwhile."""
    costs: dict[str, list[float]] = {"post": [], "put": []}
    text = "m" * 120
    async with Publisher(url) as publisher:
        await publisher.send(sids[0], "here")
        for _ in range(rounds):
            spent = 0
            for first in range(0, POSTS, CHUNK):
                began = time.thread_time_ns()
                for number in range(first, first + CHUNK):
                    publisher.post(sids[number % len(sids)], text)
                spent += time.thread_time_ns() - began
                await asyncio.sleep(0)
            await publisher.flush(timeout_s=60)
            costs["post"].append(spent / POSTS)
            queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
            began = time.thread_time_ns()
            for number in range(POSTS):
                queue.put_nowait((sids[number % len(sids)], text))
            costs["put"].append((time.thread_time_ns() - began) / POSTS)
    return median(costs["post"]), median(costs["put"])


def _repeat(step):  # type: ignore[no-untyped-def]
    def repeat(steps: int) -> None:
        for _ in range(steps):
            step()

    return repeat
