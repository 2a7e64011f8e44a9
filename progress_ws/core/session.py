"""What is retained of one sid, and the sessions in the order in which they have to give way."""

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush, heapreplace, merge
from operator import attrgetter
from typing import Any, Generic, TypeVar

from progress_ws.core.journal import Journal, JournalLane
from progress_ws.core.lanes import NOWHERE, Entry, Gone, Lane
from progress_ws.core.message import Message

EVICTED_MAX = 16
SESSION_BYTES, EVICTED_BYTES = 680, 250
"""As measured: see `tests/core/test_history_bytes.py`."""

_place = attrgetter("place")

_NONE: dict[Any, Any] = {}
"""In the place of a dictionary that is not needed; never written to. Sessions may be a million."""

AnyLane = Lane | JournalLane
L = TypeVar("L", Lane, JournalLane)


class Session:
    """What is retained of one sid, and what of it is gone.

    Attributes:
        journaled: its messages that are retained in one piece with others.
        ordinary: its entries, but for the final ones.
        finals: those, which go last.
        keys: the entry of each key.
        names: the entry of each `dedupe`.
        sid: whose it is.
        unnumbered: entries without an id, by their text.
        size: measured bytes of all of it, but for what is in the journal.
    """

    __slots__ = (
        "_evicted",
        "_unsure_s",
        "finals",
        "journaled",
        "keys",
        "names",
        "ordinary",
        "sid",
        "size",
        "unnumbered",
    )

    def __init__(self, sid: str, journal: Journal, *, unsure_s: float, edge: int) -> None:
        """Be empty.

        Args:
            sid: whose it is.
            journal: what is retained in one piece with others is there.
            unsure_s: of what arrived until then, anything may be gone.
            edge: likewise of what came up to this place.
        """
        self.sid = sid
        self.journaled = JournalLane(journal, edge)
        self.ordinary, self.finals = Lane(edge), Lane(edge)
        self.keys: dict[str, Entry] = _NONE
        self.names: dict[str, Entry] = _NONE
        self.unnumbered: dict[bytes, list[Entry]] = _NONE
        self.size = SESSION_BYTES
        self._evicted: dict[str, tuple[int, float]] = _NONE
        self._unsure_s = unsure_s

    def name(self, entry: Entry, message: Message) -> None:
        """Let an entry be found by its key, its name or its text."""
        if message.key is not None:
            self.keys = self.keys or {}
            self.keys[message.key] = entry
        if message.dedupe is not None:
            entry.dedupe = message.dedupe
            self.names = self.names or {}
            self.names[message.dedupe] = entry
        if entry.publisher is None:
            self.unnumbered = self.unnumbered or {}
            self.unnumbered.setdefault(bytes(message.message), []).append(entry)

    def after(self, place: int, positions: Mapping[str, int] = NOWHERE) -> Iterator[Entry]:
        """Give its entries beyond a place, in order; not to be used across a change.

        Only those that a browser at these positions has not seen.
        """
        lanes = (self.journaled, self.ordinary, self.finals)
        return merge(*(lane.after(place, positions) for lane in lanes), key=_place)

    def measure(self) -> int:
        """Return the bytes of all of it."""
        return self.size + self.journaled.measure()

    @property
    def latest(self) -> int:
        """Return the last place of all."""
        return max(self.journaled.last(), self.ordinary.last(), self.finals.last())

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is retained."""
        return not (self.journaled.places or self.ordinary.first() or self.finals.first())

    def first_to_go(self) -> tuple[AnyLane, int] | None:
        """Return the place of the oldest message that is not final, else of the oldest; its lane.

        None: there is none.
        """
        ordinary: list[AnyLane] = [lane for lane in (self.journaled, self.ordinary) if lane.first()]
        lane = min(ordinary, key=lambda lane: lane.first(), default=self.finals)
        return (lane, first) if (first := lane.first()) else None

    @property
    def edges(self) -> tuple[int, int, int]:
        """Up to which places messages are gone, of each kind.

        They only rise: of each kind the oldest go first.
        """
        return self.journaled.edge, self.ordinary.edge, self.finals.edge

    def note_evicted(self, gone: Gone) -> int:
        """Remember that messages are gone, so that nobody is told that nothing is missing.

        Returns:
            how many bytes more that takes.
        """
        self.note_lost(gone.unsure_s)
        if not self._evicted:
            self._evicted = {}
        evicted, known = self._evicted, len(self._evicted)
        for publisher, (seq, arrived_s) in gone.newest.items():
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


class Queue(Generic[L]):
    """Sessions by the place of the oldest message of one of their lanes.

    What is taken out of a lane meanwhile makes its oldest message younger, never older: so a
    session may be found too early, and is then put where it belongs.
    """

    def __init__(self, lane: Callable[[Session], L]) -> None:
        """`lane`: returns which of a session's."""
        self._lane: Callable[[Session], L] = lane
        self._heap: list[tuple[int, Session]] = []

    def put(self, session: Session, place: int) -> None:
        """Add a session whose lane begins at this place, unless it is known."""
        lane = self._lane(session)
        if not lane.is_queued:
            lane.is_queued = True
            heappush(self._heap, (place, session))

    def first(self) -> tuple[int, Session, L] | None:
        """Return the oldest place of all, with its session and lane."""
        heap = self._heap
        while heap:
            place, session = heap[0]
            lane = self._lane(session)
            first = lane.first()
            if not first:
                lane.is_queued = False
                heappop(heap)
            elif first > place:
                heapreplace(heap, (first, session))
            else:
                return first, session, lane
        return None
