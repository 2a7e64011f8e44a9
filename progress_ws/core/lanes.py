"""Retained messages in the order of their places, of which any may be taken out at any time."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import NamedTuple

import msgspec

from progress_ws.core import codec
from progress_ws.core.message import Message, Number

LONG_AGO = float("-inf")
NOWHERE: Mapping[str, int] = {}
"""The positions of a browser that has seen nothing."""

_place, _size = attrgetter("place"), attrgetter("size")
_SHORT = 32
"""In a lane of so many, one that goes is taken out at once: to look for it costs little."""


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
        place: its place among all that came in.
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
    place: int
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

    def is_covered(self, positions: Mapping[str, int]) -> bool:
        """Tell whether a browser at these positions has seen it, under any of its names."""
        if self.publisher is None:
            return False
        return positions.get(self.publisher, 0) >= self.seq or any(
            positions.get(name.publisher, 0) >= name.seq for name in self.aliases
        )


class Gone(NamedTuple):
    """What a lane let go.

    Attributes:
        total: how many.
        size: their measured bytes; 0 of the journal's, which are there until their page goes.
        newest: of each publisher the last number, and when it came in.
        edge: the last place of a message; 0: none went.
        unsure_s: when the last one came in that has no number.
        entries: they themselves, where their keys and names have to be forgotten.
    """

    total: int
    size: int
    newest: dict[str, tuple[int, float]]
    edge: int
    unsure_s: float = LONG_AGO
    entries: Sequence[Entry] = ()


_NONE: list[Entry] = []
"""In the place of a list that is not needed; never written to."""


class Lane:
    """Entries of one session by rising place.

    What is taken out of many is only marked, and swept when it is a third.

    Attributes:
        edge: up to this place messages are gone.
        entries: those that are there, and marked ones.
        is_queued: a `Queue` knows of them.
    """

    __slots__ = ("_gone", "edge", "entries", "is_queued")

    def __init__(self, edge: int) -> None:
        self.edge = edge
        self.entries: list[Entry] = _NONE
        self.is_queued = False
        self._gone = 0

    def append(self, entry: Entry) -> None:
        """Add one behind the others."""
        if self.entries:
            self.entries.append(entry)
        else:
            self.entries = [entry]

    def first(self) -> int:
        """Return the place of the oldest that is there; 0: there is none."""
        entries = self.entries
        if self._gone:
            count = 0
            while count < len(entries) and entries[count].gone:
                count += 1
            del entries[:count]
            self._gone -= count
        return entries[0].place if entries else 0

    def last(self) -> int:
        """Return the newest place of all; 0: there is none."""
        return self.entries[-1].place if self.entries else 0

    def last_before(self, time_s: float) -> int:
        """Return a place up to which everything came before that, and nothing of it later."""
        old = takewhile(lambda entry: entry.arrived_s < time_s, self.entries)
        return max((entry.place for entry in old), default=0)

    def take_out(self, entry: Entry) -> None:
        """Take out an entry; wherever it stands."""
        if len(self.entries) <= _SHORT and not self._gone:
            self.entries.remove(entry)
            return
        entry.gone = True
        entry.aliases, entry.publisher = (), None  # it stays for a while
        self._gone += 1
        if 3 * self._gone > len(self.entries):
            self.entries = [each for each in self.entries if not each.gone]
            self._gone = 0

    def drop(self, upto: int, *, amid: bool = False) -> Gone:
        """Take out everything up to a place; `amid`: see `JournalLane.drop`."""
        entries = self.entries
        count = bisect_right(entries, upto, key=_place)
        dropped = entries[:count]
        del entries[:count]
        if self._gone:
            dropped = [entry for entry in dropped if not entry.gone]
            self._gone -= count - len(dropped)
        newest: dict[str, tuple[int, float]] = {}
        edge, unsure_s = 0, LONG_AGO
        for entry in dropped:
            if entry.kept is None:
                continue
            edge = entry.place
            if entry.publisher is None:
                unsure_s = max(unsure_s, entry.arrived_s)
            else:
                newest[entry.publisher] = entry.seq, entry.arrived_s  # numbers rise
        self.edge = max(self.edge, edge)
        return Gone(len(dropped), sum(map(_size, dropped)), newest, edge, unsure_s, dropped)

    def after(self, place: int, positions: Mapping[str, int]) -> Iterator[Entry]:
        """Give those beyond a place and beyond the positions; not to be used across a change."""
        entries = self.entries
        start = bisect_right(entries, place, key=_place)
        for i in range(start, len(entries)):
            entry = entries[i]
            if not (entry.gone or (positions and entry.is_covered(positions))):
                yield entry
