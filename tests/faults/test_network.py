"""The network between RabbitMQ and a node, or and the publishers, resets, swallows, or delays."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deploy.local import RabbitMQ
from tests.faults.conftest import Endure, Site
from tests.faults.trial import Trial
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.broker, pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]

#: The faults themselves. The hole is longer than the heartbeat of 5 s bears (18 s).
HOLE_S = 25
REFUSED_S = 5
DELAYED_S = 10
DELAY_S = 0.3
RESETS = 5
BETWEEN_S = 0.5

Harm = Callable[[Proxy], Awaitable[None]]


async def resets(proxy: Proxy) -> None:
    for number in range(RESETS):
        # Every second time the broker believes on in the old connection and keeps its queue.
        proxy.reset(server_side=number % 2 == 0)
        await asyncio.sleep(BETWEEN_S)


async def swallows(proxy: Proxy) -> None:
    proxy.black_hole()
    await asyncio.sleep(HOLE_S)
    proxy.pass_on()


async def delays(proxy: Proxy) -> None:
    proxy.delay_s = DELAY_S
    await asyncio.sleep(DELAYED_S)
    proxy.delay_s = 0


async def refuses(proxy: Proxy) -> None:
    await proxy.refuse()
    await asyncio.sleep(REFUSED_S)
    await proxy.listen()


@pytest.mark.parametrize("leg", ["node", "publishers"])
@pytest.mark.parametrize("harm", [resets, swallows, delays, refuses], ids=lambda f: f.__name__)
async def test_the_network(
    harm: Harm, leg: str, rabbitmq: RabbitMQ, amqp_url: str, site: Site, endure: Endure
) -> None:
    async with Proxy(rabbitmq.port) as proxy:

        async def fault(_: Trial) -> None:
            await harm(proxy)

        proxied = amqp_url.replace(f":{rabbitmq.port}/", f":{proxy.port}/")
        node_url, publisher_url = (proxied, amqp_url) if leg == "node" else (amqp_url, proxied)
        _, nginx = await asyncio.to_thread(site, [node_url, amqp_url])
        await endure(fault, doors=[nginx.url], amqp_urls=[publisher_url])
