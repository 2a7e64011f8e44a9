"""What a message costs as nodes are added: the law, what follows, and a simulation of it.

Every node gets a copy of every message, and one of them has the browser. So all nodes together pay
`heard + unheard * (nodes - 1)` for a message, and the broker `message + copy * nodes`. Nothing here
measures, starts or waits.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STEP_S = 0.001
FULL = 0.7
"""Of a core: above it queues grow with every burst."""
LIMIT_S = 600.0


@dataclass(frozen=True)
class Law:
    """Microseconds of CPU.

    Attributes:
        heard: of a node for a message that it delivers to a browser.
        unheard: of a node for one that nobody there listens to.
        message, copy: of the broker for each message, and for each node's copy of it.
    """

    heard: float
    unheard: float
    message: float
    copy: float

    def all_nodes(self, nodes: int) -> float:
        """Of all nodes together for a message."""
        return self.heard + self.unheard * (nodes - 1)

    def node(self, nodes: int) -> float:
        """Of one node of so many, on the average of all messages."""
        return self.all_nodes(nodes) / nodes

    def broker(self, nodes: int) -> float:
        """Of the broker for a message."""
        return self.message + self.copy * nodes

    def carried(self, nodes: int, *, broker_cores: int = 1) -> float:
        """Messages a second that so many nodes carry, a core each, filled to 70 %."""
        return FULL * 1e6 / max(self.node(nodes), self.broker(nodes) / broker_cores)

    def limit(self, nodes: int, *, broker_cores: int = 1) -> str:
        """Who is full first: "nodes" or "broker"."""
        broker = self.broker(nodes) / broker_cores
        return "nodes" if self.node(nodes) >= broker else "broker"

    def last_that_pays(self, *, broker_cores: int = 1, most: int = 256) -> int:
        """The number of nodes that carries most; beyond it every node only costs copies."""
        return max(
            range(1, most + 1),
            key=lambda nodes: (round(self.carried(nodes, broker_cores=broker_cores)), -nodes),
        )


def fit(nodes_us: Mapping[int, float], broker_us: Mapping[int, float]) -> Law:
    """The law that is nearest to what was measured with each number of nodes."""
    heard, unheard = _line([(nodes - 1, cost) for nodes, cost in nodes_us.items()])
    message, copy = _line(list(broker_us.items()))
    return Law(heard, unheard, message, copy)


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where a line begins, and how it rises; neither is below nothing."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    square = sum((x - middle_x) ** 2 for x, _ in points)
    rise = sum((x - middle_x) * (y - middle_y) for x, y in points) / square if square else 0
    rise = max(rise, 0)
    return max(middle_y - rise * middle_x, 0), rise


def simulate(
    law: Law,
    nodes: int,
    *,
    messages: int,
    cores: float,
    publisher_us: float,
    client_us: float,
    broker_cores: int = 1,
    seed: int = 1,
) -> float:
    """Messages a second when so many are published at once and all share one machine's cores.

    Each process is a queue of work; in every millisecond the cores are shared out evenly among
    those that have any, a process getting no more than it can use.
    """
    draw = random.Random(seed)
    owners = [draw.randrange(nodes) for _ in range(messages)]
    sent, copied, delivered = 0.0, 0.0, 0.0
    read = [0.0] * nodes
    passed = 0.0
    heard_of = _heard_share(owners, nodes)
    costs = [law.unheard + (law.heard - law.unheard) * share for share in heard_of]
    while delivered < messages and passed < LIMIT_S:
        passed += STEP_S
        behind = min(read)
        queues = [
            ((messages - sent) * publisher_us, 1.0),
            ((sent - copied) * law.broker(nodes), float(broker_cores)),
            *(((copied - done) * cost, 1.0) for done, cost in zip(read, costs, strict=True)),
            ((behind - delivered) * client_us, 1.0),
        ]
        spent = _shared(queues, cores)
        sent += spent[0] / publisher_us if publisher_us else messages - sent
        copied += spent[1] / law.broker(nodes) if law.broker(nodes) else sent - copied
        for n in range(nodes):
            read[n] += spent[2 + n] / costs[n] if costs[n] else copied - read[n]
        delivered += spent[-1] / client_us if client_us else behind - delivered
        if messages - delivered < 0.5:
            break
    return messages / passed


def _heard_share(owners: Sequence[int], nodes: int) -> list[float]:
    """Which part of all messages each node's browsers get."""
    return [owners.count(n) / max(1, len(owners)) for n in range(nodes)]


def _shared(queues: Sequence[tuple[float, float]], cores: float) -> list[float]:
    """Microseconds that each gets of one step, of its work and its own most cores."""
    step_us = STEP_S * 1e6
    wanted = [min(max(work, 0.0), most * step_us) for work, most in queues]
    given = [0.0] * len(queues)
    left = cores * step_us
    open_ones = [n for n, want in enumerate(wanted) if want > 0]
    while open_ones and left > 1e-9:
        part = left / len(open_ones)
        for n in open_ones:
            more = min(part, wanted[n] - given[n])
            given[n] += more
            left -= more
        open_ones = [n for n in open_ones if wanted[n] - given[n] > 1e-9]
    return given
