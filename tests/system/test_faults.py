"""What goes wrong between a node and RabbitMQ: it says so, heals itself, and loses no browser.

In every test a browser stays attached through the fault and hears what is published afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from deploy.local import Node, RabbitMQ
from progress_ws import Publisher, PublishError
from tests.support.metrics import metric
from tests.support.proxy import Proxy
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

EXCHANGE = "progress-ws"
#: A node that no longer hears says so within this time.
UNREADY_S = 15
HEALED_S = 30
#: Longer than RabbitMQ or the client needs to give a silent connection up (heartbeat 5: 18 s).
STREAM_SAFE_S = 5
LONG_S = 25

Start = Callable[..., Node]


async def unready(node: Node) -> None:
    await eventually(lambda: node.status("/readyz") == 503, UNREADY_S, what="503")


async def ready(node: Node) -> None:
    await eventually(lambda: node.ready, HEALED_S, what="ready again")


@asynccontextmanager
async def survivor(node: Node, amqp_url: str) -> AsyncIterator[Tab]:
    """A browser that hears, before and after, what another process publishes."""
    async with tab(node.url) as browser:
        await say(amqp_url, browser, "before")
        yield browser
        await ready(node)
        await say(amqp_url, browser, "after")


async def say(amqp_url: str, browser: Tab, value: str) -> None:
    async with Publisher(amqp_url) as publisher:
        await publisher.send(browser.sid, value)
    assert await browser.values_until(value) == []


@pytest.mark.parametrize(
    "others",
    [pytest.param(0, id="only node", marks=pytest.mark.slow), pytest.param(1, id="one of two")],
)
async def test_the_binding_is_gone(
    others: int, amqp_url: str, rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    """The classic: the node is connected, can publish, and hears nothing any more."""
    node = node_process(amqp_url=amqp_url)
    async with survivor(node, amqp_url):
        rabbitmq.management.recreate_exchange(vhost, EXCHANGE)
        for _ in range(others):
            # Takes what is published, so that it counts as confirmed.
            await asyncio.to_thread(node_process, amqp_url=amqp_url)
        await unready(node)


async def test_the_queue_is_deleted(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    node = node_process(amqp_url=amqp_url)
    async with survivor(node, amqp_url):
        names = [queue["name"] for queue in rabbitmq.management.queues(vhost)]
        (queue,) = [name for name in names if ".node." in name]
        # Over HTTP an exclusive queue cannot be deleted.
        await asyncio.to_thread(rabbitmq.ctl, "delete_queue", "--vhost", vhost, queue)
        await eventually(lambda: metric(node, "broker_reconnects_total", side="consuming") == 1)
        await eventually(lambda: "its queue was deleted" in node.output, what="a word in the log")


@pytest.mark.slow
async def test_the_exchange_is_deleted(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    node = node_process(amqp_url=amqp_url)
    async with survivor(node, amqp_url):
        rabbitmq.management.request("DELETE", "exchanges", vhost, EXCHANGE)
        await unready(node)


async def test_the_connections_are_closed_in_the_management_ui(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    node = node_process(amqp_url=amqp_url)
    async with survivor(node, amqp_url):
        found = await eventually(lambda: len(of_node(rabbitmq, vhost, node)) == 2)
        assert found
        for name in of_node(rabbitmq, vhost, node):
            rabbitmq.management.close_connection(name)
        for side in ("consuming", "publishing"):
            await eventually(partial(metric, node, "broker_reconnects_total", side=side))


def of_node(rabbitmq: RabbitMQ, vhost: str, node: Node) -> list[str]:
    """The connections that the management UI shows under this node's name."""
    return [
        connection["name"]
        for connection in rabbitmq.management.connections(vhost)
        if node.name in connection.get("client_properties", {}).get("connection_name", "")
    ]


