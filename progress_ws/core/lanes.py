"""Retained messages in the order of their places, of which any may be taken out at any time."""

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from operator import attrgetter

from progress_ws.core.message import Message, Number

_ordinal = attrgetter("ordinal")
_SLACK = 32


class Entry:
    """One retained message.

    Attributes:
        message: what is retained; None once it is replaced, while its `dedupe` is still needed.
        sid: its session.
        dedupe: the name under which a repetition is recognised.
        number: its id, taken apart; None for an unnumbered one.
        aliases: the ids of its repetitions.
        final: the last one of its run.
        ordinal: its place among all that came in.
        arrived_s: when it came in, by the node's clock; never later than it really did.
        size: measured bytes.
        gone: it is retained no more; lanes sweep it out when they come to it.
    """

    __slots__ = (
        "aliases",
        "arrived_s",
        "dedupe",
        "final",
        "gone",
        "message",
        "number",
        "ordinal",
        "sid",
        "size",
    )

    def __init__(
        self, message: Message, *, number: Number | None, ordinal: int, arrived_s: float, size: int
    ) -> None:
        self.message: Message | None = message
        self.sid = message.sid
        self.dedupe = message.dedupe
        self.final = bool(message.final)
        self.number = number
        self.aliases: tuple[Number, ...] = ()
        self.ordinal = ordinal
        self.arrived_s = arrived_s
        self.size = size
        self.gone = False

    def is_covered(self, positions: dict[str, int]) -> bool:
        """Tell whether a browser at these positions has seen it, under any of its names."""
        if self.number is None:
            return False
        return any(
            positions.get(publisher, 0) >= seq for publisher, seq in (self.number, *self.aliases)
        )


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
        self._gone += 1
        if self._gone > len(self) + _SLACK:
            self._entries = [entry for entry in self._entries if not entry.gone]
            self._gone = self._head = 0

    def oldest(self) -> Entry | None:
        """Return the first that is there."""
        entries = self._entries
        while self._head < len(entries):
            if not entries[self._head].gone:
                return entries[self._head]
            self._head += 1
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

    def oldest(self) -> Iterator[Entry]:
        """Give the oldest of both kinds."""
        return (e for e in (self._ordinary.oldest(), self._finals.oldest()) if e is not None)

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place, in order; not to be used across a change."""
        return merge(self._ordinary.after(ordinal), self._finals.after(ordinal), key=_ordinal)
