"""1, 2, 4 and 8 nodes at a fixed total rate: the law, and what it says of more than that."""

import os
from typing import NamedTuple

from tests.bench.bench import Bench
from tests.bench.law import Law, fit, simulate
from tests.bench.load import Load
from tests.bench.measure import deliver, mishaps, row, settle
from tests.bench.peers import OursOf
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row, Run, middle

NODES = (1, 2, 4, 8)
CONNECTIONS = 100
PREDICTED = (1, 2, 4, 8, 16, 32, 64)
BROKER_CORES = (1, 4)
SIMULATED_WITHIN = 0.3
"""What a simulation of two shared cores may differ: they are never shared so evenly."""


class Kind(NamedTuple):
    """A workload: at which steady rate it is measured, and how many messages make a burst."""

    name: str
    rate: int
    burst: int


W1 = Kind("W1", 8_000, 60_000)
W2 = Kind("W2", 800, 8_000)


class Point(NamedTuple):
    """What was measured with so many nodes."""

    nodes: int
    steady: Run
    drained: Run


def run(bench: Bench) -> list[Result]:
    points: dict[Kind, list[Point]] = {W1: [], W2: []}
    rows: list[Row] = []
    for nodes in NODES:
        bench.say(f"  {nodes} nodes")
        with bench.stage.scope(), bench.stage.load(f"scaling-{nodes}") as load:
            system = OursOf(bench.stage, nodes)
            system.start()
            load.open(system.browsers())
            settle(load, system.busy_publisher())
            for kind in points:
                steady, drained = (
                    measured(bench, system, load, kind, rate=rate) for rate in (kind.rate, 0)
                )
                points[kind].append(Point(nodes, middle(steady), middle(drained)))
                at = f"{kind.name}, {nodes} nodes"
                rows.append(row(system, steady, f"{at}, at {kind.rate:,} a second"))
                rows.append(row(system, drained, f"{at}, as fast as can be", steady=False))
    laws = {kind: law_of(found) for kind, found in points.items()}
    goals = [goal for kind, found in points.items() for goal in checked(kind, found)]
    title = "1, 2, 4 and 8 nodes: what a message costs"
    notes = [told(kind, law) for kind, law in laws.items()]
    return [
        Result("scaling", title, rows, goals, [*notes, *mishaps(rows)]),
        Result(
            "carried",
            "Messages a second that so many nodes and one RabbitMQ carry, by the law",
            [carried(laws, nodes) for nodes in PREDICTED],
            notes=["Every node has a core of its own; the fullest of all is 70 % busy."],
        ),
    ]


def law_of(points: list[Point]) -> Law:
    """The law at the steady rate."""
    return fit(
        {point.nodes: point.steady.nodes_us for point in points},
        {point.nodes: point.steady.broker_us for point in points},
    )


def measured(bench: Bench, system: OursOf, load: Load, kind: Kind, *, rate: int) -> list[Run]:
    """Some rounds, after one for nothing."""
    publisher = system.busy_publisher() if kind is W1 else system.many_publishers(CONNECTIONS)
    count = rate * bench.scale(5, 2) or kind.burst
    orders = [Order(count, rate=rate, seed=number) for number in range(bench.rounds + 1)]
    return [deliver(system, load, publisher, order) for order in orders][1:]


def told(kind: Kind, law: Law) -> str:
    """The law in words."""
    pays = law.last_that_pays()
    return (
        f"{kind.name}: all nodes together {law.heard:.1f} + {law.unheard:.2f} × (nodes - 1) µs a "
        f"message, the broker {law.message:.1f} + {law.copy:.2f} × nodes µs. With a core for the "
        f"broker and one for each node, {pays} nodes carry most; beyond that copying to all only "
        "costs."
    )


def carried(laws: dict[Kind, Law], nodes: int) -> Row:
    """What so many nodes carry, with a broker of some cores."""
    figures = {
        f"{kind.name}, broker of {cores}": law.carried(nodes, broker_cores=cores)
        for kind, law in laws.items()
        for cores in BROKER_CORES
    }
    return Row(f"{nodes} node{'s' * (nodes > 1)}", "by the law", figures)


def checked(kind: Kind, points: list[Point]) -> list[Goal]:
    """A simulation of all on this machine's cores, as far as others left them to us."""
    law = fit(
        {p.nodes: p.drained.nodes_us for p in points},
        {p.nodes: p.drained.broker_us for p in points},
    )
    cores = os.cpu_count() or 1
    goals = []
    for point in points:
        simulated = simulate(
            law,
            point.nodes,
            messages=kind.burst,
            cores=max(0.1, cores - point.drained.others_cores),
            publisher_us=point.drained.publisher_us,
            client_us=point.drained.client_us,
            broker_cores=cores,
        )
        off = abs(simulated / point.drained.per_s - 1)
        what = (
            f"{kind.name}, {point.nodes} nodes: {simulated:,.0f} a second simulated, "
            f"{point.drained.per_s:,.0f} measured; apart by"
        )
        goals.append(Goal(what, off, SIMULATED_WITHIN))
    return goals
