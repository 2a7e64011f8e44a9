"""A cluster to harm, and a trial that tells what came of it."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local import Installation, Nginx, Node, RabbitMQCluster
from tests.faults.trial import Fault, Load, Trial
from tests.support.parts import running, subfolder

NAMES = "abc"

Site = Callable[..., tuple[list[Node], Nginx]]
Endure = Callable[..., Awaitable[Trial]]


@pytest.fixture
def site(session_folder: Path) -> Iterator[Site]:
    """Start nodes and nginx: `site([url, url])`, a node for each address of RabbitMQ."""
    with ExitStack() as stack:

        def start(amqp_urls: Sequence[str], **settings: object) -> tuple[list[Node], Nginx]:
            own = subfolder(session_folder)
            nodes = [
                Node(own, node=name, amqp_url=url, **settings)
                for name, url in zip(NAMES, amqp_urls, strict=False)
            ]
            for node in nodes:
                stack.enter_context(running(node, wait=False))
            for node in nodes:
                node.wait_ready()
            nginx = Nginx(own / "nginx", [node.port for node in nodes])
            return nodes, stack.enter_context(running(nginx))

        yield start


@pytest.fixture
def rabbitmq_cluster(session_folder: Path, installation: Installation) -> Iterator[RabbitMQCluster]:
    """Three brokers for this test alone."""
    cluster = RabbitMQCluster(subfolder(session_folder), installation=installation)
    with ExitStack() as stack:
        for broker in cluster.brokers:
            stack.enter_context(running(broker, wait=False))
        cluster.wait_ready()
        yield cluster


@pytest.fixture
def endure(record_property: Callable[[str, object], None]) -> Endure:
    """Run a trial, report its figures at the end of the session, and judge it."""

    async def run(
        fault: Fault, *, doors: Sequence[str], amqp_urls: Sequence[str], load: Load | None = None
    ) -> Trial:
        trial = Trial(doors=doors, amqp_urls=amqp_urls, load=load)
        try:
            await trial.endure(fault)
        finally:
            record_property("ledger", trial.ledger.row())
        verdict = trial.ledger.verdict()
        assert verdict.kept, f"\n{verdict}"
        return trial

    return run
