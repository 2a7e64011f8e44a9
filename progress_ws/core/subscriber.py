"""What one browser is attached to, and what it is told of that, whichever way it is connected."""

from collections.abc import Iterator
from contextlib import contextmanager

from progress_ws.core import codec
from progress_ws.core.frames import FOLLOWS_MAX, PING_S, PROTOCOL
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.outbox import Outbox, stalled_frame
from progress_ws.core.position import After
from progress_ws.errors import ProtocolError

NOT_ATTACHED = "this socket is not attached to it"


class Subscriber:
    """One browser's sessions: it fills the outbox that some connection empties.

    Every session begins with what is retained and the browser has not seen, then come the live
    messages, with no gap and no repetition between.
    """

    __slots__ = ("_as_text", "_hub", "_memory", "_node", "_outbox", "_sid", "_sids")

    def __init__(
        self, outbox: Outbox, *, hub: Hub, memory: Memory, node: str, as_text: bool = False
    ) -> None:
        """`as_text`: it is greeted in the wire of the original article (`format=text`)."""
        self._outbox = outbox
        self._hub = hub
        self._memory = memory
        self._node = node
        self._as_text = as_text
        self._sid = ""
        self._sids: set[str] = set()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Attach within this only; leaving it detaches from all sessions."""
        try:
            yield
        finally:
            self.leave()

    def leave(self) -> None:
        """Detach from all sessions."""
        for sid in self._sids:
            self._hub.detach(sid, self._outbox)
        self._sids.clear()

    def welcome(self, sid: str, after: After) -> None:
        """Greet the browser and attach it to the session that it came for.

        Args:
            sid: the session; empty: none.
            after: the position that it resumes from.
        """
        self._sid = sid
        if self._as_text:
            self._outbox.push(f"连接成功{sid}".encode())
        else:
            self.say(
                "welcome",
                sid=sid or None,
                node=self._node,
                protocol=PROTOCOL,
                ping_s=PING_S,
                recovered=self._memory.recovered(sid, after),
            )
        if sid:
            self._attach(sid, after)

    def follow(self, sid: str, after: After) -> None:
        """Attach to a further session, or replay one from its `after` again.

        Raises:
            ProtocolError: `too_many_follows`.
        """
        if sid not in self._sids and len(self._sids - {self._sid}) >= FOLLOWS_MAX:
            detail = f"a socket follows at most {FOLLOWS_MAX} sessions"
            raise ProtocolError("too_many_follows", detail, sid=sid)
        self.say("followed", sid=sid, recovered=self._memory.recovered(sid, after))
        self._attach(sid, after)

    def unfollow(self, sid: str) -> None:
        """Detach from a session.

        Raises:
            ProtocolError: `not_attached`.
        """
        self.check(sid)
        self._sids.discard(sid)
        self._hub.detach(sid, self._outbox)
        self._outbox.forget(sid)
        self.say("unfollowed", sid=sid)

    def check(self, sid: str, *, key: str | None = None) -> None:
        """Refuse what is asked about a session that the browser is not attached to.

        Raises:
            ProtocolError: `not_attached`, naming the key, too.
        """
        if sid not in self._sids:
            raise ProtocolError("not_attached", NOT_ATTACHED, sid=sid, key=key)

    def glance(self, sid: str, after: After) -> bool | None:
        """Show what is retained now, without attaching; return `recovered`, as a welcome has it.

        What comes later is left to the next glance, however slowly this one is read.
        """
        recovered = self._memory.recovered(sid, after)
        self._show(sid, after, is_live=False)
        return recovered

    def say(self, type: str, **fields: object) -> None:
        """Put a frame into the outbox that is no message; fields that are None are left out."""
        self._outbox.push(codec.frame(type, **fields))

    def _attach(self, sid: str, after: After) -> None:
        """From here on the outbox gets what is retained, and then what comes live."""
        self._sids.add(sid)
        self._hub.attach(sid, self._outbox)
        self._show(sid, after, is_live=True)

    def _show(self, sid: str, after: After, *, is_live: bool) -> None:
        replay = self._memory.replay(sid, after, is_live=is_live)
        if replay is not None:
            self._outbox.replay(replay, ahead=self._memory.ahead(after))
            return
        for stall in self._memory.stalled(sid):
            self._outbox.stalled(stall.sid, stall.key, stalled_frame(stall))
