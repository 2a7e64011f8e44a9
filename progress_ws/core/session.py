"""What is retained of one sid, and the sessions in the order in which they have to give way."""

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, heapreplace, merge
from operator import attrgetter

from progress_ws.core.lanes import Entry, Lane

EVICTED_MAX = 16
SESSION_BYTES, EVICTED_BYTES = 800, 250
"""As measured: see `tests/core/test_history_bytes.py`."""

LONG_AGO = float("-inf")

_ordinal = attrgetter("ordinal")


class Session:
    """What is retained of one sid, and what of it is gone.

    Attributes:
        ordinary: its entries, but for the final ones.
        finals: those, which go last.
        keys: the entry of each key.
        names: the entry of each `dedupe`.
        sid: whose it is.
        unnumbered: entries without an id, by their text.
        size: measured bytes of all of it.
        latest: the last place of all.
    """

    __slots__ = (
        "_evicted",
        "_unsure_s",
        "finals",
        "keys",
        "latest",
        "names",
        "ordinary",
        "sid",
        "size",
        "unnumbered",
    )

    def __init__(self, sid: str, *, unsure_s: float, edge: int) -> None:
        """Be empty.

        Args:
            sid: whose it is.
            unsure_s: of what arrived until then, anything may be gone.
            edge: likewise of what came up to this place.
        """
        self.sid = sid
        self.ordinary, self.finals = Lane(edge), Lane(edge)
        self.keys: dict[str, Entry] = {}
        self.names: dict[str, Entry] = {}
        self.unnumbered: dict[bytes, list[Entry]] = {}
        self.size = SESSION_BYTES
        self.latest = 0
        self._evicted: dict[str, tuple[int, float]] = {}
        self._unsure_s = unsure_s

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give its entries beyond a place, in order; not to be used across a change."""
        return merge(self.ordinary.after(ordinal), self.finals.after(ordinal), key=_ordinal)

    def first_to_go(self) -> tuple[Lane, Entry] | None:
        """Return the oldest entry that is not final, else the oldest final one, and its lane."""
        for lane in (self.ordinary, self.finals):
            if (first := lane.first()) is not None:
                return lane, first
        return None

    @property
    def edges(self) -> tuple[int, int]:
        """Up to which places messages are gone, of the ordinary ones and of the final ones.

        Either only rises: of each kind the oldest go first.
        """
        return self.ordinary.edge, self.finals.edge

    def note_evicted(self, lane: Lane, entries: Iterable[Entry]) -> int:
        """Remember that messages are gone, so that nobody is told that nothing is missing.

        Returns:
            how many bytes more that takes.
        """
        newest: dict[str, Entry] = {}
        for entry in entries:
            if entry.publisher is not None:
                newest[entry.publisher] = entry  # numbers rise
            else:
                self.note_lost(entry.arrived_s)
            lane.edge = entry.ordinal
        evicted, known = self._evicted, len(self._evicted)
        for publisher, entry in newest.items():
            seq, arrived_s = entry.seq, entry.arrived_s
            if (before := evicted.pop(publisher, None)) is not None:
                # Final messages go last, so the one before may be the later one.
                seq, arrived_s = max(before[0], seq), max(before[1], arrived_s)
            evicted[publisher] = seq, arrived_s
        while len(evicted) > EVICTED_MAX:
            _, arrived_s = evicted.pop(next(iter(evicted)))
            self.note_lost(arrived_s)
        return EVICTED_BYTES * (len(evicted) - known)

    def note_lost(self, arrived_s: float) -> None:
        """Remember that something that arrived then is not here."""
        self._unsure_s = max(self._unsure_s, arrived_s)

    def unsure_s(self) -> float:
        """Return until when anything that arrived may be gone, whoever sent it."""
        return max((self._unsure_s, *(arrived_s for _, arrived_s in self._evicted.values())))

    def is_whole(self, since_s: float, positions: dict[str, int]) -> bool:
        """Tell whether nothing is gone that arrived since then and lies beyond the positions."""
        return since_s > self._unsure_s and not any(
            arrived_s >= since_s and positions.get(publisher, 0) < seq
            for publisher, (seq, arrived_s) in self._evicted.items()
        )


class Queue:
    """Sessions by the place of the oldest entry of one of their lanes.

    What is taken out of a lane meanwhile makes its oldest entry younger, never older: so a session
    may be found too early, and is then put where it belongs.
    """

    def __init__(self, lane: Callable[[Session], Lane]) -> None:
        """`lane`: returns which of a session's."""
        self._lane = lane
        self._heap: list[tuple[int, Session]] = []

    def put(self, session: Session, ordinal: int) -> None:
        """Add a session whose lane begins at this place, unless it is known."""
        lane = self._lane(session)
        if not lane.is_queued:
            lane.is_queued = True
            heappush(self._heap, (ordinal, session))

    def first(self) -> tuple[Session, Lane, Entry] | None:
        """Return the oldest entry of all, with its lane and session."""
        heap = self._heap
        while heap:
            ordinal, session = heap[0]
            lane = self._lane(session)
            if (entry := lane.first()) is None:
                lane.is_queued = False
                heappop(heap)
            elif entry.ordinal > ordinal:
                heapreplace(heap, (entry.ordinal, session))
            else:
                return session, lane, entry
        return None
