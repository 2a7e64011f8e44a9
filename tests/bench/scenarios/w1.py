"""W1: one busy publisher that has many messages at once."""

from tests.bench.bench import Bench
from tests.bench.measure import mishaps
from tests.bench.peers import (
    Naive,
    Nchan,
    Ours,
    PythonSocketIO,
    SocketIO,
    TunedPythonSocketIO,
    WebMqtt,
    WebStomp,
)
from tests.bench.peers.system import System
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result
from tests.bench.scenarios.reference import bare_send

PEERS = (Ours, PythonSocketIO, TunedPythonSocketIO, SocketIO, WebStomp, WebMqtt, Nchan, Naive)
GLANCE = (Ours, PythonSocketIO, SocketIO, WebStomp)

ARRAYS = (
    "Ours packs what waits into arrays, with history, stream and confirms; the peers' messages are "
    "single ones, as their own publishers write them, and none is kept."
)


def run(bench: Bench) -> Result:
    def order(system: System) -> Order:
        return Order(bench.scale(system.burst, system.burst // 2))

    peers = bench.scale(PEERS, GLANCE)
    rows = bench.in_turn(peers, lambda system: system.busy_publisher(), order)
    rate = {row.name + row.form: row.figures["per_s"] for row in rows}
    ours = rows[0].figures
    bare = bare_send(bench)
    documented = rate[PythonSocketIO.name + PythonSocketIO.form]
    on_broker = [each.name + each.form for each in (WebStomp, WebMqtt)]
    broker = max(rate[each] for each in on_broker if each in rate)
    node = rate[SocketIO.name + SocketIO.form]
    return Result(
        "w1",
        "W1: one busy publisher, 1,000 browsers, two nodes",
        [*rows, *bare],
        [
            Goal("× python-socketio, as documented", ours["per_s"] / documented, 100, True),
            Goal("× the better of Web-STOMP and Web-MQTT", ours["per_s"] / broker, 10, True),
            Goal("× Socket.IO on Node.js", ours["per_s"] / node, 4, True),
            Goal(
                "µs of all nodes for a delivered message, beside one bare send_str",
                ours["nodes_us"],
                min(each.figures["nodes_us"] for each in bare),
                unit="µs",
            ),
        ],
        [
            ARRAYS,
            "Deliveries a second count from the first publish to the last delivery.",
            *mishaps(rows, ordered=True),
        ],
        bars="per_s",
        unit="delivered messages a second",
    )
