"""One message to 10,000 sockets of one sid, beside a plain loop of `send_str`."""

import json
from dataclasses import asdict
from statistics import median

from tests.bench.bench import Bench
from tests.bench.load import Browser, Load
from tests.bench.peers import OursOf
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row
from tests.bench.scenarios.reference import Bare
from tests.bench.usage import cpu_s

SOCKETS = 10_000
ARRIVE_S = 30


def run(bench: Bench) -> Result:
    sockets = bench.scale(SOCKETS, SOCKETS // 2)
    rounds = bench.scale(15, 7)
    with Bare(bench, loop="uvloop") as bare, bench.stage.load("fan-bare") as load:
        load.open(bare.browsers(sockets))
        plain = [loop(bare, load, sockets) for _ in range(rounds)]
    with bench.stage.scope(), bench.stage.load("fan-ours") as load:
        ours = OursOf(bench.stage, 1)  # of its own: the others' history would be replayed to each
        ours.start()
        port, sid = ours.parts[0].port, bench.stage.sids[0]
        path = f"/websocket/progress?sid={sid}"
        load.open([Browser(port, number, path) for number in range(sockets)])
        fanned = [fan(ours, load, sockets) for _ in range(rounds)]
    rows = [_row("progress-ws", "ours", fanned), _row(f"{bare.name}: a loop", "reference", plain)]
    mine, other = (row.figures for row in rows)
    return Result(
        "fanout",
        f"One message to {sockets:,} sockets of one sid",
        rows,
        [Goal("time, beside a plain loop of send_str", mine["last_ms"] / other["last_ms"], 0.6)],
        ["To the last socket, from just before `send` (with the broker on the way), or the loop."],
    )


def loop(bare: Bare, load: Load, sockets: int) -> dict[str, float]:
    answer = bare.child.ask(f"fan 1 {load.reset(1, copies=sockets)}")
    _arrive(load, sockets)
    last_ms = (load.report().last_ns - answer["began_ns"]) / 1e6
    return {"last_ms": last_ms, "cpu_ms": answer["cpu_s"] * 1000}


def fan(ours: OursOf, load: Load, sockets: int) -> dict[str, float]:
    number = load.reset(1, copies=sockets)
    cpu = cpu_s(ours.nodes[:1])
    order = Order(1, number, rate=1000, last=1, everybody=True)
    answer = ours.busy_publisher().ask(json.dumps(asdict(order)))
    _arrive(load, sockets)
    last_ms = (load.report().last_ns - answer["began_ns"]) / 1e6
    return {"last_ms": last_ms, "cpu_ms": (cpu_s(ours.nodes[:1]) - cpu) * 1000}


def _arrive(load: Load, sockets: int) -> None:
    if (arrived := load.wait(sockets, ARRIVE_S)) < sockets:
        raise RuntimeError(f"of {sockets} copies {arrived} arrived")


def _row(name: str, form: str, found: list[dict[str, float]]) -> Row:
    figures = {what: median(each[what] for each in found[1:]) for what in found[0]}
    return Row(name, form, figures, found)
