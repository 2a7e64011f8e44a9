"""What came after a hole in its publisher's numbers: held back until the hole is repaired."""

from collections.abc import Callable
from math import inf

from progress_ws.core.message import Number, Numbered

HOLD_S = 2.0
"""Then what is held is let go, in spite of the hole."""
GRACE_S = 0.5
HOLD_BYTES = 16 * 1024 * 1024
HELD_OVERHEAD_BYTES = 500
HOLES_MAX = 10_000
"""Of publishers that begin in the middle of their numbers there may be any many."""


class Hole:
    """One publisher's.

    Attributes:
        opened_s: since when.
        upto: the greatest number that is known to exist.
        held: what has come from beyond the hole.
        skipped: numbers that were let go of and may still be found: first and last of each run.
    """

    __slots__ = ("held", "opened_s", "skipped", "upto")

    def __init__(self, opened_s: float) -> None:
        self.opened_s = opened_s
        self.upto = 0
        self.held: dict[int, Numbered] = {}
        self.skipped: list[tuple[int, int]] = []

    def has_skipped(self, seq: int) -> bool:
        """Tell whether this number was let go of."""
        return any(first <= seq <= last for first, last in self.skipped)


class Holes:
    """All that are open. Time is the node's own clock, in seconds.

    Attributes:
        on_open: called when one opens.
    """

    def __init__(self) -> None:
        self.on_open: Callable[[], None] = lambda: None
        self._holes: dict[str, Hole] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._holes)

    def __contains__(self, publisher: object) -> bool:
        return publisher in self._holes

    @property
    def full(self) -> bool:
        """Tell whether no further hole can be watched."""
        return len(self._holes) >= HOLES_MAX

    def publishers(self) -> list[str]:
        """Return whose numbers have a hole."""
        return list(self._holes)

    def get(self, publisher: str) -> Hole | None:
        """Return a publisher's hole, if there is one."""
        return self._holes.get(publisher)

    def upto(self, publisher: str) -> int:
        """Return the greatest number of a publisher that is known to exist, beyond a hole."""
        hole = self._holes.get(publisher)
        return 0 if hole is None else hole.upto

    def expect(self, number: Number, now_s: float) -> Hole:
        """Note that a number exists which has not come."""
        hole = self._holes.get(number.publisher)
        if hole is None:
            hole = self._holes[number.publisher] = Hole(now_s)
            self.on_open()
        hole.upto = max(hole.upto, number.seq)
        return hole

    def hold(self, item: Numbered, now_s: float) -> None:
        """Keep what came from beyond a hole."""
        hole = self.expect(item.number, now_s)
        if item.number.seq not in hole.held:
            hole.held[item.number.seq] = item
            self._bytes += _size(item)

    def take(self, number: Number) -> Numbered | None:
        """Take out what is held under a number."""
        hole = self._holes.get(number.publisher)
        item = hole.held.pop(number.seq, None) if hole is not None else None
        if item is not None:
            self._bytes -= _size(item)
        return item

    def close(self, publisher: str) -> None:
        """Watch a hole no more; what is still held goes."""
        self._empty(self._holes.pop(publisher))

    def let_go(self, publisher: str, last: int) -> list[Numbered]:
        """Take out all that is held, in order, and note what is skipped; the hole stays open."""
        hole = self._holes[publisher]
        freed = [hole.held[seq] for seq in sorted(hole.held)]
        self._empty(hole)
        for item in freed:
            seq = item.number.seq
            if seq > last + 1:
                hole.skipped.append((last + 1, seq - 1))
            last = seq
        return freed

    def due(self, now_s: float) -> list[str]:
        """Return whose holes to repair: a number that was only heard of may be on its way yet."""
        return [
            name
            for name, hole in self._holes.items()
            if hole.held or now_s - hole.opened_s >= GRACE_S
        ]

    def oldest_s(self, now_s: float) -> float:
        """Return for how many seconds the oldest hole has been open."""
        return max(now_s - self.opened_s(), 0.0)

    def opened_s(self) -> float:
        """Return when the oldest hole was opened; inf: there is none."""
        return min((hole.opened_s for hole in self._holes.values()), default=inf)

    def overdue(self, now_s: float) -> list[str]:
        """Return the publishers that have waited long enough, or of whom too much is held."""
        waiting = [(hole.opened_s, name) for name, hole in self._holes.items() if hole.held]
        if self._bytes > HOLD_BYTES:
            return [name for _, name in waiting]
        return [name for opened_s, name in waiting if now_s - opened_s >= HOLD_S]

    def _empty(self, hole: Hole) -> None:
        self._bytes -= sum(map(_size, hole.held.values()))
        hole.held = {}


def _size(item: Numbered) -> int:
    return HELD_OVERHEAD_BYTES + (0 if item.message is None else len(item.message.message))
