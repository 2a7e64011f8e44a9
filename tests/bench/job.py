"""What a bar costs the job that reports, while its broker is well and while it is not.

.venv/bin/python -m tests.bench.job [SECONDS OF EACH STATE]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from deploy.local import Node, RabbitMQ
from progress_ws import BlockingPublisher, new_sid
from progress_ws.publish.bar import Bar
from tests.support.parts import running

ROUND_S = 0.2
WORK = range(200)
"""About a microsecond of Python: so cheap a step makes the bar look dear."""

State = tuple[str, Callable[[], object]]


def steps_per_s(seconds: float, bar: Bar | None) -> float:
    """How many steps the loop makes in a second, over so many of them."""
    began = time.perf_counter()
    steps = 0
    while True:
        for _ in range(100):
            sum(WORK)
            if bar is not None:
                bar.advance()
        steps += 100
        took = time.perf_counter() - began
        if took > seconds:
            return steps / took


def compare(seconds: float, bar: Bar) -> tuple[float, float]:
    """The loop's speed with the bar as a part of that without: median and worst of many turns."""
    ratios = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        alone = steps_per_s(ROUND_S, None)
        ratios.append(steps_per_s(ROUND_S, bar) / alone)
    return median(ratios), min(ratios)


def report(what: str, seconds: float, bar: Bar) -> None:
    typical, worst = compare(seconds, bar)
    print(f"{what:28} {typical:6.1%} of its speed without a bar, {worst:6.1%} at the worst")


def in_child(what: str, seconds: float, publisher: BlockingPublisher, sid: str) -> None:
    """The same in a process that was forked when the publisher was already in use."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        with publisher.progress(sid, key="child", total=10**9) as bar:
            report(what, seconds, bar)
        publisher.close()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)


def flood(seconds: float, publisher: BlockingPublisher, sid: str, bar: Bar) -> None:
    """Post as fast as can be beside the bar."""
    until = time.monotonic() + seconds
    posted = 0
    while time.monotonic() < until:
        for _ in range(100):
            publisher.post(sid, posted, key="flood")
            bar.advance()
            posted += 1
    print(f"{'flooding':28} {posted / seconds:,.0f} posts a second, {publisher.waiting} waiting")


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with running(RabbitMQ(folder / "rabbitmq")) as broker:
            with running(Node(folder / "node", amqp_url=broker.amqp_url())):
                states(seconds, broker)


def states(seconds: float, broker: RabbitMQ) -> None:
    sid = new_sid()
    with BlockingPublisher(broker.amqp_url()) as publisher:
        bar = publisher.progress(sid, total=10**9, cancellable=True)
        publisher.flush()
        report("connected", seconds, bar)
        in_child("forked", seconds, publisher, sid)
        flood(seconds, publisher, sid, bar)
        broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        report("the broker has an alarm", seconds, bar)
        broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
        broker.freeze()
        report("the broker is frozen", seconds, bar)
        broker.thaw()
        broker.kill()
        report("the broker is dead", seconds, bar)
        began = time.monotonic()
        bar.done()
        publisher.close(timeout_s=1)
        print(f"its end, without a broker, took {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4)
