"""The recent messages of every session of the cluster, bounded by age and by measured bytes.

What is retained, and in which order it goes:

- of a key the newest message only (`message.supersedes` decides), at the end of its session;
- of what is unkeyed everything, in order;
- nothing beyond the age; for want of bytes the oldest first, final messages last;
- no session more than its share of the bytes: past it, it loses its own oldest.

Every operation costs the same, amortised, whatever is retained.
"""

from collections.abc import Callable, Iterator
from sys import getsizeof

from progress_ws.core.lanes import Entry, Lanes
from progress_ws.core.message import Message, Number, supersedes

SHARE = 8
"""No session gets more than one part in so many of the bytes."""
ALIASES_MAX = 8
EVICTED_MAX = 16
ENTRY_BYTES, UNNUMBERED_BYTES, SESSION_BYTES = 490, 250, 800
ALIAS_BYTES, EVICTED_BYTES, ASCII_BYTES = 80, 250, 49
"""What Python needs for each of these besides their texts, as measured: see
`tests/core/test_history_bytes.py`."""

LONG_AGO = float("-inf")


class Session:
    """What is retained of one sid, and what of it is gone.

    Attributes:
        lanes: its entries.
        keys: the entry of each key.
        names: the entry of each `dedupe`.
        unnumbered: entries without an id, by their text.
        size: measured bytes of all of it.
        edge: the last place of which anything is gone.
        latest: the last place of all.
    """

    __slots__ = (
        "_evicted",
        "_unsure_s",
        "edge",
        "keys",
        "lanes",
        "latest",
        "names",
        "size",
        "unnumbered",
    )

    def __init__(self, *, unsure_s: float, edge: int) -> None:
        """`unsure_s`: of what arrived until then, anything may be gone."""
        self.lanes = Lanes()
        self.keys: dict[str, Entry] = {}
        self.names: dict[str, Entry] = {}
        self.unnumbered: dict[bytes, list[Entry]] = {}
        self.size = SESSION_BYTES
        self.edge = edge
        self.latest = 0
        self._evicted: dict[str, tuple[int, float]] = {}
        self._unsure_s = unsure_s

    def note_evicted(self, entry: Entry) -> int:
        """Remember that a message is gone, so that nobody is told that nothing is missing.

        Returns:
            how many bytes more that takes.
        """
        if entry.ordinal > self.edge:
            self.edge = entry.ordinal
        if entry.number is None:
            self.note_lost(entry.arrived_s)
            return 0
        publisher, seq, arrived_s = entry.number.publisher, entry.number.seq, entry.arrived_s
        before = self._evicted.pop(publisher, None)
        if before is not None:
            if before[0] > seq:  # final messages go last, so the one before may be the later one
                seq = before[0]
            if before[1] > arrived_s:
                arrived_s = before[1]
            self._evicted[publisher] = seq, arrived_s
            return 0
        self._evicted[publisher] = seq, arrived_s
        if len(self._evicted) <= EVICTED_MAX:
            return EVICTED_BYTES
        _, arrived_s = self._evicted.pop(next(iter(self._evicted)))
        self.note_lost(arrived_s)
        return 0

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


