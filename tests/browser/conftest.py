"""A site to harm, browsers that look at it, and workers behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import RabbitMQ
from progress_ws import new_sid
from tests.browser.judge import judge
from tests.browser.screen import Screen
from tests.browser.site import Site, standing
from tests.browser.worker import Worker
from tests.faults.ledger import Ledger
from tests.support.parts import new_vhost, running

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

#: More than the longest message of a test.
MAX_MESSAGE_BYTES = 8_000_000

Work = Callable[..., Worker]
Judge = Callable[..., Awaitable[Ledger]]


@pytest.fixture(scope="package")
def shared_site(session_folder: Path, rabbitmq: RabbitMQ) -> Iterator[Site]:
    """The site of all tests of this folder; use `site`."""
    with (
        new_vhost(rabbitmq) as vhost,
        standing(
            session_folder, rabbitmq.amqp_url(vhost), max_message_bytes=MAX_MESSAGE_BYTES
        ) as site,
    ):
        yield site


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """Three nodes behind nginx, all well; what a test does to them is mended after it."""
    yield shared_site
    shared_site.heal()


@pytest.fixture
def sid() -> str:
    """A new session."""
    return new_sid()


@pytest.fixture
async def tabs(chromium: "Browser") -> AsyncIterator["BrowserContext"]:
    """A person's browser in which the tab behind another one is hidden."""
    (context,) = chromium.contexts
    before = list(context.pages)
    yield context
    for page in context.pages:
        if page not in before:
            await page.close()
    await context.clear_cookies()


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """Start workers: `work(site.amqp_url, sid, stall_s=2)`; see `worker.py` for the options."""
    with ExitStack() as stack:
        workers: list[Worker] = []

        def start(url: str, sid: str, **options: object) -> Worker:
            log = tmp_path / f"worker-{len(workers)}.log"
            workers.append(stack.enter_context(running(Worker(log, url, sid, **options))))
            return workers[-1]

        yield start


@pytest.fixture
def judged(record_property: Callable[[str, object], None]) -> Judge:
    """Judge what came to tabs of what workers sent; its figures are printed with the summary."""

    async def run(screens: list[Screen], workers: list[Worker], **figures: float) -> Ledger:
        ledger = await judge(screens, workers)
        row = {"lines": ledger.confirmed, "frames": sum(d.frames for d in ledger.diaries)}
        record_property("ledger", row | {name.replace("_", " "): s for name, s in figures.items()})
        return ledger

    return run
