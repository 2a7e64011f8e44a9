"""RabbitMQ raises an alarm (memory, disk): it stays connected, and takes nothing meanwhile."""

import asyncio

import pytest

from deploy.local import RabbitMQ
from progress_ws import Publisher, PublishError, new_sid
from progress_ws.broker.feed import AmqpFeed
from tests.broker.conftest import NAMES, listening

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def alarm(rabbitmq: RabbitMQ, *, on: bool) -> None:
    """Let the disk be too full, or not."""
    await asyncio.to_thread(rabbitmq.ctl, "set_disk_free_limit", "100000GB" if on else "50MB")


async def test_an_alarm_is_told_and_what_was_held_back_arrives_once(
    own_rabbitmq: RabbitMQ,
) -> None:
    url, sid = own_rabbitmq.amqp_url(), new_sid()
    async with listening(AmqpFeed(url, NAMES, node="a")) as ear, Publisher(url) as publisher:
        await publisher.send(sid, "before")
        await alarm(own_rabbitmq, on=True)
        with pytest.raises(PublishError, match="may still arrive"):
            await publisher.send(sid, "held back", timeout_s=1)
        for n in range(100):
            publisher.post(sid, n, key="k")
        # A node that starts now hears, though nobody can publish.
        async with listening(AmqpFeed(url, NAMES, node="b")):
            pass
        await alarm(own_rabbitmq, on=False)
        await publisher.send(sid, "after", timeout_s=30)
        await ear.hears_value("after")
        assert ear.values == ["before", "held back", 99, "after"]
        assert ear.feed.reconnects == 0
