"""What a node pays for a message of the cluster that nobody listens to here."""

import json
from collections.abc import Callable
from dataclasses import asdict
from statistics import median

from deploy.local import wait_for
from tests.bench.bench import Bench
from tests.bench.child import Child, program
from tests.bench.peers import Ours
from tests.bench.publishers.orders import Order
from tests.bench.results import Goal, Result, Row
from tests.bench.stage import BROWSERS
from tests.bench.usage import cpu_s
from tests.support.metrics import metric

PUBLISHERS = 500
ARRIVE_S = 60


def run(bench: Bench) -> Result:
    ours = bench.stage.system(Ours)
    assert isinstance(ours, Ours)
    bench.crowd(ours)
    log = bench.stage.folder / "consumer.log"
    consumer = bench.stage.keep(program("programs.consumer", ours.url, "progress-ws", log=log))
    rows = [
        Row("W1, a node of ours", "ours", *_rounds(bench, lambda n: packed(bench, ours, n))),
    ]
    singles = [single(bench, ours, consumer, n) for n in range(bench.rounds + 1)][1:]
    for name, form, what in (
        ("W2, a node of ours", "ours", "ours"),
        ("W2, plain aio-pika callback", "reference", "plain"),
    ):
        figures = [{"cpu_us": each[what]} for each in singles]
        rows.append(Row(name, form, {"cpu_us": median(f["cpu_us"] for f in figures)}, figures))
    consumer.close()
    w1, w2, plain = (row.figures["cpu_us"] for row in rows)
    return Result(
        "unheard",
        "CPU of a node for a message that nobody here listens to, in µs",
        rows,
        [
            Goal("W1, part of a plain aio-pika callback", w1 / plain, 1 / 12),
            Goal("W2, part of a plain aio-pika callback", w2 / plain, 1 / 5),
        ],
        ["The plain callback does nothing, without acknowledgement, on the same messages of W2."],
    )


def packed(bench: Bench, ours: Ours, seed: int) -> float:
    """Microseconds of one node for each message, from one busy publisher."""
    count = bench.scale(100_000, 40_000)
    return spent(ours, count, lambda: _publish(ours.busy_publisher(), count, seed))


def single(bench: Bench, ours: Ours, consumer: Child, seed: int) -> dict[str, float]:
    """The same for single messages, and what the plain consumer spends on them."""
    count = bench.scale(20_000, 6_000)
    received = consumer.ask("received")["received"]
    plain = cpu_s([consumer.pid])
    node = spent(ours, count, lambda: _publish(ours.many_publishers(PUBLISHERS), count, seed))
    wait_for(
        lambda: consumer.ask("received")["received"] >= received + count,
        timeout_s=ARRIVE_S,
        what="the arrival of all at the plain consumer",
    )
    return {"ours": node, "plain": (cpu_s([consumer.pid]) - plain) / count * 1e6}


def spent(ours: Ours, count: int, publish: Callable[[], None]) -> float:
    """Microseconds of one node for each of so many messages."""
    before = [metric(node, "messages_discarded_total") for node in ours.parts]
    cpu = cpu_s(ours.nodes)
    publish()
    for node, sofar in zip(ours.parts, before, strict=True):
        wait_for(
            lambda node=node, sofar=sofar: (  # type: ignore[misc]
                metric(node, "messages_discarded_total") >= sofar + count
            ),
            timeout_s=ARRIVE_S,
            what="the arrival of all at a node",
        )
    return (cpu_s(ours.nodes) - cpu) / len(ours.nodes) / count * 1e6


def _publish(publisher: Child, count: int, seed: int) -> None:
    order = Order(count, seed=seed, first=BROWSERS, last=2 * BROWSERS)
    publisher.ask(json.dumps(asdict(order)))


def _rounds(
    bench: Bench, measure: Callable[[int], float]
) -> tuple[dict[str, float], list[dict[str, float]]]:
    found = [{"cpu_us": measure(n)} for n in range(bench.rounds + 1)][1:]
    return {"cpu_us": median(each["cpu_us"] for each in found)}, found
