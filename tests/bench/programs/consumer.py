"""A plain aio-pika consumer: a callback without acknowledgement that does nothing.

.venv/bench/bin/python -m tests.bench.programs.consumer URL EXCHANGE

Each line on its standard input is answered with how many messages have come.
"""

import asyncio
import json
import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.bench.publishers.loop import run


async def main(url: str, exchange: str) -> None:
    received = 0

    async def on_message(_message: AbstractIncomingMessage) -> None:
        nonlocal received
        received += 1

    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, routing_key="")
    await queue.consume(on_message, no_ack=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while await lines.readline():
        print(json.dumps({"received": received}), flush=True)


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
