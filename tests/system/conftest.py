"""A whole cluster, shared by the tests of one module."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import Nginx, Node, RabbitMQ
from tests.support.parts import new_vhost, running, subfolder
from tests.support.tab import Tab, tab

TOKEN = "a-token-for-tests"


@dataclass(frozen=True)
class Cluster:
    """RabbitMQ, three nodes, and nginx in front of them without any stickiness."""

    rabbitmq: RabbitMQ
    vhost: str
    nodes: Sequence[Node]
    nginx: Nginx

    @property
    def amqp_url(self) -> str:
        """Where a worker publishes to."""
        return self.rabbitmq.amqp_url(self.vhost)

    @asynccontextmanager
    async def tab_on(self, node: Node, **query: str) -> AsyncIterator[Tab]:
        """Open tabs at nginx until one ends up on this node, as round robin must let it."""
        for _ in range(3 * len(self.nodes)):
            async with tab(self.nginx.url, **query) as opened:
                if opened.node == node.name:
                    yield opened
                    return
        raise AssertionError(f"round robin never came to {node.name}")


@pytest.fixture(scope="module")
def cluster(rabbitmq: RabbitMQ, session_folder: Path) -> Iterator[Cluster]:
    """Three nodes `a`, `b` and `c` with an exchange of their own."""
    with ExitStack() as stack:
        own = subfolder(session_folder)
        vhost = stack.enter_context(new_vhost(rabbitmq))
        nodes = [
            Node(own, node=name, amqp_url=rabbitmq.amqp_url(vhost), publish_token=TOKEN)
            for name in "abc"
        ]
        for node in nodes:
            stack.enter_context(running(node, wait=False))
        for node in nodes:
            node.wait_ready()
        nginx = Nginx(own / "nginx", [node.port for node in nodes])
        yield Cluster(rabbitmq, vhost, nodes, stack.enter_context(running(nginx)))
