"""Programs on an event loop: it goes on turning while they wait for an order."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine

import uvloop

from tests.bench.publishers.orders import Order, parse, say


def run(main: Coroutine[object, object, None]) -> None:
    """Run on uvloop, as all that is tuned does."""
    uvloop.run(main)


async def lines() -> AsyncIterator[str]:
    """Say that we are ready, and give the lines of the standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say(ready=True)
    while line := await reader.readline():
        yield line.decode()


async def orders() -> AsyncIterator[Order]:
    """See `orders.read_orders`."""
    async for line in lines():
        yield parse(line)
