"""RabbitMQ is frozen or restarted under a feed: it notices in time, and comes back."""

import asyncio

import pytest

from deploy.local import RabbitMQ
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from tests.broker.conftest import NAMES, batch, listening
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.slow]

#: (heartbeat + 1) × 3, see `connection.AMQP_HEARTBEAT_S`, and what a busy machine adds.
NOTICED_S = 18 + 12


async def test_a_broker_that_is_frozen_is_noticed_and_waited_for(own_rabbitmq: RabbitMQ) -> None:
    url = own_rabbitmq.amqp_url()
    async with listening(AmqpFeed(url, NAMES, node="a")) as ear:
        own_rabbitmq.freeze()
        try:
            await eventually(lambda: ear.feed.trouble, NOTICED_S, what="the silence is noticed")
        finally:
            own_rabbitmq.thaw()
        await eventually(lambda: ear.feed.trouble is None, 30, what="subscribed again")
        async with open_link(url, NAMES, name="x") as link:
            await link.put(batch("after"))
        await ear.hears_value("after")
        # The broker has forgotten the connection that was lost, with its queue.
        await eventually(lambda: len(own_rabbitmq.management.queues("/")) == 1, 30)


async def test_a_start_while_the_broker_is_frozen_succeeds_when_it_thaws(
    own_rabbitmq: RabbitMQ,
) -> None:
    own_rabbitmq.freeze()
    feed = AmqpFeed(own_rabbitmq.amqp_url(), NAMES, node="a")
    async with listening(feed, subscribed=False):
        try:
            await eventually(lambda: "does not answer" in str(feed.trouble), 20)
        finally:
            own_rabbitmq.thaw()
        await eventually(lambda: feed.trouble is None, 30, what="subscribed")


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_broker_that_is_restarted(how: str, own_rabbitmq: RabbitMQ) -> None:
    url = own_rabbitmq.amqp_url()
    async with (
        listening(AmqpFeed(url, NAMES, node="a")) as one,
        listening(AmqpFeed(url, NAMES, node="b")) as two,
    ):
        await asyncio.to_thread(own_rabbitmq.kill if how == "killed" else own_rabbitmq.stop)
        for ear in (one, two):
            await eventually(lambda ear=ear: ear.feed.trouble, what="the loss is noticed")
        own_rabbitmq.start()
        for ear in (one, two):
            await eventually(lambda ear=ear: ear.feed.trouble is None, 90, what="subscribed again")
        async with open_link(url, NAMES, name="x") as link:
            await link.put(batch("after"))
        for ear in (one, two):
            await ear.hears_value("after")
            assert ear.feed.reconnects == 1
