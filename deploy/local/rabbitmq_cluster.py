"""Three brokers on this machine that are one RabbitMQ cluster."""

from collections.abc import Sequence
from pathlib import Path

from deploy.local.installation import Installation
from deploy.local.process import wait_for
from deploy.local.rabbitmq import RabbitMQ

BROKERS = 3
FORM_S = 60


class RabbitMQCluster:
    """Brokers with one cookie and one epmd, which find each other once all were started."""

    def __init__(self, folder: Path, *, installation: Installation | None = None) -> None:
        first = RabbitMQ(folder / "1", installation=installation)
        self.brokers: Sequence[RabbitMQ] = [
            first,
            *(
                RabbitMQ(folder / str(number), installation=installation, beside=first)
                for number in range(2, BROKERS + 1)
            ),
        ]
        names = [
            f"cluster_formation.classic_config.nodes.{number} = {broker.name}"
            for number, broker in enumerate(self.brokers, 1)
        ]
        for broker in self.brokers:
            broker.configure(
                "cluster_formation.peer_discovery_backend = classic_config",
                # It serves nobody before the other side is back: what it confirmed must not vanish.
                "cluster_partition_handling = pause_minority",
                *names,
            )

    def wait_ready(self) -> None:
        """Wait until each answers and knows the others."""
        for broker in self.brokers:
            try:
                broker.wait_ready()
            except RuntimeError:
                # While they look for one another a RabbitMQ 4 may die of one that has just looked
                # (an assertion in rabbit_peer_discovery). It is started again, as anybody would.
                broker.start()
                broker.wait_ready()
            broker.wait_until(
                lambda broker=broker: self._members(broker) == BROKERS,  # type: ignore[misc]
                timeout_s=FORM_S,
                what="the forming of the cluster",
            )

    def leader(self, stream: str, *, vhost: str = "/") -> RabbitMQ:
        """The broker that leads a stream: waits until the living ones agree on one of them."""
        alive = {broker.name: broker for broker in self.brokers if broker.alive}
        ask = next(iter(alive.values())).management.request

        def name() -> str:
            try:
                queue = ask("GET", "queues", vhost, stream)
                return str(queue.get("leader") or queue["node"])  # 3.10 has no "leader"
            except (OSError, KeyError):
                return ""

        wait_for(lambda: name() in alive, timeout_s=FORM_S, what=f"a leader of {stream}")
        return alive[name()]

    def wait_replicated(self, stream: str, *, vhost: str = "/") -> None:
        """Wait until every broker has a running replica of a stream."""
        ask = self.brokers[0].management.request

        def replicas() -> bool:
            try:
                return len(ask("GET", "queues", vhost, stream)["online"]) == BROKERS
            except (OSError, KeyError):
                return False

        wait_for(replicas, timeout_s=FORM_S, what=f"the replication of {stream}")

    def _members(self, broker: RabbitMQ) -> int:
        try:
            return sum(node["running"] for node in broker.management.request("GET", "nodes"))
        except (OSError, ValueError, KeyError):
            return 0
