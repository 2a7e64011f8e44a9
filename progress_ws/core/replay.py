"""What a browser missed, read from history while its socket drains."""

from progress_ws.core.history import History
from progress_ws.core.outbox import FRAME_OVERHEAD_BYTES, Update


class Replay:
    """A cursor through the retained messages of a session, beyond a browser's position.

    It goes on until it has met the latest message; only from then on the outbox takes live ones.
    So nothing is missing between the two and nothing comes twice, however slowly a browser reads,
    and a long replay fills no mailbox. What has gone from history may have been younger than what
    is still there, since final messages go last: so the cursor never jumps.

    Attributes:
        sid: the session.
        lost: something went from history before it could be read, since this was last asked.
    """

    def __init__(self, history: History, sid: str, positions: dict[str, int]) -> None:
        self.sid = sid
        self.lost = False
        self._history = history
        self._positions = positions
        self._cursor = 0
        session = history.session(sid)
        self._latest = 0 if session is None else session.latest
        self._edge = history.edge(sid)

    def await_latest(self) -> None:
        """Note that a message has just been added: the replay has to come to it."""
        self._latest = self._history.ordinal

    def take(self, room: int) -> list[Update]:
        """Return the next messages, about `room` bytes of them; none once it has caught up."""
        session = self._history.session(self.sid)
        if session is not None and session.edge > max(self._cursor, self._edge):
            self.lost = True
            self._edge = session.edge
        taken: list[Update] = []
        for entry in session.lanes.after(self._cursor) if session is not None else ():
            if room <= 0:
                return taken
            self._cursor = entry.ordinal
            if entry.message is not None and not entry.is_covered(self._positions):
                taken.append(Update(entry.message, replay=True))
                room -= len(entry.message.message) + FRAME_OVERHEAD_BYTES
        if self._latest > max(self._cursor, self._edge):  # it came, and went before it was read
            self.lost = True
            self._edge = self._latest
        return taken
