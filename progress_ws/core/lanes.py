"""Retained messages in the order of their places, of which any may be taken out at any time."""

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from operator import attrgetter

import msgspec

from progress_ws.core.message import Message, Number

_ordinal = attrgetter("ordinal")
_SLACK = 32


class Entry(msgspec.Struct, gc=False, eq=False):
    """One retained message. There are very many: made quickly, and of no concern to the collector.

    Attributes:
        message: what is retained; None once it is replaced, while its `dedupe` is still needed.
        sid: its session.
        dedupe: the name under which a repetition is recognised.
        final: the last one of its run.
        number: its id, taken apart; None for an unnumbered one.
        ordinal: its place among all that came in.
        arrived_s: when it came in, by the node's clock; never later than it really did.
        size: measured bytes.
        aliases: the ids of its repetitions.
        gone: it is retained no more; lanes sweep it out when they come to it.
    """

    message: Message | None
    sid: str
    dedupe: str | None
    final: bool
    number: Number | None
    ordinal: int
    arrived_s: float
    size: int
    aliases: tuple[Number, ...] = ()
    gone: bool = False

    def is_covered(self, positions: dict[str, int]) -> bool:
        """Tell whether a browser at these positions has seen it, under any of its names."""
        if self.number is None:
            return False
        names = (self.number, *self.aliases)
        return any(positions.get(name.publisher, 0) >= name.seq for name in names)


class Lane:
    """Entries by rising place. What is taken out is only marked, and swept when it is the most."""

    __slots__ = ("entries", "gone", "head")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.head = 0
        self.gone = 0

    def sweep(self) -> None:
        """Rid the lane of what has gone; mostly that is all before the head."""
        if 2 * self.head >= self.gone:
            del self.entries[: self.head]
            self.gone -= self.head
        else:
            self.entries = [entry for entry in self.entries if not entry.gone]
            self.gone = 0
        self.head = 0

    def oldest(self) -> Entry | None:
        """Return the first that is there."""
        entries, head = self.entries, self.head
        while head < len(entries):
            if not entries[head].gone:
                self.head = head
                return entries[head]
            head += 1
        self.head = head
        return None

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place; not to be used across a change."""
        entries = self.entries
        start = bisect_right(entries, ordinal, key=_ordinal)
        return (entries[i] for i in range(start, len(entries)) if not entries[i].gone)


class Lanes:
    """Ordinary entries and final ones, which go last."""

    __slots__ = ("_count", "_finals", "_ordinary")

    def __init__(self) -> None:
        self._ordinary = Lane()
        self._finals = Lane()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Lane]:
        return iter((self._ordinary, self._finals))

    def append(self, entry: Entry) -> None:
        """Add one with the greatest place so far."""
        (self._finals if entry.final else self._ordinary).entries.append(entry)
        self._count += 1

    def note_gone(self, entry: Entry) -> None:
        """Count an entry that was marked as gone."""
        lane = self._finals if entry.final else self._ordinary
        self._count -= 1
        lane.gone += 1
        if 2 * lane.gone > len(lane.entries) + _SLACK:
            lane.sweep()

    def first_to_go(self) -> Entry | None:
        """Return the oldest one that is not final, else the oldest final one."""
        return self._ordinary.oldest() or self._finals.oldest()

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place, in order; not to be used across a change."""
        return merge(self._ordinary.after(ordinal), self._finals.after(ordinal), key=_ordinal)
