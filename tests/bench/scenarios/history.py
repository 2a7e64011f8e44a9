"""What history costs: W1 with it and without."""

from tests.bench.bench import Bench
from tests.bench.measure import mishaps
from tests.bench.peers import Ours, OursWithoutHistory
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result


def run(bench: Bench) -> Result:
    count = bench.scale(Ours.burst, Ours.burst // 2)
    makes = (Ours, OursWithoutHistory)
    rows = bench.in_turn(makes, lambda system: system.busy_publisher(), lambda _: Order(count))
    on, off = (row.figures["per_s"] for row in rows)
    return Result(
        "history",
        "W1 with history and without",
        rows,
        [Goal("part of W1's throughput that history takes", 1 - on / off, 0.15)],
        mishaps(rows, ordered=True),
    )
