"""W2: 500 independent publishers, each message on its own."""

from dataclasses import replace

from tests.bench.bench import Bench
from tests.bench.measure import mishaps
from tests.bench.peers import (
    Naive,
    Nchan,
    Ours,
    PythonSocketIO,
    TunedPythonSocketIO,
    WebMqtt,
    WebStomp,
)
from tests.bench.peers.system import NODES, System
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row

PUBLISHERS = 500
PEERS = (Ours, PythonSocketIO, TunedPythonSocketIO, WebStomp, WebMqtt, Nchan, Naive)
GLANCE = (Ours, PythonSocketIO, WebStomp, Nchan)
BURSTS = {Ours: 20_000, PythonSocketIO: 1_000, TunedPythonSocketIO: 2_000}

CHEAPLY = (
    "All publish as cheaply as can be (frames put together by hand) over as many connections as "
    "there are publishers, each message a write of its own, confirmed."
)


def run(bench: Bench) -> Result:
    def order(system: System) -> Order:
        burst = BURSTS.get(type(system), system.burst)
        return Order(bench.scale(burst, burst // 2))

    peers = bench.scale(PEERS, GLANCE)
    rows = bench.in_turn(peers, lambda system: system.many_publishers(PUBLISHERS), order)
    rate = {row.name + row.form: row.figures["per_s"] for row in rows}
    ours = rows[0].figures
    documented = rate[PythonSocketIO.name + PythonSocketIO.form]
    stomp, nchan = (rate[each.name + each.form] for each in (WebStomp, Nchan))
    return Result(
        "w2",
        f"W2: {PUBLISHERS} publishers, each message on its own, 1,000 browsers, two nodes",
        [busy(row) for row in rows],
        [
            Goal("× python-socketio, as documented", ours["per_s"] / documented, 15, True),
            Goal("× Web-STOMP", ours["per_s"] / stomp, 1.5, True),
            Goal("× Nchan with Redis", ours["per_s"] / nchan, 3, True),
            Goal(
                "µs of one node, beside the broker's for each message",
                ours["nodes_us"] / 2,
                ours["broker_us"],
                unit="µs",
            ),
        ],
        [
            CHEAPLY,
            *mishaps(rows),
        ],
        bars="per_s",
        unit="delivered messages a second",
    )


def busy(row: Row) -> Row:
    """With the cores that a node and the broker kept busy: who is full sets the pace."""
    per_s = row.figures["per_s"] / 1e6
    cores = {
        "node cores": row.figures["nodes_us"] * per_s / NODES,
        "broker cores": row.figures["broker_us"] * per_s,
    }
    return replace(row, figures=row.figures | cores)
