"""Emits with python-socketio's own manager, as its documentation shows.

.venv/bench/bin/python -m tests.bench.publishers.socketio URL SIDS
"""

import asyncio
import sys

import socketio

from tests.bench.publishers.loop import orders
from tests.bench.publishers.orders import Account, read_sids


async def main(url: str, path: str) -> None:
    sids = read_sids(path)
    manager = socketio.AsyncAioPikaManager(url, write_only=True)
    async for order in orders():
        account = Account()
        addressees = order.addressees
        async for numbers in order.turns(asyncio.sleep):
            for number in numbers:
                browser = addressees[number]
                await manager.emit("message", order.text(number, browser), room=sids[browser])
        account.close(order.count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
