"""Retained messages in the order of their places, of which any may be taken out at any time."""

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

import msgspec

from progress_ws.core import codec
from progress_ws.core.message import Message, Number

_ordinal = attrgetter("ordinal")
_SLACK = 32


class Entry(msgspec.Struct, gc=False, eq=False):
    """One retained message.

    There are very many, and each of their objects is a piece of memory that nobody has looked at
    for long when it goes: so they are few, most messages rest as their text, and the collector is
    not concerned.

    Attributes:
        kept: the message, or its text as it crosses the exchange; None once it is replaced, while
            its `dedupe` is still needed.
        publisher: whose number it has; None: it has none.
        seq: the number.
        ordinal: its place among all that came in.
        arrived_s: when it came in, by the node's clock; never later than it really did.
        size: measured bytes.
        final: the last one of its run.
        dedupe: the name under which a repetition is recognised.
        aliases: the ids of its repetitions.
        gone: it is retained no more; its lane sweeps it out when it comes to it.
    """

    kept: Message | bytes | None
    publisher: str | None
    seq: int
    ordinal: int
    arrived_s: float
    size: int
    final: bool = False
    dedupe: str | None = None
    aliases: tuple[Number, ...] = ()
    gone: bool = False

    @property
    def message(self) -> Message | None:
        """What is retained."""
        kept = self.kept
        return codec.decode(kept, Message) if isinstance(kept, bytes) else kept

    @property
    def number(self) -> Number | None:
        """Its id, taken apart; None for an unnumbered one."""
        return None if self.publisher is None else Number(self.publisher, self.seq)

    def is_covered(self, positions: dict[str, int]) -> bool:
        """Tell whether a browser at these positions has seen it, under any of its names."""
        if self.publisher is None:
            return False
        return positions.get(self.publisher, 0) >= self.seq or any(
            positions.get(name.publisher, 0) >= name.seq for name in self.aliases
        )


class Lane:
    """Entries of one session by rising place.

    What is taken out amid the others is only marked, and swept when it is the most.

    Attributes:
        edge: up to this place messages are gone.
        entries: those that are there, and marked ones.
        is_queued: a `Queue` knows of them.
    """

    __slots__ = ("_gone", "edge", "entries", "is_queued")

    def __init__(self, edge: int) -> None:
        self.edge = edge
        self.entries: list[Entry] = []
        self.is_queued = False
        self._gone = 0

    def first(self) -> Entry | None:
        """Return the oldest that is there."""
        entries = self.entries
        if not self._gone:
            return entries[0] if entries else None
        count = 0
        while count < len(entries) and entries[count].gone:
            count += 1
        del entries[:count]
        self._gone -= count
        return entries[0] if entries else None

    def take_out(self, entry: Entry) -> None:
        """Mark an entry; wherever it stands."""
        entry.gone = True
        entry.aliases, entry.publisher = (), None  # it stays for a while
        self._gone += 1
        if 2 * self._gone > len(self.entries) + _SLACK:
            self.entries = [each for each in self.entries if not each.gone]
            self._gone = 0

    def drop(self, upto: int) -> list[Entry]:
        """Take out everything up to a place; return what of it was there."""
        entries = self.entries
        count = bisect_right(entries, upto, key=_ordinal)
        dropped = entries[:count]
        del entries[:count]
        if self._gone:
            dropped = [entry for entry in dropped if not entry.gone]
            self._gone -= count - len(dropped)
        return dropped

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place; not to be used across a change."""
        entries = self.entries
        start = bisect_right(entries, ordinal, key=_ordinal)
        return (entries[i] for i in range(start, len(entries)) if not entries[i].gone)
