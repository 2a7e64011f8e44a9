"""What every publishing program is told, and what it answers.

It connects, says so with a line, and then carries out one order after another from its standard
input: so many messages, at a rate or as fast as it can, to browsers drawn at random.
"""

import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK_BYTES = 34
CHUNK = 500


@dataclass(frozen=True)
class Order:
    """One order.

    Attributes:
        count: of messages.
        number: of the first message.
        rate: messages a second; 0: as fast as can be.
        size: bytes of a message's text.
        seed: of the draw.
        first, last: the browsers that are drawn from, the last not among them.
        everybody: the addressee is not told: all browsers share one sid.
        each_once: nobody is drawn: one message for each from the first on.
    """

    count: int
    number: int = 0
    rate: float = 0
    size: int = 120
    seed: int = 0
    first: int = 0
    last: int = 1000
    everybody: bool = False
    each_once: bool = False

    @property
    def addressees(self) -> list[int]:
        """Whom each message is for."""
        if self.each_once:
            return list(range(self.first, self.first + self.count))
        draw = random.Random(self.seed)
        if self.last - self.first == 1:
            return [self.first] * self.count
        return draw.choices(range(self.first, self.last), k=self.count)

    def text(self, index: int, browser: int) -> str:
        """The message at this place, as `load.c` knows it, with the time of this moment."""
        whom = 0xFFFFFFFF if self.everybody else browser
        return f"~{time.monotonic_ns():016x}{self.number + index:08x}{whom:08x}~".ljust(
            self.size, "x"
        )

    def due(self) -> Iterator[int]:
        """The numbers, each when it is due; for a program that may sleep."""
        if not self.rate:
            yield from range(self.count)
            return
        began = time.monotonic()
        for number in range(self.count):
            if (ahead_s := began + number / self.rate - time.monotonic()) > 0:
                time.sleep(ahead_s)
            yield number

    async def turns(
        self, sleep: Callable[[float], Awaitable[None]], *, chunk: int = CHUNK
    ) -> AsyncIterator[range]:
        """Ranges of places that are due in this turn of an event loop; without a rate, chunks."""
        if not self.rate:
            for first in range(0, self.count, chunk):
                yield range(first, min(first + chunk, self.count))
                await sleep(0)
            return
        began, done = time.monotonic(), 0
        while done < self.count:
            due = min(self.count, 1 + int((time.monotonic() - began) * self.rate))
            yield range(done, due)
            done = due
            await sleep(max(0, began + done / self.rate - time.monotonic()))


def read_sids(path: str) -> list[str]:
    """The sid of each browser."""
    return Path(path).read_text().split()


def read_orders() -> Iterator[Order]:
    """Say that we are ready, and wait for orders until there are no more."""
    say(ready=True)
    while line := sys.stdin.readline():
        yield parse(line)


def parse(line: str) -> Order:
    """An order as it was written down."""
    return Order(**json.loads(line))


class Account:
    """Time and CPU of one order, from its beginning to `close`."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()
        self._began_cpu_s = time.process_time()

    def close(self, confirmed: int) -> None:
        """Say how it went."""
        say(
            began_ns=self._began_ns,
            ended_ns=time.monotonic_ns(),
            cpu_s=time.process_time() - self._began_cpu_s,
            confirmed=confirmed,
        )


def say(**fields: object) -> None:
    """Answer with a line."""
    print(json.dumps(fields), flush=True)
