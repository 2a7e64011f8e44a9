"""Reading the stream back, as a node does at its start, beside plain aio-pika callbacks."""

import asyncio
import contextlib
import io
import time
from statistics import median

from deploy.local import Node
from tests.bench import stream
from tests.bench.bench import Bench
from tests.bench.results import Goal, Result, Row
from tests.support.metrics import metric
from tests.support.parts import running


def run(bench: Bench) -> Result:
    broker = bench.stage.broker
    url = broker.amqp_url(bench.stage.vhost("catchup"))
    count, few = bench.scale(300_000, 30_000), bench.scale(30_000, 3_000)
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(stream.fill(url, count))
        plain = [rate(stream.read_plainly, url, few) for _ in range(bench.rounds)]
        ours = [rate(stream.read_back, url, count) for _ in range(bench.rounds)]
    began = time.monotonic()
    with running(Node(bench.stage.folder / "catchup", amqp_url=url)) as node:
        ready_s = time.monotonic() - began
        kept = metric(node, "history_messages")
    rows = [
        Row("progress-ws", "ours", {"per_s": median(ours)}, [{"per_s": each} for each in ours]),
        Row(
            "plain aio-pika callbacks",
            "reference",
            {"per_s": median(plain)},
            [{"per_s": each} for each in plain],
        ),
    ]
    return Result(
        "catchup",
        "Reading the stream back",
        rows,
        [Goal("× plain aio-pika callbacks", median(ours) / median(plain), 10, True)],
        [f"A node with {kept:,.0f} messages behind it is ready {ready_s:.1f} s after its start."],
    )


def rate(read: stream.Read, url: str, count: int) -> float:
    """Messages a second."""
    began = time.monotonic()

    async def bounded() -> None:
        async with asyncio.timeout(300):
            await read(url, count)

    asyncio.run(bounded())
    return count / (time.monotonic() - began)
