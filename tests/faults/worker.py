"""A publisher as a process of its own, to be killed: `python -m tests.faults.worker URL SID …`.

It prints what it is about to send, and again what was confirmed, a JSON line each.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from progress_ws import Publisher
from tests.faults.ledger import Ledger, Sent
from tests.faults.traffic import work

PAUSE_S = 0.05


def note(sent: Sent) -> None:
    """Print it before anything else can happen."""
    print(json.dumps(asdict(sent)), flush=True)


def read(output: str) -> Iterator[Sent]:
    """What a worker noted; half a line is what a killed one left."""
    for line in output.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("}\n"):
            yield Sent(**json.loads(line))


def enter(output: str, ledger: Ledger) -> None:
    """Take a worker's notes into the ledger."""
    for sent in read(output):
        if sent.id is None:
            ledger.asks(sent)
        else:
            ledger.confirms(sent)


async def main(url: str, sids: list[str]) -> None:
    """Work at every session until killed."""
    stop = asyncio.Event()
    async with Publisher(url) as publisher, asyncio.TaskGroup() as tasks:
        for sid in sids:
            tasks.create_task(
                work(publisher, sid, stop=stop, pause_s=PAUSE_S, asks=note, confirms=note)
            )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
