"""What a browser missed, read from history while its socket drains."""

from collections.abc import Callable, Iterator

from progress_ws.core.history import History
from progress_ws.core.outbox import stalled_frame
from progress_ws.core.silence import Stall
from progress_ws.core.update import FRAME_OVERHEAD_BYTES, Update, update_of


class Replay:
    """A cursor through the retained messages of a session, beyond a browser's position.

    It goes on until it has met the latest message; only from then on the outbox takes live ones.
    So nothing is missing between the two and nothing comes twice, however slowly a browser reads,
    and a long replay fills no mailbox. What has gone from history may have been younger than what
    is still there, since final messages go last: so the cursor never jumps.

    Behind the last message come the keys whose publishers are silent at that moment.

    Attributes:
        sid: the session.
        lost: something went from history before it could be read, since this was last asked.
    """

    def __init__(
        self,
        history: History,
        sid: str,
        positions: dict[str, int],
        *,
        stalled: Callable[[], list[Stall]],
        is_live: bool = True,
    ) -> None:
        """Begin behind the positions.

        Args:
            history: where it reads.
            sid: the session.
            positions: the last number that the browser has seen of each publisher.
            stalled: returns the keys of the session that are silent now.
            is_live: go on to what is added later; else end with what is the latest now.
        """
        self.sid = sid
        self.lost = False
        self._history = history
        self._positions = positions
        self._cursor = 0
        session = history.session(sid)
        self._latest = 0 if session is None else session.latest
        self._edges = history.edges(sid)
        self._is_known = session is not None
        self._stalled = stalled
        self._is_live = is_live
        self._told: set[tuple[str, float]] = set()

    def await_latest(self) -> None:
        """Note that a message has just been added: the replay has to come to it."""
        session = self._history.session(self.sid)
        self._latest = self._history.latest if session is None else session.latest

    def take(self, room: int) -> list[Update | bytes]:
        """Return what comes next, about `room` bytes of it; nothing once it has caught up."""
        return [*self._messages(room)] or [*self._stalls(room)]

    def _messages(self, room: int) -> list[Update]:
        session = self._history.session(self.sid)
        self._is_known = self._is_known or session is not None
        edges = self._history.edges(self.sid) if self._is_known else self._edges
        if any(now > max(self._cursor, then) for now, then in zip(edges, self._edges, strict=True)):
            self.lost = True
        self._edges = edges
        taken: list[Update] = []
        if session is not None:
            for entry in session.after(self._cursor, self._positions):
                if room <= 0 or not (self._is_live or entry.place <= self._latest):
                    return taken
                self._cursor = entry.place
                if (message := entry.message) is None:
                    continue
                taken.append(update_of(message, replay=True))
                room -= len(message.message) + FRAME_OVERHEAD_BYTES
            self._cursor = max(self._cursor, session.latest)  # the last ones may be covered
        if self._latest > max(self._cursor, *edges):  # it came, and was never retained
            self.lost = True
            self._edges = self._latest, self._latest, self._latest
        return taken

    def _stalls(self, room: int) -> Iterator[bytes]:
        for stall in self._stalled():
            silence = stall.key, stall.since_s
            if silence in self._told:
                continue
            if room <= 0:
                return
            self._told.add(silence)
            frame = stalled_frame(stall)
            room -= len(frame) + FRAME_OVERHEAD_BYTES
            yield frame
