"""Ten minutes at full load, while one connection in ten comes and goes every minute."""

import time
from itertools import count as counting
from statistics import median

from tests.bench.bench import Bench
from tests.bench.measure import deliver, mishaps, row, settle
from tests.bench.peers import OursOf
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row, Run
from tests.bench.stage import BROWSERS
from tests.bench.usage import resident_bytes

MINUTES = 10
CHURN_A_MINUTE = 0.1
BURST = 20_000
FLAT = 1.05
MIB = 2**20


def run(bench: Bench) -> Result:
    seconds = bench.scale(MINUTES * 60, 60)
    runs: list[Run] = []
    memory: list[list[float]] = []
    with bench.stage.scope(), bench.stage.load("soak") as load:
        system = OursOf(bench.stage, 2)
        system.start()
        publisher = system.busy_publisher()
        load.open(system.browsers())
        settle(load, publisher)
        load.churn(0)  # from here on each knows its position
        deliver(system, load, publisher, Order(BURST))
        load.churn(BROWSERS * CHURN_A_MINUTE / 60)
        until = time.monotonic() + seconds
        for number in counting(1):
            if time.monotonic() > until:
                break
            runs.append(deliver(system, load, publisher, Order(BURST, seed=number)))
            memory.append([resident_bytes([pid]) / MIB for pid in (*system.nodes, *system.brokers)])
    names = (*(f"node {n + 1}" for n in range(len(system.nodes))), "broker")
    rows = [row(system, runs, f"{len(runs)} bursts of {BURST:,}", steady=False)]
    goals = []
    for name, sizes in zip(names, zip(*memory, strict=True), strict=True):
        quarters = quarter_medians(sizes)
        figures = {f"quarter {n + 1}, MiB": each for n, each in enumerate(quarters)}
        rows.append(Row(name, "ours" if name != "broker" else "broker", figures))
        if name != "broker":
            grown = quarters[-1] / quarters[1]
            goals.append(
                Goal(f"{name}: the last quarter's memory beside the second's", grown, FLAT)
            )
    goals.append(Goal("messages lost", float(rows[0].figures["missing"]), 0))
    minutes = seconds / 60
    title = (
        f"{minutes:g} minutes at full load, {CHURN_A_MINUTE:.0%} of the connections anew a minute"
    )
    return Result("soak", title, rows, goals, mishaps(rows[:1]))


def quarter_medians(values: tuple[float, ...]) -> list[float]:
    """The median of each quarter of the time."""
    size = max(1, len(values) // 4)
    return [median(values[n * size : (n + 1) * size] or values[-1:]) for n in range(4)]
