"""The recent messages of every session of the cluster, bounded by age and by measured bytes.

What is retained, and in which order it goes:

- of a key the newest message only (`message.supersedes` decides), at the end of its session;
- of what is unkeyed everything, in order;
- nothing beyond the age; for want of bytes the oldest first, final messages last;
- no session more than its share of the bytes: past it, it loses its own oldest.

A series, which is how most messages come to a busy node, is retained in one piece, in the journal;
every other message as an entry of its session.

Letting go one message costs more than to take it in, for it has long left the processor's caches.
So some of one session go at a time, and of those the oldest first: of what is retained in all, no
more than an eighth may be older than what has gone.

An operation costs the same, amortised, however many messages are retained, and hardly more with
more sessions.
"""

from collections.abc import Callable, Container, Iterator
from math import inf
from operator import attrgetter
from sys import getsizeof

from progress_ws.core import codec
from progress_ws.core.journal import Journal, JournalLane
from progress_ws.core.lanes import LONG_AGO, Entry, Lane
from progress_ws.core.message import Message, Number, supersedes
from progress_ws.core.newest import Newest
from progress_ws.core.series import Series
from progress_ws.core.session import AnyLane, Queue, Session

SHARE = 8
"""No session gets more than one part in so many of the bytes."""
AT_ONCE = 8
"""One part in so many of the places goes at once."""
ALIASES_MAX = 8
ENTRY_BYTES, NAME_BYTES, UNNUMBERED_BYTES = 490, 320, 250
TEXT_BYTES, ALIAS_BYTES, ASCII_BYTES = 260, 80, 49
"""What Python needs for each of these besides their texts, as measured: see
`tests/core/test_history_bytes.py`."""


