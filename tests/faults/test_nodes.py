"""Nodes behind nginx are killed, frozen, and restarted under load, one or all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from deploy.local import Node, RabbitMQ
from progress_ws.core.intake import HEARTBEAT
from tests.faults.conftest import Endure, Site
from tests.faults.trial import Load, Trial
from tests.support.files import allow_files
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.broker, pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]

FROZEN_S = 25
MANY = Load(browsers=2_000, sids=200, publishers=2, pause_s=8.0, leaves_s=None, ping_s=20)
#: Two sockets of nginx and one of a node for each browser, and their own here.
SPARE_FILES = 2_500

Harm = Callable[[Sequence[Node]], Awaitable[None]]


async def again(node: Node) -> None:
    node.start()
    await asyncio.to_thread(node.wait_ready)


async def killed(nodes: Sequence[Node]) -> None:
    nodes[0].kill()
    await again(nodes[0])


async def frozen(nodes: Sequence[Node]) -> None:
    nodes[0].freeze()
    try:
        await asyncio.sleep(FROZEN_S)  # the fault itself: the broker gives it up after 18 s
    finally:
        nodes[0].thaw()


async def restarted_in_turn(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.terminate()
        await asyncio.to_thread(node.wait_end)
        await again(node)


@pytest.mark.parametrize("harm", [killed, frozen], ids=lambda f: f.__name__)
async def test_a_node_is(harm: Harm, amqp_url: str, site: Site, endure: Endure) -> None:
    nodes, nginx = site([amqp_url] * 2)

    async def fault(_: Trial) -> None:
        await harm(nodes)

    await endure(fault, doors=[nginx.url], amqp_urls=[amqp_url])


async def test_a_node_is_frozen_while_its_own_heartbeat_is_on_its_way(
    rabbitmq: RabbitMQ, amqp_url: str, site: Site, endure: Endure
) -> None:
    """It hears that one first when it goes on, and must not take its gap for a short one."""
    async with Proxy(rabbitmq.port) as proxy:
        proxied = amqp_url.replace(f":{rabbitmq.port}/", f":{proxy.port}/")
        (node, _), nginx = await asyncio.to_thread(site, [proxied, amqp_url])
        is_frozen = asyncio.Event()

        def freeze(said: bytes) -> None:
            if HEARTBEAT.encode() in said and not is_frozen.is_set():
                node.freeze()
                is_frozen.set()

        async def fault(_: Trial) -> None:
            proxy.on_said = freeze
            try:
                await is_frozen.wait()
                await asyncio.sleep(FROZEN_S)
            finally:
                node.thaw()

        await endure(fault, doors=[nginx.url], amqp_urls=[amqp_url])


@pytest.mark.parametrize("load", [Load(), MANY], ids=lambda load: f"{load.browsers} browsers")
async def test_all_nodes_are_restarted_in_turn(
    load: Load, amqp_url: str, site: Site, endure: Endure
) -> None:
    allow_files(load.browsers + SPARE_FILES)
    nodes, nginx = site([amqp_url] * 3, drain_seconds=2)

    async def fault(_: Trial) -> None:
        await restarted_in_turn(nodes)

    await endure(fault, doors=[nginx.url], amqp_urls=[amqp_url], load=load)