class History:
    """The sessions; time is the node's own monotonic clock, in seconds.

    Attributes:
        max_age_s: nothing older is retained.
        size: measured bytes of everything retained.
        ordinal: the place of the latest message: they are counted as they come in.
    """

    def __init__(self, *, max_age_s: float, max_bytes: int, clock: Callable[[], float]) -> None:
        self.max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lanes = Lanes()
        self._unsure_s = LONG_AGO
        self._edge = 0
        self.ordinal = 0
        self.size = 0
        self.is_on = max_age_s > 0 and max_bytes > 0

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def sessions(self) -> int:
        """Count the sids of which something is retained."""
        return len(self._sessions)

    def session(self, sid: str) -> Session | None:
        """Return what is retained of a sid, if anything."""
        self.expire()
        return self._sessions.get(sid)

    def edge(self, sid: str) -> int:
        """Return the last place of which anything of a sid may be gone."""
        session = self._sessions.get(sid)
        return self._edge if session is None else session.edge

    def is_whole(self, sid: str, since_s: float, positions: dict[str, int]) -> bool:
        """Tell whether nothing of a sid is gone that arrived since then, beyond the positions."""
        session = self.session(sid)
        if session is None:
            return self.is_on and since_s > self._unsure_s
        return session.is_whole(since_s, positions)

    def admits(self, message: Message, *, number: Number | None) -> bool:
        """Tell whether a message is news; not if a later run of its key began, or its own ended.

        Nor is the repetition of a `dedupe`; its id becomes another name of the first one's.
        """
        if message.key is None and message.dedupe is None:
            return True
        session = self._sessions.get(message.sid)
        if session is None:
            return True
        if message.dedupe is not None and (first := session.names.get(message.dedupe)) is not None:
            if number is not None and len(first.aliases) < ALIASES_MAX:
                first.aliases += (number,)
                first.size += ALIAS_BYTES
                self._resize(session, ALIAS_BYTES)
                self._trim(session)
            return False
        current = session.keys.get(message.key) if message.key is not None else None
        return current is None or current.message is None or supersedes(message, current.message)

    def add(self, message: Message, *, number: Number | None, arrived_s: float) -> int:
        """Retain a message that is news, in the place of the older one of its key; its place.

        What is too old by now goes when somebody asks, or at the next `expire`.
        """
        self.ordinal = ordinal = self.ordinal + 1
        if not self.is_on:
            return ordinal
        sid = message.sid
        session = self._sessions.get(sid)
        if session is None:
            session = self._sessions[sid] = Session(unsure_s=self._unsure_s, edge=self._edge)
            self.size += session.size
        size, final = measure(message), bool(message.final)
        entry = Entry(message, sid, message.dedupe, final, number, ordinal, arrived_s, size)
        if message.key is not None or message.dedupe is not None or number is None:
            self._name(session, entry, message)
        session.lanes.append(entry)
        session.latest = ordinal
        session.size += size
        self._lanes.append(entry)
        self.size += size
        if session.size > self._max_bytes // SHARE or self.size > self._max_bytes:
            self._trim(session)
        return ordinal

    def current(self, sid: str, key: str) -> Entry | None:
        """Return the message of a key, if it is retained."""
        session = self._sessions.get(sid)
        return None if session is None else session.keys.get(key)

    def same(self, message: Message) -> Iterator[Entry]:
        """Give what is retained without an id and says the same as this message."""
        session = self._sessions.get(message.sid)
        alike = session.unnumbered.get(bytes(message.message), ()) if session is not None else ()
        return (e for e in alike if e.message is not None and e.message.key == message.key)

    def note_lost(self, sid: str, arrived_s: float) -> None:
        """Remember that a message of a sid was lost on its way here."""
        session = self._sessions.get(sid)
        if session is None:
            self._unsure_s = max(self._unsure_s, arrived_s)
        else:
            session.note_lost(arrived_s)

    def expire(self) -> None:
        """Drop what is too old."""
        horizon_s = self._clock() - self.max_age_s
        for lane in self._lanes:
            while (oldest := lane.oldest()) is not None and oldest.arrived_s < horizon_s:
                self._evict(oldest)

    def _name(self, session: Session, entry: Entry, message: Message) -> None:
        """Let an entry be found by its key, its name or its text."""
        if message.key is not None:
            if (older := session.keys.get(message.key)) is not None:
                self._replace(session, older)
            session.keys[message.key] = entry
        if message.dedupe is not None:
            session.names[message.dedupe] = entry
        if entry.number is None:
            session.unnumbered.setdefault(bytes(message.message), []).append(entry)

    def _replace(self, session: Session, entry: Entry) -> None:
        """Take out what a newer message of its key replaces; its name stays known."""
        self._strip(session, entry)
        if entry.dedupe is None:
            self._take_out(session, entry)
        else:
            size = ENTRY_BYTES + ALIAS_BYTES * len(entry.aliases)
            self._resize(session, size - entry.size)
            entry.size = size

    def _trim(self, session: Session) -> None:
        """Let go of what is beyond the share of the session that grew, and beyond the bound."""
        while session.size > self._max_bytes // SHARE and (first := session.lanes.first_to_go()):
            self._evict(first)
        while self.size > self._max_bytes and (first := self._lanes.first_to_go()):
            self._evict(first)

    def _evict(self, entry: Entry) -> None:
        """Let an entry go, and remember that it has gone."""
        session = self._sessions[entry.sid]
        if entry.message is not None:
            if grown := session.note_evicted(entry):
                self._resize(session, grown)
            self._strip(session, entry)
        if entry.dedupe is not None and session.names.get(entry.dedupe) is entry:
            del session.names[entry.dedupe]
        self._take_out(session, entry)
        if not session.lanes:
            self._unsure_s = max(self._unsure_s, session.unsure_s())
            self._edge = max(self._edge, session.edge)
            self.size -= session.size
            del self._sessions[entry.sid]

    def _strip(self, session: Session, entry: Entry) -> None:
        """Free the message of an entry."""
        message, entry.message = entry.message, None
        assert message is not None
        if message.key is not None and session.keys.get(message.key) is entry:
            del session.keys[message.key]
        if entry.number is None:
            text = bytes(message.message)
            session.unnumbered[text].remove(entry)
            if not session.unnumbered[text]:
                del session.unnumbered[text]

    def _take_out(self, session: Session, entry: Entry) -> None:
        entry.gone = True
        entry.aliases, entry.number = (), None  # it stays in the lanes for a while
        session.lanes.note_gone(entry)
        self._lanes.note_gone(entry)
        session.size -= entry.size
        self.size -= entry.size

    def _resize(self, session: Session, by: int) -> None:
        session.size += by
        self.size += by


def measure(message: Message) -> int:
    """Return the bytes that a retained message takes."""
    size = ENTRY_BYTES + len(message.message)
    size += UNNUMBERED_BYTES if message.id is None else ASCII_BYTES + len(message.id)
    if message.key is not None or message.dedupe is not None:
        texts = (message.key, message.run, message.dedupe)
        size += sum(getsizeof(text) for text in texts if text is not None)
    return size