class History:
    """The sessions; time is the node's own monotonic clock, in seconds.

    Attributes:
        max_age_s: nothing older is retained.
        size: measured bytes of everything retained.
        latest: the place of the latest message: they are counted as they come in.
    """

    def __init__(self, *, max_age_s: float, max_bytes: int, clock: Callable[[], float]) -> None:
        self.max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._journal = Journal()
        self._journaled: Queue[JournalLane] = Queue(attrgetter("journaled"))
        self._ordinary: Queue[Lane] = Queue(attrgetter("ordinary"))
        self._finals: Queue[Lane] = Queue(attrgetter("finals"))
        self._newest = Newest()  # of use only while it is off
        self._count = 0
        self._buffer = bytearray()
        self._unsure_s = LONG_AGO
        self._edge = 0
        self.latest = 0
        self.size = 0
        self.is_on = max_age_s > 0 and max_bytes > 0

    def __len__(self) -> int:
        return self._count

    @property
    def sessions(self) -> int:
        """Count the sids of which something is retained."""
        return len(self._sessions)

    @property
    def sids(self) -> Container[str]:
        """The sids of which something is retained."""
        return self._sessions

    def session(self, sid: str) -> Session | None:
        """Return what is retained of a sid, if anything."""
        self.expire()
        return self._sessions.get(sid)

    def edges(self, sid: str) -> tuple[int, int, int]:
        """Return up to which places anything of a sid may be gone; see `Session.edges`."""
        session = self._sessions.get(sid)
        return (self._edge, self._edge, self._edge) if session is None else session.edges

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
            current = None if message.key is None else self.current(message.sid, message.key)
        elif (
            message.dedupe is not None and (first := session.names.get(message.dedupe)) is not None
        ):
            if number is not None and len(first.aliases) < ALIASES_MAX:
                first.aliases += (number,)
                first.size += ALIAS_BYTES
                self._resize(session, ALIAS_BYTES)
                self._trim([session])
            return False
        else:
            current = session.keys.get(message.key) if message.key is not None else None
        return current is None or current.message is None or supersedes(message, current.message)

    def add(self, message: Message, *, number: Number | None, arrived_s: float) -> int:
        """Retain a message that is news, in the place of the older one of its key; its place.

        What is too old by now goes when somebody asks, or at the next `expire`.
        """
        self.latest = place = self.latest + 1
        if not self.is_on:
            if message.key is not None:
                entry = _whole(message, number, place, arrived_s)
                self._newest.note((message.sid, message.key), entry)
            return place
        session = self._sessions.get(message.sid) or self._begin(message.sid)
        lane = session.ordinary
        if message.key is None and message.dedupe is None and number is not None:
            codec.encode_into(message, self._buffer)
            text = bytes(self._buffer)
            size = TEXT_BYTES + len(text)
            entry = Entry(text, number.publisher, number.seq, place, arrived_s, size)
        else:
            entry = _whole(message, number, place, arrived_s)
            size = entry.size
            if message.key is not None and (older := session.keys.get(message.key)) is not None:
                self._replace(session, older)
            session.name(entry, message)
        if message.final:
            entry.final = True
            lane = session.finals
        lane.append(entry)
        if not lane.is_queued:
            (self._finals if entry.final else self._ordinary).put(session, place)
        self._resize(session, size)
        self._count += 1
        self._trim([] if session.journaled.has_room else [session])
        return place

    def add_series(self, series: Series, *, number: Number, arrived_s: float) -> None:
        """Retain the messages of a series; see `add`.

        `number`: of the first one, with the one copy of its publisher's name that is kept.
        """
        if not self.is_on:
            return
        largest = self._journal.largest
        page = self._journal.add(series, after=self.latest, number=number, arrived_s=arrived_s)
        if self._journal.largest > largest:
            for session in self._sessions.values():
                session.journaled.room_for = 0
        self.latest = page.last
        self.size += page.size
        self._count += len(series.messages)
        sessions, grown = self._sessions, []
        for place, message in enumerate(series.messages, page.place):
            session = sessions.get(message.sid) or self._begin(message.sid)
            lane = session.journaled
            lane.places.append(place)
            if not lane.is_queued:
                self._journaled.put(session, place)
            if len(lane.places) > lane.room_for:
                grown.append(session)
        self._trim(grown)

    def current(self, sid: str, key: str) -> Entry | None:
        """Return the message of a key, if it is retained; with history off, if it is known."""
        if not self.is_on:
            return self._newest.get(sid, key, now_s=self._clock())
        session = self._sessions.get(sid)
        return None if session is None else session.keys.get(key)

    def same(self, message: Message) -> Iterator[Entry]:
        """Give what is retained without an id and says the same as this message."""
        session = self._sessions.get(message.sid)
        alike = session.unnumbered.get(bytes(message.message), ()) if session is not None else ()
        return (e for e in alike if (m := e.message) is not None and m.key == message.key)

    def note_lost(self, sid: str, arrived_s: float) -> None:
        """Remember that a message of a sid was lost on its way here."""
        session = self._sessions.get(sid)
        if session is None:
            self._unsure_s = max(self._unsure_s, arrived_s)
        else:
            session.note_lost(arrived_s)

    def expire(self) -> None:
        """Drop what is too old."""
        now_s = self._clock()
        self._newest.expire(now_s=now_s)
        horizon_s = now_s - self.max_age_s
        self._clear(self._journal.last_before(horizon_s))
        for queue in (self._ordinary, self._finals):
            while (found := queue.first()) is not None:
                first, session, lane = found
                if (last := lane.last_before(horizon_s)) < first:
                    break
                self._evict(session, lane, upto=last)

    def _begin(self, sid: str) -> Session:
        session = Session(sid, self._journal, unsure_s=self._unsure_s, edge=self._edge)
        self._sessions[sid] = session
        self.size += session.size
        return session

    def _replace(self, session: Session, entry: Entry) -> None:
        """Take out what a newer message of its key replaces; its name stays known."""
        self._strip(session, entry)
        if entry.dedupe is None:
            self._take_out(session, entry)
        else:
            size = NAME_BYTES + ALIAS_BYTES * len(entry.aliases)
            self._resize(session, size - entry.size)
            entry.size = size

    def _trim(self, grown: list[Session]) -> None:
        """Let go of what is beyond the share of sessions that grew, and beyond the bound."""
        share = self._max_bytes // SHARE
        for session in grown:
            while (free := share - session.measure()) < 0 and (first := session.first_to_go()):
                lane, oldest = first
                self._evict(session, lane, upto=_some(oldest, session.latest), amid=True)
            session.journaled.make_room(free)
        if self.size > self._max_bytes and self._journal.dead:
            self._clear(0)
            if 4 * self._journal.dead > self._journal.size:
                self.size -= self._journal.thin(self._needs)
        while self.size > self._max_bytes and (found := self._oldest()) is not None:
            oldest, session, lane = found
            upto = _some(oldest, self.latest)
            if lane is session.journaled:
                self._clear(self._journal.end_of(oldest), upto=upto)
            else:
                self._evict(session, lane, upto=upto)

    def _oldest(self) -> tuple[int, Session, AnyLane] | None:
        """Return what has to go first, its session and its lane."""
        first, other = self._journaled.first(), self._ordinary.first()
        if first is None or other is None:
            return first or other or self._finals.first()
        return first if first[0] < other[0] else other

    def _clear(self, last: int, *, upto: int = 0) -> None:
        """Let the pages go up to a place, and of the sessions that lose thereby a little more."""
        while (found := self._journaled.first()) is not None and found[0] <= last:
            _, session, lane = found
            self._evict(session, lane, upto=max(last, upto))
        self.size -= self._journal.release(inf if found is None else found[0])

    def _evict(self, session: Session, lane: AnyLane, *, upto: int, amid: bool = False) -> None:
        """Let the messages of a lane go up to a place, and remember that they have gone.

        `amid`: of this session only, though others have older ones.
        """
        gone = lane.drop(upto, amid=amid)
        self._count -= gone.total
        self._resize(session, session.note_evicted(gone) - gone.size)
        if session.keys or session.names or session.unnumbered:
            for entry in gone.entries:
                self._forget(session, entry)
        if session.is_empty:
            self._unsure_s = max(self._unsure_s, session.unsure_s())
            self._edge = max(self._edge, *session.edges)
            self.size -= session.size
            del self._sessions[session.sid]

    def _needs(self, sid: str, place: int) -> bool:
        session = self._sessions.get(sid)
        return session is not None and place in session.journaled

    def _forget(self, session: Session, entry: Entry) -> None:
        """Let an entry be found no more."""
        if entry.kept is not None:
            self._strip(session, entry)
        if entry.dedupe is not None and session.names.get(entry.dedupe) is entry:
            del session.names[entry.dedupe]

    def _strip(self, session: Session, entry: Entry) -> None:
        """Free the message of an entry."""
        message, entry.kept = entry.kept, None
        if isinstance(message, bytes):
            return
        assert message is not None
        if message.key is not None and session.keys.get(message.key) is entry:
            del session.keys[message.key]
        if entry.publisher is None:
            text = bytes(message.message)
            session.unnumbered[text].remove(entry)
            if not session.unnumbered[text]:
                del session.unnumbered[text]

    def _take_out(self, session: Session, entry: Entry) -> None:
        (session.finals if entry.final else session.ordinary).take_out(entry)
        self._count -= 1
        self._resize(session, -entry.size)

    def _resize(self, session: Session, by: int) -> None:
        session.size += by
        self.size += by
        if by > 0:
            session.journaled.take_room(by)


def _some(oldest: int, latest: int) -> int:
    """Return up to which place to let go of what begins and ends at these."""
    return oldest + (latest - oldest) // AT_ONCE


def _whole(message: Message, number: Number | None, place: int, arrived_s: float) -> Entry:
    """Make the entry of a message in which something may have to be looked up."""
    publisher, seq = (None, 0) if number is None else (number.publisher, number.seq)
    return Entry(message, publisher, seq, place, arrived_s, measure(message))


def measure(message: Message) -> int:
    """Return the bytes that a retained message takes."""
    size = ENTRY_BYTES + len(message.message)
    size += UNNUMBERED_BYTES if message.id is None else ASCII_BYTES + len(message.id)
    if message.key is not None or message.dedupe is not None:
        texts = (message.key, message.run, message.dedupe)
        size += sum(getsizeof(text) for text in texts if text is not None)
    return size
