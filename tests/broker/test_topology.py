"""What stands on RabbitMQ, as its management API shows it."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local import RabbitMQ
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from progress_ws.broker.seam import LinkLost, Unroutable
from progress_ws.broker.topology import Names
from tests.broker.conftest import NAMES, batch, listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

MiB = 1024 * 1024


@pytest.fixture
def feed(amqp_url: str) -> AmqpFeed:
    return AmqpFeed(amqp_url, NAMES, node="host-1.example")


@pytest.fixture
def queues(rabbitmq: RabbitMQ, vhost: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: rabbitmq.management.queues(vhost)


Queues = Callable[[], list[dict[str, Any]]]


async def only(queues: Queues) -> dict[str, Any]:
    """The one queue, once its statistics are there."""

    def found() -> dict[str, Any] | None:
        (queue,) = queues()
        return queue if "exclusive_consumer_tag" in queue or "consumers" in queue else None

    queue = await eventually(found, what="the queue's statistics")
    assert queue is not None
    return queue


def assert_durable(rabbitmq: RabbitMQ, vhost: str, name: str, *, type: str) -> None:
    exchange = rabbitmq.management.request("GET", "exchanges", vhost, name)
    seen = {k: exchange[k] for k in ("type", "durable", "auto_delete", "internal", "arguments")}
    assert seen == {
        "type": type,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


async def test_the_exchange_is_a_durable_fanout(
    feed: AmqpFeed, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed):
        assert_durable(rabbitmq, vhost, "progress-ws", type="fanout")


async def test_the_control_exchange_is_a_durable_direct_one(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with open_link(amqp_url, NAMES, name="a node", declare=True):
        assert_durable(rabbitmq, vhost, "progress-ws.control", type="direct")


async def test_a_missing_control_exchange_harms_no_link(feed: AmqpFeed, amqp_url: str) -> None:
    async with listening(feed), open_link(amqp_url, NAMES, name="x") as link:
        for _ in range(2):
            with pytest.raises(Unroutable, match="control"):
                await link.ask("progress-ws.cancel", b"{}", to="somebody")
            await link.announce("progress-ws.x", b"{}")
        async with open_link(amqp_url, NAMES, name="a node", declare=True):
            pass
        with pytest.raises(Unroutable, match="no queue"):
            await link.ask("progress-ws.cancel", b"{}", to="somebody")


async def test_the_exchange_outlives_all_nodes(
    feed: AmqpFeed, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed):
        pass
    rabbitmq.management.request("GET", "exchanges", vhost, "progress-ws")


async def test_a_node_queue_is_exclusive_auto_deleted_and_bounded(
    feed: AmqpFeed, queues: Queues
) -> None:
    async with listening(feed):
        queue = await only(queues)
        assert re.fullmatch(r"progress-ws\.node\.host-1\.example\.[0-9a-f]{8,}", queue["name"])
        assert (queue["auto_delete"], queue["durable"]) == (True, False)
        assert queue["exclusive"] or queue["owner_pid_details"]["name"]
        assert queue["arguments"]["x-overflow"] == "drop-head"
        assert MiB <= queue["arguments"]["x-max-length-bytes"] <= 1024 * MiB
        # RabbitMQ 4 refuses or ignores these.
        assert not queue["arguments"].keys() & {"x-queue-mode", "x-queue-version"}


async def test_every_connection_has_a_queue_of_a_fresh_name(feed: AmqpFeed, queues: Queues) -> None:
    """The name of an exclusive queue is refused for as long as its former owner is believed in."""
    names = set()
    async with listening(feed):
        for n in range(3):
            await eventually(lambda: len(queues()) == 1, what="the former queue is gone")
            names.add((await only(queues))["name"])
            feed.resubscribe("a test wants it")
            await eventually(lambda n=n: feed.reconnects == n + 1 and not feed.trouble)
    assert len(names) == 3


async def test_a_feed_that_ended_leaves_no_queue_and_no_connection(
    feed: AmqpFeed, queues: Queues, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed):
        await eventually(lambda: rabbitmq.management.connections(vhost))
    await eventually(lambda: not queues(), what="no queue")
    await eventually(lambda: not rabbitmq.management.connections(vhost), what="no connection")


async def test_the_management_ui_tells_which_connection_is_whose(
    feed: AmqpFeed, amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed), open_link(amqp_url, NAMES, name="progress-ws publisher x"):

        def names() -> list[str]:
            connections = rabbitmq.management.connections(vhost)
            return sorted(c["client_properties"]["connection_name"] for c in connections)

        expected = ["progress-ws node host-1.example: consuming", "progress-ws publisher x"]
        await eventually(lambda: names() == expected, what="both connections by name")


async def test_the_consumer_has_the_nodes_name_too(
    feed: AmqpFeed, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed):

        def consumers() -> list[dict[str, Any]]:
            return list(rabbitmq.management.request("GET", "consumers", vhost))

        (consumer,) = await eventually(consumers, what="the consumer")
        assert consumer["consumer_tag"] == "host-1.example"
        assert consumer["prefetch_count"] > 100


async def test_another_prefix_is_another_world(amqp_url: str) -> None:
    other = Names("other.prefix")
    async with (
        listening(AmqpFeed(amqp_url, NAMES, node="a")) as here,
        listening(AmqpFeed(amqp_url, other, node="a")) as there,
        open_link(amqp_url, other, name="x") as link,
    ):
        await link.put(batch("there"))
        await there.hears(1)
        assert here.heard == []


async def test_what_is_not_acknowledged_yet_is_acknowledged_soon(
    feed: AmqpFeed, amqp_url: str, queues: Queues
) -> None:
    """Few messages, and more than one round of acknowledgements."""
    async with listening(feed) as ear, open_link(amqp_url, NAMES, name="x") as link:
        for count in (1, 99, 1001):
            for n in range(count):
                await link.put(batch(n))
            await ear.hears(count)
            await eventually(
                lambda: queues()[0].get("messages") == 0,
                what="nothing on the broker, read or unread",
            )
            ear.heard.clear()


@pytest.mark.parametrize("kind", ["direct", "topic", "headers"])
async def test_an_exchange_of_another_kind_is_told_with_the_mend(
    kind: str, feed: AmqpFeed, amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    body = {"type": kind, "durable": True}
    rabbitmq.management.request("PUT", "exchanges", vhost, "progress-ws", body=body)
    async with listening(feed, subscribed=False):
        trouble = await eventually(lambda: "'progress-ws'" in feed.trouble and feed.trouble)
        assert "fanout" in trouble
        assert "PROGRESS_WS_PREFIX" in trouble
        with pytest.raises(LinkLost, match="fanout"):
            async with open_link(amqp_url, NAMES, name="x", declare=True):
                pytest.fail("a node would publish into the wrong exchange")
        rabbitmq.management.request("DELETE", "exchanges", vhost, "progress-ws")
        await eventually(lambda: feed.trouble is None, what="healed once it is mended")


async def test_a_transient_exchange_is_told_too(
    feed: AmqpFeed, rabbitmq: RabbitMQ, vhost: str
) -> None:
    body = {"type": "fanout", "durable": False}
    rabbitmq.management.request("PUT", "exchanges", vhost, "progress-ws", body=body)
    async with listening(feed, subscribed=False):
        await eventually(lambda: "durable fanout" in feed.trouble)
