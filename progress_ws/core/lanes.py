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

    __slots__ = ("_entries", "_gone", "_head")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._head = 0
        self._gone = 0

    def __len__(self) -> int:
        return len(self._entries) - self._gone

    def append(self, entry: Entry) -> None:
        """Add one with the greatest place so far."""
        self._entries.append(entry)

    def note_gone(self) -> None:
        """Count an entry of this lane that was marked as gone."""
        self._gone = gone = self._gone + 1
        if 2 * gone > len(self._entries) + _SLACK:
            self._sweep()

    def _sweep(self) -> None:
        """Rid the lane of what has gone; mostly that is all before the head."""
        if 2 * self._head >= self._gone:
            del self._entries[: self._head]
            self._gone -= self._head
        else:
            self._entries = [entry for entry in self._entries if not entry.gone]
            self._gone = 0
        self._head = 0

    def oldest(self) -> Entry | None:
        """Return the first that is there."""
        entries, head = self._entries, self._head
        while head < len(entries):
            if not entries[head].gone:
                self._head = head
                return entries[head]
            head += 1
        self._head = head
        return None

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place; not to be used across a change."""
        entries = self._entries
        start = bisect_right(entries, ordinal, key=_ordinal)
        return (entries[i] for i in range(start, len(entries)) if not entries[i].gone)


class Lanes:
    """Ordinary entries and final ones, which go last."""

    __slots__ = ("_finals", "_ordinary")

    def __init__(self) -> None:
        self._ordinary = Lane()
        self._finals = Lane()

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._finals)

    def append(self, entry: Entry) -> None:
        """Add one with the greatest place so far."""
        (self._finals if entry.final else self._ordinary).append(entry)

    def note_gone(self, entry: Entry) -> None:
        """Count an entry that was marked as gone."""
        (self._finals if entry.final else self._ordinary).note_gone()

    def first_to_go(self) -> Entry | None:
        """Return the oldest one that is not final, else the oldest final one."""
        return self._ordinary.oldest() or self._finals.oldest()

    def __iter__(self) -> Iterator[Lane]:
        return iter((self._ordinary, self._finals))

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place, in order; not to be used across a change."""
        return merge(self._ordinary.after(ordinal), self._finals.after(ordinal), key=_ordinal)
