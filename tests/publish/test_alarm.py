"""RabbitMQ raises an alarm (memory, disk): it stays connected, and takes nothing meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.error import HTTPError

import pytest

from deploy.local import RabbitMQ
from progress_ws import BlockingPublisher, Publisher, PublishError, new_sid
from progress_ws.broker import sender
from progress_ws.broker.feed import AmqpFeed
from tests.broker.conftest import NAMES, listening
from tests.publish.test_amqp import messages
from tests.support.waiting import eventually, stopwatch

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SHORT_OF = {
    "disk": (("set_disk_free_limit",), "100000GB", "50MB"),
    "memory": (("set_vm_memory_high_watermark", "absolute"), "1MB", "1GB"),
}


def has_alarm(rabbitmq: RabbitMQ) -> bool:
    """Whether the broker says so itself."""
    try:
        rabbitmq.management.request("GET", "health", "checks", "alarms")
    except HTTPError as refusal:
        with refusal:
            return refusal.code == 503
    return False


@asynccontextmanager
async def alarm(rabbitmq: RabbitMQ, short_of: str = "memory") -> AsyncIterator[None]:
    """Let the broker be short of something for a while."""
    limit, on, off = SHORT_OF[short_of]
    await asyncio.to_thread(rabbitmq.ctl, *limit, on)
    try:
        await eventually(lambda: has_alarm(rabbitmq), what="the alarm is on")
        yield
    finally:
        await asyncio.to_thread(rabbitmq.ctl, *limit, off)


def once(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a node makes of it: the first of each number, and nothing of a void."""
    by_id: dict[str, dict[str, Any]] = {}
    for message in found:
        by_id.setdefault(message["id"], message)
    return [message for message in by_id.values() if "message" in message]


@pytest.mark.parametrize("short_of", SHORT_OF)
async def test_an_alarm_is_told_and_what_was_held_back_arrives_once(
    short_of: str, own_rabbitmq: RabbitMQ
) -> None:
    url, sid = own_rabbitmq.amqp_url(), new_sid()
    async with listening(AmqpFeed(url, NAMES, node="a")) as ear, Publisher(url) as publisher:
        await publisher.send(sid, "before")
        async with alarm(own_rabbitmq, short_of):
            with stopwatch() as seconds:
                with pytest.raises(
                    PublishError, match=r"may still arrive.*RabbitMQ at .* has an alarm"
                ):
                    await publisher.send(sid, "held back", timeout_s=1)
                assert seconds() < 2
            for n in range(100):
                publisher.post(sid, n, key="k")
            # A node that starts now hears, though nobody can publish.
            async with listening(AmqpFeed(url, NAMES, node="b")):
                pass
        await publisher.send(sid, "after", timeout_s=30)
        await eventually(lambda: messages(ear)[-1].get("message") == "after")
        found = [message["message"] for message in messages(ear)]
        assert found == ["before", "held back", 99, "after"]
        assert ear.feed.reconnects == 0


async def test_an_alarm_that_outlasts_every_patience(
    own_rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is opened anew again and again; the buffer is bounded; nothing is there twice."""
    monkeypatch.setattr(sender, "CONFIRM_TIMEOUT_S", 1)
    url, sid = own_rabbitmq.amqp_url(), new_sid()
    async with (
        listening(AmqpFeed(url, NAMES, node="a")) as ear,
        Publisher(url, max_buffer_bytes=100_000) as publisher,
    ):
        await publisher.send(sid, "before")
        async with alarm(own_rabbitmq):
            given_up = [publisher.send(sid, f"given up {n}", timeout_s=3) for n in range(20)]
            outcomes = await asyncio.gather(*given_up, return_exceptions=True)
            assert all(isinstance(outcome, PublishError) for outcome in outcomes)
            for n in range(1000):
                publisher.post(sid, n, key=f"k{n % 10}")
            assert not publisher.dropped, "only the newest of each key waits"
            while not publisher.dropped:
                publisher.post(sid, "x" * 1000)
        sent = await publisher.send(sid, "after", timeout_s=60)
        await eventually(lambda: sent in [message["id"] for message in messages(ear)])
    found = once(messages(ear))
    values = [message["message"] for message in found if message["message"] != "x" * 1000]
    assert values[0] == "before"
    assert [v for v in values if isinstance(v, int)] == list(range(990, 1000))
    assert len(values) == len(set(values))
    assert values[-1] == "after"
    numbers = [int(message["id"].rpartition("-")[2]) for message in found]
    assert numbers == sorted(numbers)


async def test_the_end_during_an_alarm_is_in_time_and_told_once(
    own_rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    url, sid = own_rabbitmq.amqp_url(), new_sid()
    async with listening(AmqpFeed(url, NAMES, node="a")):
        publisher = Publisher(url)
        publisher.start()
        await publisher.send(sid, "before")
        async with alarm(own_rabbitmq):
            for n in range(10):
                publisher.post(sid, n)
            with pytest.raises(PublishError):
                await publisher.send(sid, "given up", timeout_s=0.5)
            with stopwatch() as seconds:
                assert await publisher.close(timeout_s=1) == 10
                assert seconds() < 1.5
        warnings = [record for record in caplog.records if record.name == "progress_ws"]
        assert [record.levelno for record in warnings] == [logging.WARNING]
        assert "10 messages could not be sent" in warnings[0].getMessage()
        assert "has an alarm" in warnings[0].getMessage()


async def test_a_job_in_threads_is_not_held_up_by_an_alarm(own_rabbitmq: RabbitMQ) -> None:
    url, sid = own_rabbitmq.amqp_url(), new_sid()

    def work(publisher: BlockingPublisher) -> float:
        with stopwatch() as seconds:
            with publisher.progress(sid, total=1000) as bar:
                for _ in range(1000):
                    bar.advance()
                    publisher.post(sid, "posted", key="k")
            assert "has an alarm" in str(publisher.trouble)
            assert publisher.flush(timeout_s=60) > 0
            return seconds()

    async with listening(AmqpFeed(url, NAMES, node="a")) as ear:
        with BlockingPublisher(url) as publisher:
            publisher.send(sid, "before")
            async with alarm(own_rabbitmq):
                # The broker blocks a connection when it has tried to publish.
                with pytest.raises(PublishError):
                    await asyncio.to_thread(publisher.send, sid, "blocked", timeout_s=1)
                assert await asyncio.to_thread(work, publisher) < 1
            await asyncio.to_thread(publisher.send, sid, "after", timeout_s=30)
        await ear.hears_value("after")
    states = [m["message"]["state"] for m in messages(ear) if m.get("key") == "progress"]
    assert states[-1] == "done"
