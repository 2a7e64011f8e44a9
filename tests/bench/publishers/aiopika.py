"""Publishes the bare text with aio-pika, confirmed: what a Python service beside Web-STOMP does.

.venv/bench/bin/python -m tests.bench.publishers.aiopika URL EXCHANGE SIDS CONNECTIONS
"""

import asyncio
import sys

import aio_pika
from aio_pika.abc import AbstractExchange

from tests.bench.publishers.loop import orders, run
from tests.bench.publishers.orders import Account, Order, read_sids


async def main(url: str, exchange: str, path: str, connections: str) -> None:
    sids = read_sids(path)
    exchanges = []
    for _ in range(int(connections)):
        connection = await aio_pika.connect(url)
        channel = await connection.channel(publisher_confirms=True)
        exchanges.append(await channel.get_exchange(exchange))
    async for order in orders():
        account = Account()
        await publish(order, exchanges, sids)
        account.close(order.count)


async def publish(order: Order, exchanges: list[AbstractExchange], sids: list[str]) -> None:
    addressees = order.addressees
    async with asyncio.TaskGroup() as group:
        async for numbers in order.turns(asyncio.sleep):
            for number in numbers:
                browser = addressees[number]
                message = aio_pika.Message(order.text(number, browser).encode())
                exchange = exchanges[number % len(exchanges)]
                group.create_task(exchange.publish(message, sids[browser]))


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
