"""A RabbitMQ cluster loses the broker that leads the stream."""

import asyncio

import pytest

from deploy.local import RabbitMQCluster
from tests.faults.conftest import Endure, Site
from tests.faults.trial import Trial

pytestmark = [pytest.mark.broker, pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]

STREAM = "progress-ws.history"
AWAY_S = 5


async def test_the_leader_of_the_stream_is_killed_and_comes_back(
    rabbitmq_cluster: RabbitMQCluster, site: Site, endure: Endure
) -> None:
    """Each node and each publisher has a broker of its own, so one of each loses it."""

    async def fault(_: Trial) -> None:
        leader = await asyncio.to_thread(rabbitmq_cluster.leader, STREAM)
        leader.kill()
        await asyncio.to_thread(rabbitmq_cluster.leader, STREAM)
        await asyncio.sleep(AWAY_S)  # the fault itself: the others go on without it
        leader.start()
        await asyncio.to_thread(leader.wait_ready)

    urls = [broker.amqp_url() for broker in rabbitmq_cluster.brokers]
    _, nginx = site(urls)
    await asyncio.to_thread(rabbitmq_cluster.wait_replicated, STREAM)
    await endure(fault, doors=[nginx.url], amqp_urls=urls)
