"""How fast the stream is read back, and how soon a node is ready with all of it behind it.

.venv/bin/python -m tests.bench.stream [MESSAGES]
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pika
from aiormq.abc import DeliveredMessage

from deploy.local import Node, RabbitMQ
from progress_ws.broker.connection import connect
from progress_ws.broker.stream import Recalled, recall
from progress_ws.broker.topology import Names, declare_exchange, declare_history
from tests.support.metrics import metric
from tests.support.parts import running

NAMES = Names()
MESSAGES = 300_000
PLAIN_MESSAGES = 30_000
SIDS = 1000
Read = Callable[[str, int], Awaitable[None]]

BODY = '{"sid":"%022d","id":"pppppppppppp-%d","ts":1700000000.123,"message":"' + "m" * 110 + '"}'


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with running(RabbitMQ(Path(folder) / "rabbitmq")) as broker:
            await fill(broker.amqp_url(), count)
            plain = await measured("plain callbacks", read_plainly, broker, PLAIN_MESSAGES)
            bulk = await measured("recall", read_back, broker, count)
            print(f"recall is {plain / bulk:.1f} times as cheap as plain callbacks")
            began = time.monotonic()
            with running(Node(Path(folder), amqp_url=broker.amqp_url())) as node:
                print(f"a node is ready {time.monotonic() - began:.1f} s after its start")
                print(f"with {metric(node, 'history_messages'):.0f} messages retained")


async def fill(url: str, count: int) -> None:
    async with connect(url, name="bench") as connection:
        await declare_exchange(connection, NAMES)
        await declare_history(connection, NAMES, max_age_s=3600, max_bytes=2**30)
    await asyncio.to_thread(publish, url, count)


def publish(url: str, count: int) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    properties = pika.BasicProperties(
        content_type="application/json",
        message_id="p" * 12 + "-123456",
        timestamp=1_700_000_000,
        app_id="progress-ws/0.1.0",
        type="message",
        headers={"sid": "s" * 22, "key": "report"},
    )
    for n in range(1, count + 1):
        channel.basic_publish(NAMES.exchange, "", (BODY % (n % SIDS, n)).encode(), properties)
    connection.close()
    print(f"published {count} messages of some {len(BODY) + 25} bytes")


async def measured(what: str, read: Read, broker: RabbitMQ, count: int) -> float:
    start, start_cpu = time.perf_counter(), time.process_time()
    async with asyncio.timeout(300):
        await read(broker.amqp_url(), count)
    took, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(
        f"{what}: {count} messages in {took:.2f} s, {count / took:,.0f} a second, "
        f"{cpu / count * 1e6:.1f} µs of CPU each"
    )
    return cpu / count


async def read_back(url: str, count: int) -> None:
    seen = 0
    longest = 0.0
    turned = time.perf_counter()

    async def turn() -> None:
        nonlocal longest, turned
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, turned = max(longest, now - turned), now

    def take(_recalled: Recalled) -> bool:
        nonlocal seen
        seen += 1
        return seen == count

    turning = asyncio.create_task(turn())
    await recall(url, NAMES, name="bench", since_s=3600, take=take)
    turning.cancel()
    print(f"the loop's longest turn meanwhile: {longest * 1000:.1f} ms")


async def read_plainly(url: str, count: int) -> None:
    seen = 0
    enough = asyncio.Event()
    async with connect(url, name="bench") as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        underlay = await channel.get_underlay_channel()

        async def on_message(message: DeliveredMessage) -> None:
            nonlocal seen
            seen += 1
            if seen % 100 == 0:
                await underlay.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)
            if seen == count:
                enough.set()

        arguments = {"x-stream-offset": "first"}
        await underlay.basic_consume(NAMES.history, on_message, arguments=arguments)
        await enough.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES))
