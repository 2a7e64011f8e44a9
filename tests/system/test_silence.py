"""A worker is killed or frozen: every browser is told so in time, and that it has returned."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from deploy.local import Node, Process, RabbitMQ
from progress_ws import new_sid
from tests.publish.test_alarm import alarm
from tests.support.metrics import metric
from tests.support.parts import running
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually, stopwatch

pytestmark = pytest.mark.broker

PROJECT = Path(__file__).resolve().parents[2]
STALL_S = 1.0
SOON_S = STALL_S + 1
HEALED_S = 30
WORKER = """
import asyncio, sys
from progress_ws import Publisher

async def main(url, sid, stall_s):
    async with Publisher(url) as publisher:
        while True:
            publisher.post(sid, "working", key="report", stall_s=float(stall_s))
            await asyncio.sleep(0.2)

asyncio.run(main(*sys.argv[1:]))
"""

Start = Callable[..., Node]


def working(url: str, sid: str, folder: Path, *, stall_s: float = STALL_S) -> Process:
    """A process that works on one report, and says so five times a second."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    argv = [sys.executable, "-c", WORKER, url, sid, str(stall_s)]
    return Process(argv, log=folder / "w.log", env=env)


@pytest.fixture
def sid() -> str:
    return new_sid()


@pytest.fixture
def worker(amqp_url: str, sid: str, tmp_path: Path) -> Process:
    """One, to be started."""
    return working(amqp_url, sid, tmp_path)


async def next_of(browser: Tab, type_: str) -> float:
    """Read on to the next frame of this type; the seconds that took."""
    with stopwatch() as seconds:
        while (await browser.frame())["type"] != type_:
            pass
        return seconds()


async def sees_silence(browser: Tab) -> None:
    """The worker has just fallen silent, and this browser is told in time, and once."""
    assert await next_of(browser, "stalled") <= SOON_S + 0.5  # a busy machine


async def test_a_killed_worker_is_seen_on_every_node_and_its_return_too(
    amqp_url: str, sid: str, worker: Process, tmp_path: Path, node_process: Start
) -> None:
    nodes = [node_process(amqp_url=amqp_url), node_process(amqp_url=amqp_url)]
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(node.url, sid=sid)) for node in nodes]
        with running(worker):
            for browser in tabs:
                await next_of(browser, "message")
            worker.kill()
        with stopwatch() as seconds:
            for browser in tabs:
                await sees_silence(browser)
            assert seconds() <= SOON_S + 0.5
        for node in nodes:
            late = await stack.enter_async_context(tab(node.url, sid=sid))
            tabs.append(late)
            assert [(await late.frame())["type"] for _ in range(2)] == ["message", "stalled"]
        # It promises less: a moment in which the machine does not let it speak is no silence.
        with running(working(amqp_url, sid, tmp_path, stall_s=HEALED_S)):
            for browser in tabs:
                assert (await browser.frame())["type"] == "message"
            fresh = await stack.enter_async_context(tab(nodes[0].url, sid=sid))
            for _ in range(5):
                assert (await fresh.frame())["type"] == "message"


async def test_a_frozen_worker_is_seen_and_thaws(
    amqp_url: str, sid: str, worker: Process, node_process: Start
) -> None:
    node = node_process(amqp_url=amqp_url)
    async with tab(node.url, sid=sid) as browser:
        with running(worker):
            await next_of(browser, "message")
            worker.freeze()
            await sees_silence(browser)
            worker.thaw()
            assert (await browser.frame())["type"] == "message"


async def test_a_node_that_starts_afterwards_finds_it_out_by_itself(
    amqp_url: str, sid: str, worker: Process, node_process: Start
) -> None:
    node = node_process(amqp_url=amqp_url)
    async with tab(node.url, sid=sid) as browser:
        with running(worker):
            await next_of(browser, "message")
            worker.kill()
        node.kill()
        await browser.close_code()
    node.start()
    await eventually(lambda: node.ready, HEALED_S)
    async with tab(node.url, sid=sid) as browser:
        assert (await browser.frame())["type"] == "message"
        await sees_silence(browser)


@pytest.mark.slow
async def test_an_alarm_of_the_broker_is_no_silence_of_the_worker(
    own_rabbitmq: RabbitMQ, sid: str, tmp_path: Path, node_process: Start
) -> None:
    """It keeps the worker from speaking, and the node's heartbeats, too: the operator is told."""
    url = own_rabbitmq.amqp_url()
    node = node_process(amqp_url=url)
    async with tab(node.url, sid=sid) as browser:
        with running(working(url, sid, tmp_path)):
            await next_of(browser, "message")
            async with alarm(own_rabbitmq):
                await asyncio.sleep(3 * STALL_S)  # nothing may happen meanwhile
                await eventually(lambda: metric(node, "ready") == 0, HEALED_S)
                async with (
                    aiohttp.ClientSession() as http,
                    http.get(f"{node.url}/readyz") as answer,
                ):
                    assert "has an alarm" in (await answer.json())["reason"]
            assert '"event": "the broker takes no messages"' in node.output
            assert "deaf" not in node.output
            for _ in range(15):
                assert (await browser.frame())["type"] == "message"
            await eventually(lambda: node.ready, HEALED_S)


async def test_a_frozen_node_takes_no_worker_for_dead(
    amqp_url: str, sid: str, worker: Process, node_process: Start
) -> None:
    """What was said in time waits for the node when it thaws."""
    node = node_process(amqp_url=amqp_url)
    async with tab(node.url, sid=sid) as browser:
        with running(worker):
            await next_of(browser, "message")
            node.freeze()
            time.sleep(3 * STALL_S)  # nothing here may happen meanwhile
            node.thaw()
            for _ in range(15):
                assert (await browser.frame())["type"] == "message"