@pytest.mark.parametrize("server_side", [True, False], ids=["both sides", "client side only"])
async def test_tcp_is_reset(
    server_side: bool, rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    """With the client's side only, the broker holds on to the old connection and its queue."""
    async with Proxy(rabbitmq.port) as proxy:
        direct = rabbitmq.amqp_url(vhost)
        node = await asyncio.to_thread(node_process, amqp_url=through(proxy, rabbitmq, vhost))
        async with survivor(node, direct):
            proxy.reset(server_side=server_side)
            await eventually(lambda: metric(node, "broker_reconnects_total", side="consuming") == 1)
            await ready(node)


def through(proxy: Proxy, rabbitmq: RabbitMQ, vhost: str) -> str:
    return rabbitmq.amqp_url(vhost).replace(f":{rabbitmq.port}/", f":{proxy.port}/")


@pytest.mark.slow
async def test_the_network_swallows_everything(
    rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    async with Proxy(rabbitmq.port) as proxy:
        node = await asyncio.to_thread(node_process, amqp_url=through(proxy, rabbitmq, vhost))
        async with survivor(node, rabbitmq.amqp_url(vhost)):
            proxy.black_hole()
            await unready(node)
            await eventually(lambda: metric(node, "broker_reconnects_total"), LONG_S)
            proxy.pass_on()


async def test_the_broker_cannot_be_reached_for_a_while(
    rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    async with Proxy(rabbitmq.port) as proxy:
        node = await asyncio.to_thread(node_process, amqp_url=through(proxy, rabbitmq, vhost))
        async with survivor(node, rabbitmq.amqp_url(vhost)):
            await proxy.refuse()
            await unready(node)
            await proxy.listen()


async def test_a_node_that_starts_before_its_broker_waits_for_it(
    rabbitmq: RabbitMQ, vhost: str, node_process: Start
) -> None:
    async with Proxy(rabbitmq.port) as proxy:
        await proxy.refuse()
        node = node_process(amqp_url=through(proxy, rabbitmq, vhost), wait=False)
        await eventually(lambda: node.status("/healthz") == 200)
        assert node.status("/readyz") == 503
        await proxy.listen()
        await ready(node)


@pytest.mark.slow
async def test_the_broker_is_killed_and_comes_back(
    own_rabbitmq: RabbitMQ, node_process: Start
) -> None:
    url = own_rabbitmq.amqp_url()
    node = node_process(amqp_url=url)
    # RabbitMQ 3.10 does not bring back a stream that was declared just before it was killed.
    await asyncio.sleep(STREAM_SAFE_S)
    async with Publisher(url) as publisher, survivor(node, url) as browser:
        own_rabbitmq.kill()
        await unready(node)
        assert node.status("/healthz") == 200
        with pytest.raises(PublishError):
            await publisher.send(browser.sid, "in vain", timeout_s=1)
        own_rabbitmq.start()
        await asyncio.to_thread(own_rabbitmq.wait_ready)
        await ready(node)
        # A message that was given up may still arrive, but only once, and only before later ones.
        await publisher.send(browser.sid, "the same publisher")
        assert await browser.values_until("the same publisher") in ([], ["in vain"])


@pytest.mark.slow
@pytest.mark.parametrize("freeze_s", [10, LONG_S])
async def test_the_broker_freezes(
    freeze_s: int, own_rabbitmq: RabbitMQ, node_process: Start
) -> None:
    url = own_rabbitmq.amqp_url()
    node = node_process(amqp_url=url)
    async with survivor(node, url):
        own_rabbitmq.freeze()
        try:
            await unready(node)
            await asyncio.sleep(freeze_s)  # the fault itself: it lasts this long
        finally:
            own_rabbitmq.thaw()
        await asyncio.to_thread(own_rabbitmq.wait_ready)


@pytest.mark.slow
async def test_the_broker_is_restarted_in_good_order(
    own_rabbitmq: RabbitMQ, node_process: Start
) -> None:
    url = own_rabbitmq.amqp_url()
    node = node_process(amqp_url=url)
    async with survivor(node, url):
        await asyncio.to_thread(own_rabbitmq.stop)
        own_rabbitmq.start()
        await asyncio.to_thread(own_rabbitmq.wait_ready)
