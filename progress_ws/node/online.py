"""Who is there: the browsers that are connected to this node, and how those before them left."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from progress_ws.core.frames import CloseCode


class Browser(Protocol):
    """One browser's connection: a socket or an event stream."""

    def end(self, code: CloseCode, reason: str, /) -> None:
        """Begin to end, at once and without waiting."""

    def cut(self) -> None:
        """End without waiting for the browser to read what it was sent."""


class Sockets:
    """All sockets of this node, event streams among them.

    Attributes:
        draining: no new ones are taken.
        empty: set while none is open.
        closes: how many ended, by close code.
    """

    def __init__(self, *, limit: int) -> None:
        self._open: set[Browser] = set()
        self._limit = limit
        self.draining = False
        self.empty = asyncio.Event()
        self.empty.set()
        self.closes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Browser]:
        return iter(tuple(self._open))

    @property
    def full(self) -> bool:
        """Tell whether one more would be too many."""
        return len(self._open) >= self._limit

    def add(self, socket: Browser) -> None:
        """Note an open socket."""
        self._open.add(socket)
        self.empty.clear()

    def remove(self, socket: Browser, code: int) -> None:
        """Note its end."""
        self._open.discard(socket)
        if not self._open:
            self.empty.set()
        self.closes[str(code)] += 1
