"""One in a hundred readers stalls: what the others notice of it."""

import json
from dataclasses import asdict, replace

from tests.bench.bench import Bench
from tests.bench.load import Load
from tests.bench.measure import deliver, mishaps, row, settle
from tests.bench.peers import Ours
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Run
from tests.bench.stage import BROWSERS

STALLED = BROWSERS // 100
SMALL_BUFFER = 4096
RATE = 2_000
FILL_BYTES = 30_000
NOBODYS = 2**31
"""Numbers that are not counted."""
FILLERS = 60
"""For each of the stalled ones: more than any kernel keeps for a connection."""


def run(bench: Bench) -> Result:
    ours = bench.stage.system(Ours)
    assert isinstance(ours, Ours)
    publisher = ours.many_publishers(500)
    with bench.stage.load("stalled") as load:
        browsers = ours.browsers()
        few = [replace(each, receive_buffer=SMALL_BUFFER) for each in browsers[:STALLED]]
        load.open([*few, *browsers[STALLED:]])
        settle(load, ours.busy_publisher())
        count = RATE * bench.scale(5, 2)
        runs: dict[bool, list[Run]] = {False: [], True: []}
        for number in range(bench.rounds):
            for stalled in (False, True):
                order = Order(count, rate=RATE, seed=number, first=STALLED)
                if stalled:
                    fill(ours, load)
                runs[stalled].append(deliver(ours, load, publisher, order))
                load.resume()
                settle(load, ours.busy_publisher())  # behind what waited for the stalled
    rows = [
        row(ours, runs[False], "all read"),
        row(ours, runs[True], f"{STALLED} of {BROWSERS} stalled: the others"),
    ]
    before, beside = (each.figures["p99_ms"] for each in rows)
    return Result(
        "stalled",
        f"One in a hundred readers stalls, at {RATE:,} messages a second",
        rows,
        [Goal("the others' p99, beside that without", beside / before, 1.1)],
        mishaps(rows),
    )


def fill(ours: Ours, load: Load) -> None:
    """Stall some, and give them more than the kernel takes for them: then the node has to wait."""
    load.stall(0, STALLED)
    order = Order(FILLERS * STALLED, NOBODYS, size=FILL_BYTES, first=0, last=STALLED)
    ours.busy_publisher().ask(json.dumps(asdict(order)))
