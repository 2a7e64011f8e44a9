"""Who is there: the sockets that are open on this node, and how those before them ended."""

import asyncio
from collections import Counter
from collections.abc import Iterator

from progress_ws.node.sockets import Socket


class Sockets:
    """All sockets of this node.

    Attributes:
        draining: no new ones are taken.
        empty: set while none is open.
        closes: how many ended, by close code.
    """

    def __init__(self, *, limit: int) -> None:
        self._open: set[Socket] = set()
        self._limit = limit
        self.draining = False
        self.empty = asyncio.Event()
        self.empty.set()
        self.closes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Socket]:
        return iter(tuple(self._open))

    @property
    def full(self) -> bool:
        """Tell whether one more would be too many."""
        return len(self._open) >= self._limit

    def add(self, socket: Socket) -> None:
        """Note an open socket."""
        self._open.add(socket)
        self.empty.clear()

    def remove(self, socket: Socket, code: int) -> None:
        """Note its end."""
        self._open.discard(socket)
        if not self._open:
            self.empty.set()
        self.closes[str(code)] += 1
