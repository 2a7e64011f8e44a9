"""What taking in a message costs, without a broker: from the body of a delivery to the history.

.venv/bin/python -m tests.bench.taking

Arrays of 100, history on and off, nobody listening and everybody; after each other, several times.
"""

import gc
import statistics
import time
from collections.abc import Callable

from progress_ws.core.hub import Hub
from progress_ws.core.intake import Delivery
from progress_ws.core.outbox import Outbox
from tests.bench.feed import SIDS, bodies, intake

COUNT = 200_000
ROUNDS = 5


def deliver_all(size: int, *, history: bool, heard: bool) -> float:
    """Return the microseconds of CPU for each message."""
    into = intake(history=history)
    hub: Hub = into._memory._hub
    boxes = []
    if heard:
        for n in range(SIDS):
            box = Outbox(on_overflow=lambda: None)
            hub.attach(f"{n:022}", box)
            boxes.append(box)
    deliveries = [Delivery(body) for body in bodies(COUNT, size)]
    gc.collect()
    cpu_s = 0.0
    began = time.process_time()
    for n, delivery in enumerate(deliveries):
        into.deliver(delivery)
        if heard and n % 20 == 0:
            cpu_s += time.process_time() - began
            for box in boxes:
                if len(box):
                    box.take_now()
            began = time.process_time()
    cpu_s += time.process_time() - began
    return cpu_s / COUNT * 1e6


def main() -> None:
    cases: dict[str, Callable[[], float]] = {
        f"arrays of {size}, history {'on' if history else 'off'}": (
            lambda size=size, history=history: deliver_all(size, history=history, heard=False)
        )
        for size in (100, 1)
        for history in (True, False)
    }
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            costs[name].append(case())
    for name, values in costs.items():
        print(f"{name}: {statistics.median(values):.2f} µs a message")


if __name__ == "__main__":
    main()
