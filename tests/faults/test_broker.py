"""The one RabbitMQ is killed, stopped, frozen, out of memory, or throws everybody out."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deploy.local import RabbitMQ
from tests.faults.conftest import Endure, Site
from tests.faults.trial import Trial

pytestmark = [pytest.mark.broker, pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]

NODES = 2
#: The faults themselves: longer than the heartbeat bears, and longer than impatient callers wait.
FROZEN_S = 30
ALARM_S = 8
ROUNDS = 3

Harm = Callable[[RabbitMQ], Awaitable[None]]


async def restart(rabbitmq: RabbitMQ, end: Callable[[], None]) -> None:
    await asyncio.to_thread(end)
    rabbitmq.start()
    await asyncio.to_thread(rabbitmq.wait_ready)


async def killed(rabbitmq: RabbitMQ) -> None:
    await restart(rabbitmq, rabbitmq.kill)


async def stopped(rabbitmq: RabbitMQ) -> None:
    await restart(rabbitmq, rabbitmq.stop)


async def frozen(rabbitmq: RabbitMQ) -> None:
    rabbitmq.freeze()
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        rabbitmq.thaw()


async def out_of_memory(rabbitmq: RabbitMQ) -> None:
    limit = ("set_vm_memory_high_watermark", "absolute")
    await asyncio.to_thread(rabbitmq.ctl, *limit, "1MB")
    try:
        await asyncio.sleep(ALARM_S)
    finally:
        await asyncio.to_thread(rabbitmq.ctl, *limit, "1GB")


async def throws_everybody_out(rabbitmq: RabbitMQ) -> None:
    for _ in range(ROUNDS):
        await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "by a test")
        await asyncio.sleep(1)  # the next round meets them as they come back


@pytest.mark.parametrize(
    "harm", [killed, stopped, frozen, out_of_memory, throws_everybody_out], ids=lambda f: f.__name__
)
async def test_the_broker_is(
    harm: Harm,
    own_rabbitmq: RabbitMQ,
    site: Site,
    endure: Endure,
) -> None:
    async def fault(_: Trial) -> None:
        await harm(own_rabbitmq)

    url = own_rabbitmq.amqp_url()
    _, nginx = site([url] * NODES)
    await endure(fault, doors=[nginx.url], amqp_urls=[url])
