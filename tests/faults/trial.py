"""A cluster under load goes through a fault, and the ledger is compared."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from progress_ws import Publisher, new_sid
from tests.faults.browser import Browser
from tests.faults.ledger import Ledger, Sent
from tests.faults.traffic import say, work
from tests.support.waiting import eventually

Fault = Callable[["Trial"], Awaitable[None]]

#: From the fault's end until publishers go on, and until every browser has everything.
ON_AGAIN_S = 90
COMPLETE_S = 40
#: What each publisher has confirmed before the fault, and again after it.
WARM = 30
FOLLOWED_TOGETHER = 3
COMING_PER_S = 300


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much goes on: small enough for two cores that run everything else, too."""

    browsers: int = 100
    sids: int = 20
    publishers: int = 3
    #: Between two messages of one job; each publisher works at every session.
    pause_s: float = 0.5
    #: Every second browser leaves and comes back within so many seconds, again and again.
    leaves_s: float | None = 6.0
    ping_s: float = 4.0


class Trial:
    """Publishers, browsers, and the book of both.

    Args:
        doors: where browsers go in: nginx, or nodes.
        amqp_urls: where publishers go in, one after the other.
    """

    def __init__(
        self, *, doors: Sequence[str], amqp_urls: Sequence[str], load: Load | None = None
    ) -> None:
        self.load = load or Load()
        self.ledger = Ledger()
        self.sids = [new_sid() for _ in range(self.load.sids)]
        self.browsers: list[Browser] = []
        self._doors = doors
        self._amqp_urls = amqp_urls

    async def endure(self, fault: Fault) -> None:
        """Let it happen under load, then wait until everybody has everything, and look again."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._browsing(self._crowd()))
            async with self.publishing():
                await self.goes_on(0)
                await fault(self)
                self.ledger.healed_at = time.monotonic()
                await self.goes_on(self.ledger.healed_at)
            if await self.completes():
                await self._farewell(stack)

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Every publisher works at every session; at the end each job comes to its own end."""
        async with AsyncExitStack() as stack:
            stop = asyncio.Event()
            jobs: list[asyncio.Task[None]] = []
            for number in range(self.load.publishers):
                url = self._amqp_urls[number % len(self._amqp_urls)]
                publisher = await stack.enter_async_context(Publisher(url))
                jobs += [
                    asyncio.create_task(
                        work(
                            publisher,
                            sid,
                            stop=stop,
                            pause_s=self.load.pause_s,
                            asks=self.ledger.asks,
                            confirms=self.ledger.confirms,
                        )
                    )
                    for sid in self.sids
                ]
            stack.push_async_callback(_end, jobs)
            yield
            stop.set()
            await asyncio.gather(*jobs)

    async def goes_on(self, moment: float) -> None:
        """Wait until every publisher has got confirmed what it was asked for after a moment."""

        def all_do() -> bool:
            counts = self.ledger.confirmed_since(moment)
            return sum(count >= WARM for count in counts.values()) >= self.load.publishers

        await eventually(all_do, ON_AGAIN_S, what="every publisher goes on")

    async def completes(self) -> bool:
        """Wait until nothing is missing; what never comes is for the verdict to tell."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self.ledger.complete, COMPLETE_S)
        for browser in self.browsers:
            assert not browser.errors, browser.errors
        return self.ledger.complete

    async def _farewell(self, stack: AsyncExitStack) -> None:
        """Everybody leaves and comes back, late ones come too, and one more message is for all.

        What was still on its way a second time would come before it.
        """
        late = [self._browser(f"late {n}", [sid]) for n, sid in enumerate(self.sids)]
        for browser in self.browsers:
            browser.leave()
        await stack.enter_async_context(self._browsing(late))
        async with Publisher(self._amqp_urls[0]) as publisher:
            for sid in self.sids:
                last = Sent(sid, f"farewell {sid}")
                await say(publisher, last, asks=self.ledger.asks, confirms=self.ledger.confirms)
        await self.completes()

    def _crowd(self) -> list[Browser]:
        """Most by the query, every fifth by `follow`; every second comes and goes."""
        crowd = []
        for number in range(self.load.browsers):
            follows = FOLLOWED_TOGETHER if number % 5 == 0 else 1
            sids = [self.sids[(number + n) % len(self.sids)] for n in range(follows)]
            leaves_s = self.load.leaves_s if number % 2 else None
            crowd.append(self._browser(f"browser {number}", sids, leaves_s=leaves_s))
        return crowd

    def _browser(self, name: str, sids: Sequence[str], *, leaves_s: float | None = None) -> Browser:
        return Browser(name, self._doors, sids, ping_s=self.load.ping_s, leaves_s=leaves_s)

    @asynccontextmanager
    async def _browsing(self, browsers: Sequence[Browser]) -> AsyncIterator[None]:
        self.browsers += browsers
        self.ledger.diaries += [d for browser in browsers for d in browser.diaries.values()]
        tasks = [
            asyncio.create_task(browser.run(delay_s=number / COMING_PER_S))
            for number, browser in enumerate(browsers)
        ]
        try:
            await eventually(
                lambda: all(d.visits for b in browsers for d in b.diaries.values()),
                ON_AGAIN_S,
                what="every browser is welcomed",
            )
            yield
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
