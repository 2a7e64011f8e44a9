"""What an idle connection takes, of memory and of CPU."""

import time

from deploy.local import Node
from tests.bench.bench import Bench
from tests.bench.load import Browser
from tests.bench.results import Goal, Result, Row
from tests.bench.scenarios.reference import Bare
from tests.bench.usage import cpu_s, resident_bytes
from tests.support.parts import running

PING_S = 25
SETTLE_S = 2


def run(bench: Bench) -> Result:
    sockets = bench.scale(10_000, 2_000)
    pings = bench.scale(2, 0)
    folder = bench.stage.folder / "idle"
    url = bench.stage.broker.amqp_url(bench.stage.vhost("idle"))
    stage = bench.stage
    # One program for each: where a process may have 20,000 files, one has not enough for both.
    with (
        Bare(bench, loop="uvloop") as bare,
        stage.load("idle") as load,
        stage.load("bare") as other,
    ):
        with running(Node(folder, amqp_url=url, node="idle")) as node:
            groups = [[node.pid], [bare.child.pid]]
            before = [resident_bytes(each) for each in groups]
            path = "/websocket/progress?sid="
            browsers = [Browser(node.port, n, f"{path}{n:022d}") for n in range(sockets)]
            load.open(browsers)
            other.open(bare.browsers(sockets))
            time.sleep(SETTLE_S)
            after = [resident_bytes(each) for each in groups]
            memory = [(b - a) / sockets / 1024 for a, b in zip(before, after, strict=True)]
            cpu = over_pings(groups, sockets, pings)
    rows = [
        Row(name, form, {"kib": kib} | ({"cpu_us_per_s": used} if pings else {}))
        for (name, form), kib, used in zip(
            (("progress-ws", "ours"), (bare.name, "reference")), memory, cpu, strict=True
        )
    ]
    goals = [Goal("memory, beside the bare handler", memory[0] / memory[1], 1.25)]
    if pings:
        goals.append(Goal("CPU, beside the bare handler", cpu[0] / cpu[1], 1.25))
    notes = ["Resident memory before and after they connected, for each."]
    if not pings:
        notes.append("CPU takes two rounds of pings, 50 s: left out of a glance.")
    return Result("idle", f"{sockets:,} idle connections", rows, goals, notes)


def over_pings(groups: list[list[int]], sockets: int, pings: int) -> list[float]:
    """Microseconds of CPU a second for each connection, over so many rounds of pings."""
    before, began = [cpu_s(each) for each in groups], time.monotonic()
    time.sleep(pings * PING_S)
    seconds = max(time.monotonic() - began, 1e-9)
    after = [cpu_s(each) for each in groups]
    return [(b - a) / seconds / sockets * 1e6 for a, b in zip(before, after, strict=True)]
