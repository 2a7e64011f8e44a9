"""A worker at one job, told by signals: `python -m tests.browser.worker URL SID [stall_s=3] …`.

It shows a bar as applications do, and between its updates it sends lines, each different, which it
notes as the workers of the fault tests do. SIGTERM has it come to its end, SIGUSR1 has it fail.
"""

import asyncio
import itertools
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from deploy.local.node import PROJECT
from deploy.local.process import Process
from progress_ws import Publisher
from progress_ws.errors import Cancelled
from tests.faults.ledger import Sent
from tests.faults.traffic import say
from tests.faults.worker import note, read
from tests.support.waiting import eventually

TOTAL = 10_000
STEP_S = 0.05
#: Each step leaves this much of what was left: it never comes to its end untold.
LEFT = 0.996
#: For lines to be confirmed, also while the broker is started.
SAYS_S = 90


class Worker(Process):
    """That worker as a process, to be told, and killed."""

    def __init__(self, log: Path, url: str, sid: str, **options: object) -> None:
        words = [f"{name}={value}" for name, value in options.items()]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
        argv = [sys.executable, "-m", "tests.browser.worker", url, sid, *words]
        super().__init__(argv, log=log, env=env)

    async def says(self, lines: int) -> None:
        """Wait until so many more of its lines are confirmed."""
        wanted = self._confirmed() + lines
        await eventually(lambda: self._confirmed() >= wanted, SAYS_S, what=f"{lines} lines")

    def _confirmed(self) -> int:
        return sum(sent.id is not None for sent in read(self.output))

    def fail(self) -> None:
        """Have its job fail."""
        self._signal(signal.SIGUSR1)


class Told(Exception):
    """What the job fails with."""


async def work(url: str, sid: str, options: dict[str, str]) -> None:
    """Be at the job until told to end it; being cancelled is no error of this program."""
    done, failed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    loop.add_signal_handler(signal.SIGUSR1, failed.set)
    key, parts = options.get("key", "report"), int(options.get("parts", 0))
    async with Publisher(url) as publisher, asyncio.TaskGroup() as lines:
        with suppress(Cancelled, Told):
            async with publisher.progress(
                sid,
                key=key,
                total=TOTAL,
                title=options.get("title", "Report"),
                unit="rows",
                cancellable=True,
                raise_cancelled=True,
                stall_s=float(options.get("stall_s", 15)),
                attempt=int(options.get("attempt", 1)),
            ) as bar:
                children = [bar.child(f"part {n}", total=TOTAL, weight=0) for n in range(parts)]
                for number in itertools.count():
                    if failed.is_set():
                        raise Told("the disk is full")
                    if done.is_set():
                        break
                    at = int(TOTAL * (1 - LEFT**number))
                    bar.set(at)
                    bar.text(f"row {at}")
                    for child in children:
                        child.set(at)
                    sent = Sent(sid, f"{key} {os.getpid()}: line {number}")
                    lines.create_task(say(publisher, sent, asks=note, confirms=note))
                    await asyncio.sleep(STEP_S)
                bar.set(TOTAL)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], dict(word.split("=", 1) for word in sys.argv[3:])))
