"""One round: publish so many messages, count every delivery, and say what it cost whom."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from tests.bench.child import Child
from tests.bench.load import Load
from tests.bench.peers.system import System
from tests.bench.publishers.orders import Order
from tests.bench.results import Row, Run, middle
from tests.bench.usage import cpu_s, machine_cpu_s

QUIET_S = 20
"""After so long without any delivery no more is awaited."""
ATTEMPTS = 20
MISHAPS = ("missing", "extra", "wrong", "lost_connections")
PROBES = 50


def deliver(
    system: System,
    load: Load,
    publisher: Child,
    order: Order,
    *,
    copies: int = 1,
    timeout_s: float = 120,
) -> Run:
    """Carry out one order, and wait until all of it has arrived."""
    order = replace(order, number=load.reset(order.count, copies=copies))
    nodes, broker = cpu_s(system.nodes), cpu_s(system.brokers)
    machine, began = machine_cpu_s(), time.monotonic()
    client = load.report().cpu_s
    published = publisher.ask(json.dumps(asdict(order)), timeout_s)
    await_all(load, order.count * copies)
    arrived = load.report()
    machine, took = machine_cpu_s() - machine, time.monotonic() - began
    nodes, broker = cpu_s(system.nodes) - nodes, cpu_s(system.brokers) - broker
    ours = nodes + broker + published["cpu_s"] + arrived.cpu_s - client
    seconds = (arrived.last_ns - published["began_ns"]) / 1e9
    each_us = 1e6 / max(1, arrived.deliveries)
    return Run(
        per_s=arrived.deliveries / seconds if seconds > 0 else 0,
        seconds=seconds,
        deliveries=arrived.deliveries,
        missing=arrived.missing,
        extra=arrived.extra,
        wrong=arrived.wrong,
        disordered=arrived.disordered,
        nodes_us=nodes * each_us,
        broker_us=broker * each_us,
        publisher_us=published["cpu_s"] * each_us,
        client_us=(arrived.cpu_s - client) * each_us,
        p50_ms=arrived.p50_ms,
        p99_ms=arrived.p99_ms,
        max_ms=arrived.max_ms,
        lost_connections=arrived.lost_connections,
        others_cores=max(0, machine - ours) / took,
    )


def await_all(load: Load, deliveries: int) -> None:
    """Wait until so many have come, or no more come."""
    before, now = -1, load.wait(deliveries, QUIET_S)
    while before < now < deliveries:
        before, now = now, load.wait(deliveries, QUIET_S)


def settle(load: Load, publisher: Child) -> None:
    """Return once messages arrive at all browsers that were just connected.

    Some systems answer a browser before they listen for what is sent to it.
    """
    for attempt in range(ATTEMPTS):
        order = Order(PROBES, number=load.reset(PROBES), seed=attempt)
        publisher.ask(json.dumps(asdict(order)))
        if load.wait(PROBES, 1) == PROBES:
            return
    raise RuntimeError("messages do not arrive")


def row(system: System, runs: Sequence[Run], name: str = "", *, steady: bool = True) -> Row:
    """A line of a table: medians, and each round; of a `steady` rate also the latencies."""
    medians = asdict(middle(runs))
    if not steady:  # of a backlog that is drained it says how long that was
        medians = {what: value for what, value in medians.items() if not what.endswith("_ms")}
    return Row(name or system.name, system.form, medians, [asdict(run) for run in runs])


def mishaps(rows: Sequence[Row], *, ordered: bool = False) -> list[str]:
    """A sentence for each that lost a message, or delivered it twice or to somebody else.

    With one publisher they must be `ordered`, too.
    """
    looked_at = (*MISHAPS, "disordered") if ordered else MISHAPS
    told = []
    for each in rows:
        counts = [
            f"{round(each.figures[what])} {what.replace('_', ' ')}"
            for what in looked_at
            if each.figures.get(what)
        ]
        if counts:
            total = round(each.figures["deliveries"] + each.figures["missing"])
            told.append(f"{each.name} ({each.form}): of {total} {', '.join(counts)}")
    return told
