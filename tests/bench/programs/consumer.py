"""A plain aio-pika consumer: a callback without acknowledgement that does nothing.

.venv/bench/bin/python -m tests.bench.programs.consumer URL EXCHANGE

Each line on its standard input is answered with how many messages have come.
"""

import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.bench.publishers.loop import lines, run
from tests.bench.publishers.orders import say


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
    async for _ in lines():
        say(received=received)


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
