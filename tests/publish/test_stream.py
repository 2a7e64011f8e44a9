"""The broker is killed and restarted: what is confirmed after it is in the stream."""

import asyncio
import json
from contextlib import suppress

import aio_pika
import pytest

from deploy.local import RabbitMQ
from progress_ws import Publisher
from tests.publish.test_amqp import hammer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

PUBLISHERS = 4
RESTARTS = 2
MORE = 300
RESTARTED_S = 60
READ_S = 15


@pytest.fixture
def history(own_rabbitmq: RabbitMQ) -> RabbitMQ:
    """A broker with the exchange and the stream, and no node.

    Killed within the first second of a stream's life RabbitMQ 3.10 never brings it back; stopped
    once, it has written down that there is one.
    """
    ask = own_rabbitmq.management.request
    ask("PUT", "exchanges", "/", "progress-ws", body={"type": "fanout", "durable": True})
    stream = {"durable": True, "arguments": {"x-queue-type": "stream"}}
    ask("PUT", "queues", "/", "progress-ws.history", body=stream)
    # Another queue, as a node has one: for its sake the broker confirms what the stream never gets.
    ask("PUT", "queues", "/", "other", body={"durable": True})
    for queue in ("progress-ws.history", "other"):
        ask("POST", "bindings", "/", "e", "progress-ws", "q", queue, body={})
    own_rabbitmq.stop()
    own_rabbitmq.start()
    own_rabbitmq.wait_ready()
    return own_rabbitmq


async def missing_from(rabbitmq: RabbitMQ, ids: set[str]) -> set[str]:
    """What of these is not in the stream, read for at most so long."""
    missing = set(ids)

    async def read(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        decoded = json.loads(message.body)
        missing.difference_update(
            member.get("id") for member in (decoded if isinstance(decoded, list) else [decoded])
        )
        await message.ack()

    async with await aio_pika.connect(rabbitmq.amqp_url()) as connection:
        channel = await connection.channel()
        await channel.set_qos(1000)
        queue = await channel.get_queue("progress-ws.history")
        await queue.consume(read, arguments={"x-stream-offset": "first"})
        with suppress(AssertionError):  # the verdict is the test's
            await eventually(lambda: not missing, READ_S)
    return missing


async def test_what_is_confirmed_after_a_restart_is_remembered(history: RabbitMQ) -> None:
    """A broker that has just started confirms what its stream does not get yet."""
    confirmed: dict[str, str] = {}
    stop, again = asyncio.Event(), 0

    async def goes_on() -> None:
        count = len(confirmed) + MORE
        await eventually(lambda: len(confirmed) >= count, RESTARTED_S, what="more is confirmed")

    publishers = [Publisher(history.amqp_url()) for _ in range(PUBLISHERS)]
    for publisher in publishers:
        publisher.start()
    async with asyncio.TaskGroup() as group:
        for n, publisher in enumerate(publishers):
            group.create_task(hammer(publisher, f"s{n}", stop, confirmed))
        await goes_on()
        for _ in range(RESTARTS):
            await asyncio.to_thread(history.kill)
            before = set(confirmed)
            history.start()
            await goes_on()
            again += len(confirmed.keys() - before)
            await asyncio.to_thread(history.wait_ready)
        stop.set()
    for publisher in publishers:
        assert await publisher.close() == 0
    missing = await missing_from(history, set(confirmed.values()))
    assert not missing, f"{len(missing)} of {len(confirmed)}, {again} of them after a restart"
