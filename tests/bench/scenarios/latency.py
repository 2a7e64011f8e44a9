"""Latency from the call that publishes to the browser's frame, at a steady rate."""

from collections.abc import Callable
from typing import NamedTuple

from tests.bench.bench import Bench, Make
from tests.bench.child import Child
from tests.bench.measure import deliver, mishaps, row
from tests.bench.peers import Naive, Nchan, Ours, PythonSocketIO, SocketIO, WebMqtt, WebStomp
from tests.bench.peers.system import System
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row

PUBLISHERS = 500
FEW = 100
"""In a glance: some hundred connections take their time."""


class Line(NamedTuple):
    """What is measured: who publishes how, and how many messages a second."""

    make: Make
    how: str
    publishing: Callable[[System, int], Child]
    rate: int = 1_000


def _sending(system: System, count: int) -> Child:
    return system.sending_publishers(count)  # type: ignore[attr-defined, no-any-return]


def _raw(system: System, count: int) -> Child:
    return system.many_publishers(count)


def _busy(system: System, _count: int) -> Child:
    return system.busy_publisher()


SEND = Line(Ours, "Publisher.send", _sending)
AIO_PIKA = Line(WebStomp, "aio-pika, confirmed", _sending)
LINES = (
    SEND,
    Line(Ours, "raw frames", _raw),
    AIO_PIKA,
    Line(WebStomp, "raw frames", _raw),
    Line(WebMqtt, "raw frames", _raw),
    Line(SocketIO, "its emitter", _busy),
    Line(Nchan, "HTTP", _raw),
    Line(Naive, "raw frames", _raw, 500),
    Line(PythonSocketIO, "its manager", _busy, 200),
)
GLANCE = (SEND, AIO_PIKA)


def run(bench: Bench) -> Result:
    lines = bench.scale(LINES, GLANCE)
    rows = {line: measured(bench, line) for line in lines}
    ours, stomp = rows[SEND].figures, rows[AIO_PIKA].figures
    return Result(
        "latency",
        f"Latency at a steady rate, of {bench.scale(PUBLISHERS, FEW)} publishers' single messages",
        list(rows.values()),
        [
            Goal("p50, beside Web-STOMP", ours["p50_ms"], stomp["p50_ms"], unit="ms"),
            Goal("p99, beside Web-STOMP", ours["p99_ms"], stomp["p99_ms"], unit="ms"),
        ],
        [
            "From just before the call that publishes. All are confirmed; ours are kept, too.",
            *mishaps(list(rows.values())),
        ],
    )


def measured(bench: Bench, line: Line) -> Row:
    system = bench.stage.system(line.make)
    bench.say(f"  {system.name}, {line.how}")
    publishers = bench.scale(PUBLISHERS, FEW)
    load, publisher = bench.alone(system, lambda system: line.publishing(system, publishers))
    seconds = bench.scale(5, 2)
    deliver(system, load, publisher, Order(line.rate, rate=line.rate))  # warm
    orders = [Order(line.rate * seconds, rate=line.rate, seed=n) for n in range(bench.rounds)]
    runs = [deliver(system, load, publisher, order) for order in orders]
    return row(system, runs, f"{system.name}, {line.how}")
