"""Publishes with our own `Publisher`, as applications do.

.venv/bench/bin/python -m tests.bench.publishers.ours URL SIDS PUBLISHERS

One publisher posts as fast as it is let; of several, each `send`s one message after another.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from progress_ws import Publisher
from tests.bench.publishers.loop import orders, run
from tests.bench.publishers.orders import Account, Order, read_sids

WAITING_BYTES = 1_200_000
CHUNK_BYTES = 60_000
PAUSE_S = 0.001


async def main(url: str, path: str, publishers: str) -> None:
    sids = read_sids(path)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Publisher(url)) for _ in range(int(publishers))]
        for publisher in opened:  # connected, and not only begun to
            await publisher.send("x" * 22, "here", timeout_s=60)
        async for order in orders():
            account = Account()
            if len(opened) == 1:
                await post(order, opened[0], sids)
            else:
                await send(order, opened, sids)
            account.close(order.count)


async def post(order: Order, publisher: Publisher, sids: list[str]) -> None:
    addressees = order.addressees
    chunk = max(1, CHUNK_BYTES // order.size)
    async for numbers in order.turns(asyncio.sleep, chunk=chunk):
        for number in numbers:
            browser = addressees[number]
            publisher.post(sids[browser], order.text(number, browser))
        while publisher.waiting * order.size > WAITING_BYTES:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(PAUSE_S)
    if unsent := await publisher.flush(timeout_s=60):
        raise RuntimeError(f"{unsent} messages were not confirmed")
    if publisher.dropped:
        raise RuntimeError(f"{publisher.dropped} messages were dropped")


async def send(order: Order, publishers: list[Publisher], sids: list[str]) -> None:
    addressees = order.addressees
    async with asyncio.TaskGroup() as group:
        async for numbers in order.turns(asyncio.sleep):
            for number in numbers:
                browser = addressees[number]
                publisher = publishers[number % len(publishers)]
                text = order.text(number, browser)
                group.create_task(publisher.send(sids[browser], text, timeout_s=60))  # type: ignore[arg-type]


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
