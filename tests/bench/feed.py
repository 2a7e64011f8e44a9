"""What a message that nobody here listens to costs a node, beside a callback that does nothing.

.venv/bin/python -m tests.bench.feed [ROUNDS]

W1: arrays of 100, as one busy publisher packs them; W2: each on its own. The node's feed has
everything behind it but browsers: numbers, history, hub. CPU is this process's; the messages come
from another one. With history off a catch-up has nothing to do, so none is made in either case.
"""

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pika
from aiormq.abc import DeliveredMessage

from deploy.local import RabbitMQ
from progress_ws.broker.connection import connect
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.topology import Names, declare_exchange, declare_node_queue
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import Delivery, Intake
from progress_ws.core.memory import Memory
from tests.support.parts import running

NAMES = Names()
SIDS = 1000
ROUNDS = 5
PUBLISHERS = 500
BODY = '{"sid":"%022d","message":"' + "m" * 118 + '","ts":1700000000.123,"id":"%s-%d"}'
W1, W2 = 100, 1

Read = Callable[[str, int, Callable[[], None]], Awaitable[None]]


def bodies(count: int, size: int) -> list[bytes]:
    """So many messages, `size` to an array; single ones are of many publishers."""
    if size == 1:
        return [
            (BODY % (n % SIDS, f"publisher{n % PUBLISHERS:07}", n // PUBLISHERS + 1)).encode()
            for n in range(count)
        ]
    texts = [BODY % (n * 7919 % SIDS, "publisher-publisher", n + 1) for n in range(count)]
    return [f"[{','.join(texts[at : at + size])}]".encode() for at in range(0, count, size)]


def publish(url: str, count: int, size: int) -> None:
    """Send them as fast as the broker takes them; in a process of its own."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for body in bodies(count, size):
        if size == 1:
            properties = pika.BasicProperties(
                content_type="application/json",
                message_id="publisher0000000-123",
                timestamp=1_700_000_000,
                app_id="progress-ws/0.1.0",
                type="message",
                headers={"sid": "s" * 22, "key": "report"},
            )
        else:
            properties = pika.BasicProperties(content_type="application/json", type="messages")
        channel.basic_publish(NAMES.exchange, "", body, properties)
    connection.close()


async def read_plainly(url: str, count: int, ready: Callable[[], None]) -> None:
    """A callback of the library that does nothing."""
    seen = 0
    enough = asyncio.Event()
    async with connect(url, name="bench") as connection:
        exchange = await declare_exchange(connection, NAMES)
        channel = await connection.channel()
        queue = await declare_node_queue(channel, exchange, NAMES, "plain")
        underlay = await channel.get_underlay_channel()

        async def on_message(_message: DeliveredMessage) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                enough.set()

        await underlay.basic_consume(queue.name, on_message, no_ack=True)
        ready()
        await enough.wait()


def intake(*, history: bool) -> Intake:
    """What is behind a node's feed."""
    clock = time.monotonic
    retained = History(max_age_s=300 * history, max_bytes=67108864, clock=clock)
    memory = Memory(retained, Hub(), clock=clock)
    memory.begins()
    cluster = Cluster(instance="i", clock=clock)
    return Intake(
        memory,
        cluster,
        Cancels(memory, cluster, clock=clock),
        max_message_bytes=65536,
        on_reject=lambda flaw, _: print(flaw),
        wall_clock=time.time,
    )


async def read_as_a_node(url: str, count: int, ready: Callable[[], None], *, history: bool) -> None:
    """The node's feed and all that is behind it."""
    seen = 0
    enough = asyncio.Event()
    into = intake(history=history)

    def deliver(delivery: Delivery) -> None:
        nonlocal seen
        into.deliver(delivery)
        seen += 1
        if seen == count:
            enough.set()

    feed = AmqpFeed(url, NAMES, node="node")
    running = asyncio.create_task(feed.run(deliver))
    while feed.trouble is not None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    ready()
    await enough.wait()
    running.cancel()
    await asyncio.wait([running])


async def measured(read: Read, url: str, count: int, size: int) -> float:
    """Return the microseconds of CPU for each message, from the first one on."""
    began = 0.0

    def ready() -> None:
        nonlocal began
        sending.start()
        began = time.process_time()

    sending = multiprocessing.get_context("spawn").Process(target=publish, args=(url, count, size))
    async with asyncio.timeout(120):
        await read(url, count // size, ready)
    cpu_s = time.process_time() - began
    sending.join()
    return cpu_s / count * 1e6


def show(name: str, costs: dict[str, list[float]], size: int) -> None:
    """Print the medians, and the ratios to a plain callback per AMQP message and per message."""
    medians = {what: statistics.median(values) for what, values in costs.items()}
    alone = medians["plain callback, one message each"]
    for what, cost in medians.items():
        print(f"{name}: {what}: {cost:.2f} µs of CPU a message, {cost / alone:.3f} of it")


async def main(rounds: int) -> None:
    readers: dict[str, Read] = {
        "node, history on": partial(read_as_a_node, history=True),
        "node, history off": partial(read_as_a_node, history=False),
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with running(RabbitMQ(Path(folder) / "rabbitmq")) as broker:
            url = broker.amqp_url()
            costs: dict[int, dict[str, list[float]]] = {W1: {}, W2: {}}
            for _ in range(rounds):
                alone = await measured(read_plainly, url, 10_000, 1)
                for size, count in ((W1, 200_000), (W2, 20_000)):
                    of_size = costs[size]
                    of_size.setdefault("plain callback, one message each", []).append(alone)
                    for what, read in readers.items():
                        of_size.setdefault(what, []).append(await measured(read, url, count, size))
            show("W1", costs[W1], W1)
            show("W2", costs[W2], W2)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
