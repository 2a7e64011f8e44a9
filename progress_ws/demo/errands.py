"""Twenty small jobs at once, each for a session of its own: what the page follows over one socket.

They wait for services that take their time, so that all of them together cost next to nothing.
"""

import asyncio
from dataclasses import dataclass
from random import Random

from progress_ws import Bar, Cancelled, Publisher
from progress_ws.demo.job import Job

STEP_S = 0.4
"""The average wait for an answer."""
SHORTEST_S, LONGEST_S = 18.0, 36.0


@dataclass(frozen=True, kw_only=True)
class Errand:
    """One small job.

    Attributes:
        title: what it is, for people.
        total: how many there are; None: not known before the end.
        unit: of what.
        fails_at: the share after which it fails, with a reason.
        error: that reason.
    """

    title: str
    total: int | None
    unit: str
    fails_at: float = 1.0
    error: str | None = None


ERRANDS = (
    Errand(title="Thumbnails", total=240, unit="pictures"),
    Errand(title="Invoices", total=1_150, unit="invoices"),
    Errand(title="Search index", total=48_000, unit="pages"),
    Errand(title="Exchange rates", total=168, unit="rates"),
    Errand(title="Newsletter", total=5_200, unit="letters"),
    Errand(title="Backup", total=734_003_200, unit="B"),
    Errand(title="Address check", total=930, unit="addresses"),
    Errand(title="Log archive", total=None, unit="lines"),
    Errand(title="Translations", total=412, unit="texts"),
    Errand(title="Video preview", total=3_000, unit="frames"),
    Errand(title="Stock levels", total=8_400, unit="articles"),
    Errand(title="Spam check", total=2_750, unit="comments"),
    Errand(title="Sitemap", total=1_900, unit="links"),
    Errand(title="Payroll", total=86, unit="people"),
    Errand(
        title="Weather data",
        total=720,
        unit="stations",
        fails_at=0.6,
        error="The weather service has answered 500 three times.",
    ),
    Errand(title="Duplicates", total=31_000, unit="files"),
    Errand(title="Map tiles", total=4_096, unit="tiles"),
    Errand(title="Receipts", total=640, unit="receipts"),
    Errand(title="Audio", total=52_428_800, unit="B"),
    Errand(title="Statistics", total=365, unit="days"),
)


async def run(job: Job, publisher: Publisher, *, stall_s: float) -> None:
    """Do all errands of a job side by side, each with a bar in its session, until the last ends."""
    by_title = {errand.title: errand for errand in ERRANDS}
    async with asyncio.TaskGroup() as group:
        for sid, title in job.errands.items():
            bar = publisher.progress(
                sid,
                key=job.key,
                title=title,
                run=job.run,
                attempt=job.attempt,
                stall_s=stall_s,
                raise_cancelled=True,
            )
            random = Random(f"{job.id} {title}")  # each run of the page looks different
            group.create_task(_do(by_title[title], bar, random))


async def _do(errand: Errand, bar: Bar, random: Random) -> None:
    """Do one errand; its end, whatever it is, is the bar's."""
    steps = round(random.uniform(SHORTEST_S, LONGEST_S) / STEP_S)
    amount = errand.total or random.randrange(20_000, 60_000)
    bar.phase("Working", total=errand.total, unit=errand.unit)
    try:
        for step in range(1, steps + 1):
            await asyncio.sleep(random.uniform(0, 2 * STEP_S))  # the service answers
            bar.set(amount * step // steps)
            if errand.error and step >= errand.fails_at * steps:
                bar.failed(errand.error)
                return
        bar.done()
    except Cancelled:
        bar.cancel()
