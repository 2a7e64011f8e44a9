"""What one step costs a loop: tqdm's `update()`, ours, and `advance()`, side by side.

.venv/bin/python -m tests.bench.advance [STEPS]
"""

import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tqdm as original

from deploy.local import Node, RabbitMQ, free_port
from progress_ws import BlockingPublisher, new_sid
from progress_ws.tqdm import tqdm
from tests.support.parts import running

STEPS = 500_000
ROUNDS = 7

Step = Callable[[], object]


def main(steps: int) -> None:
    logging.getLogger("progress_ws").addHandler(logging.NullHandler())  # nobody is there
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        nowhere = stack.enter_context(open(os.devnull, "w"))
        broker = stack.enter_context(running(RabbitMQ(Path(folder) / "rabbitmq")))
        stack.enter_context(running(Node(Path(folder), amqp_url=broker.amqp_url())))
        there = stack.enter_context(BlockingPublisher(broker.amqp_url()))
        away = BlockingPublisher(f"amqp://127.0.0.1:{free_port()}")
        stack.callback(away.close, timeout_s=0)
        total = steps * ROUNDS
        steps_of: dict[str, Step] = {
            "tqdm: update()": _update(original.tqdm, total, file=nowhere),
            "advance(), RabbitMQ there": _advance(there, total),
            "advance(), nobody there": _advance(away, total),
            "our tqdm: update(), without a sid": _update(tqdm, total, file=nowhere),
            "our tqdm: update(), RabbitMQ there": _update(
                tqdm, total, file=nowhere, sid=new_sid(), publisher=there
            ),
        }
        loops_of: dict[str, Callable[[int], Iterator[int]]] = {
            "tqdm: an item": lambda n: iter(original.tqdm(range(n), file=nowhere)),
            "our tqdm: an item, RabbitMQ there": lambda n: iter(
                tqdm(range(n), file=nowhere, sid=new_sid(), publisher=there)
            ),
        }
        show(measured({name: _repeat(step) for name, step in steps_of.items()}, steps))
        show(measured({name: _loop(make) for name, make in loops_of.items()}, steps))


def _update(kind: Any, total: int, **options: Any) -> Step:
    update: Step = kind(total=total, **options).update
    return update


def _advance(publisher: BlockingPublisher, total: int) -> Step:
    return publisher.progress(new_sid(), total=total).advance


def _repeat(step: Step) -> Callable[[int], None]:
    def repeat(steps: int) -> None:
        for _ in range(steps):
            step()

    return repeat


def _loop(make: Callable[[int], Iterator[int]]) -> Callable[[int], None]:
    def loop(steps: int) -> None:
        for _ in make(steps):
            pass

    return loop


def measured(loops: dict[str, Callable[[int], None]], steps: int) -> dict[str, float]:
    """Nanoseconds a step, the loop itself taken off: the median of rounds in turn."""
    rounds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        with timed(steps) as empty:
            for _ in range(steps):
                pass
        for name, loop in loops.items():
            with timed(steps) as took:
                loop(steps)
            rounds[name].append(took[0] - empty[0])
    return {name: statistics.median(each) for name, each in rounds.items()}


@contextmanager
def timed(steps: int) -> Iterator[list[float]]:
    took: list[float] = []
    began = time.perf_counter()
    yield took
    took.append((time.perf_counter() - began) / steps * 1e9)


def show(costs: dict[str, float]) -> None:
    first = next(iter(costs.values()))
    for name, cost in costs.items():
        print(f"{name:36} {cost:6.0f} ns  {cost - first:+6.0f} ns  x {cost / first:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
