"""Handshakes a second and core, and what those who are connected notice of a storm of them."""

import json
import time
from dataclasses import asdict
from statistics import median

from tests.bench.bench import Bench
from tests.bench.load import Browser
from tests.bench.peers import Ours, PythonSocketIO
from tests.bench.peers.system import System
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row
from tests.bench.scenarios.reference import Bare
from tests.bench.usage import cpu_s

CALM_S = 0.2
STORM = 10_000
WATCHERS = 200
RATE = 200
IN_FLIGHT = 200
STORM_IN_FLIGHT = 10_000
"""All at once, as after the restart of a proxy."""


def run(bench: Bench) -> Result:
    count = bench.scale(5_000, 1_000)
    rows = []
    for make in (Ours, PythonSocketIO):
        system = bench.stage.system(make)
        browsers = [system.browser(n, f"{n:022d}") for n in range(count)]
        rows.append(opened(bench, system.name, system.form, list(system.nodes), browsers))
    with Bare(bench, loop="uvloop") as bare:
        groups = [bare.child.pid]
        rows.append(opened(bench, bare.name, "reference", groups, bare.browsers(count)))
    worst, stormed = storm(bench)
    ours, peer = (row.figures["per_core"] for row in rows[:2])
    return Result(
        "handshake",
        "Handshakes, and a storm of them",
        [*rows, stormed],
        [
            Goal("× python-socketio, a second and core", ours / peer, 3, True),
            Goal("the latest message during a storm", worst, 100, unit="ms"),
        ],
        [
            f"The storm: all at once, while {WATCHERS} others get {RATE} messages a second.",
            "python-socketio is as documented, with its Engine.IO handshake.",
        ],
    )


def opened(bench: Bench, name: str, form: str, groups: list[int], browsers: list[Browser]) -> Row:
    """Let all of them connect, some times over."""
    found = []
    for number in range(bench.rounds + 1):
        with bench.stage.load("handshake") as load:
            cpu = cpu_s(groups)
            took = load.open(browsers, in_flight=IN_FLIGHT)
            used = cpu_s(groups) - cpu
        calm(groups)
        whole = cpu_s(groups) - cpu
        if number:
            rates = {"per_core": used, "with_end_per_core": whole, "per_s": took.seconds}
            found.append({what: len(browsers) / each for what, each in rates.items()})
    return Row(name, form, {what: median(each[what] for each in found) for what in found[0]}, found)


def calm(groups: list[int]) -> None:
    """Wait until these processes have nothing to do."""
    used = -1.0
    while cpu_s(groups) - used > CALM_S / 10:
        used = cpu_s(groups)
        time.sleep(CALM_S)


def storm(bench: Bench) -> tuple[float, Row]:
    """The worst latency, over all storms, and the middle one."""
    ours: System = bench.stage.system(Ours)
    assert isinstance(ours, Ours)
    count = bench.scale(STORM, 3_000)
    publisher = ours.sending_publishers(1)
    found = []
    with bench.stage.load("watchers") as watchers:
        watchers.open(ours.browsers()[:WATCHERS])
        for number in range(bench.scale(5, 2)):
            with bench.stage.load("storm") as load:
                messages = RATE * bench.scale(6, 3)
                first = watchers.reset(messages)
                order = Order(messages, first, RATE, seed=number, last=WATCHERS)
                publisher.tell(json.dumps(asdict(order)))
                watchers.wait(RATE // 2, 10)
                browsers = [ours.browser(n, f"{n:022d}") for n in range(count)]
                load.begin_open(browsers, in_flight=STORM_IN_FLIGHT)
                took = load.opened(count)
                publisher.answer()
                watchers.wait(messages, 10)
                arrived = watchers.report()
            figures = {
                "handshakes": count,
                "per_s": count / took.seconds,
                "p99_ms": arrived.p99_ms,
                "max_ms": arrived.max_ms,
                "missing": arrived.missing,
            }
            found.append(figures)
            calm(list(ours.nodes))  # else the end of this one would be a part of the next
    worst = max(each["max_ms"] for each in found)
    middle = {what: median(each[what] for each in found) for what in found[0]}
    return worst, Row("progress-ws, in a storm", "ours", middle, found)
