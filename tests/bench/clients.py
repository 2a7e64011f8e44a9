"""Our client beside others in Chromium: its weight, and when a page has news again after faults.

.venv/bin/python -m tests.bench.clients [ROUNDS]

The rivals are installed from npm and PyPI into a folder that is thrown away. Every fault happens
in one TCP proxy before one server; a figure is the time from its end until the page has a count
that was told after it, the median of the rounds, and in brackets how many counts it never had.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rivals import Counter, Rival, install, serving
from tests.support.chromium import Chromium, Drawer
from tests.support.parts import running
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

ROUNDS = 1
AWAY_S = 15
#: Whoever is not back by then is not back.
PATIENCE_S = 60

Fault = Callable[["Page", Proxy], Awaitable[float]]


async def server_away(page: "Page", proxy: Proxy) -> float:
    await proxy.refuse()
    await asyncio.sleep(AWAY_S)
    await proxy.listen()
    return time.monotonic()


async def hidden_meanwhile(page: "Page", proxy: Proxy) -> float:
    drawer = Drawer(page)
    await drawer.hide()
    await proxy.refuse()
    await asyncio.sleep(AWAY_S)
    await proxy.listen()
    return await drawer.show()


async def frozen_and_cut_off(page: "Page", proxy: Proxy) -> float:
    drawer = Drawer(page)
    await drawer.freeze()
    proxy.forget()
    await asyncio.sleep(AWAY_S)
    return await drawer.show()


async def offline_and_online(page: "Page", proxy: Proxy) -> float:
    proxy.forget()
    await page.context.set_offline(True)
    await asyncio.sleep(AWAY_S)
    online = time.monotonic()
    await page.context.set_offline(False)
    return online


FAULTS: dict[str, Fault] = {
    f"server away {AWAY_S} s": server_away,
    "the same, tab hidden, shown": hidden_meanwhile,
    "tab frozen, connection dead, shown": frozen_and_cut_off,
    "offline, online": offline_and_online,
}


async def suffer(
    rival: Rival, fault: Fault, *, context: "BrowserContext", port: int, counter: Counter
) -> tuple[float | None, int]:
    """Open the rival's page, let the fault happen; seconds (None: not back) and counts missed."""
    async with Proxy(port) as proxy:
        page = await context.new_page()
        try:
            await page.goto(f"http://127.0.0.1:{proxy.port}/page/{rival.name}")
            await page.wait_for_function("got.length > 5")
            over = await fault(page, proxy)
            known, offset = counter.count, time.monotonic() - time.time()

            async def fresh() -> float | None:
                at = await page.evaluate("n => got.find((it) => it[1] > n)?.[0]", known)
                return None if at is None else at / 1000 + offset

            back = None
            with suppress(AssertionError):
                back = await eventually(fresh, PATIENCE_S)
            counts = {n for _, n in await page.evaluate("got")}
            missed = max(counts) - min(counts) + 1 - len(counts)
            return (None if back is None else max(0.0, back - over)), missed
        finally:
            for each in context.pages[1:]:
                await each.close()


def told(figures: list[tuple[float | None, int]]) -> str:
    """A cell of the table."""
    times = [seconds for seconds, _ in figures if seconds is not None]
    if len(times) <= len(figures) / 2:
        return "never"
    missed = round(statistics.median(missed for _, missed in figures))
    return f"{statistics.median(times):.2f} ({missed})"


async def main(rounds: int) -> None:
    """Measure, and print a row for each."""
    from playwright.async_api import async_playwright

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        rivals = install(folder)
        port, counter = await stack.enter_async_context(serving(rivals))
        process = stack.enter_context(running(Chromium(folder / "chromium")))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.connect_over_cdp(process.url, no_defaults=True)
        print("| client | bytes, gzip | " + " | ".join(FAULTS) + " |")
        print("|---|---|" + "---|" * len(FAULTS))
        for rival in rivals:
            cells = []
            for fault in FAULTS.values():
                figures = [
                    await suffer(
                        rival, fault, context=browser.contexts[0], port=port, counter=counter
                    )
                    for _ in range(rounds)
                ]
                cells.append(told(figures))
            print(f"| {rival.name} | {rival.size:,} | " + " | ".join(cells) + " |", flush=True)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
