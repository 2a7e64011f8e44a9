"""One browser's bounded mailbox: newest wins per key, and whoever reads too slowly is let go."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Protocol

from progress_ws.core import codec
from progress_ws.core.message import parse_id, supersedes
from progress_ws.core.silence import Stall
from progress_ws.core.update import FRAME_OVERHEAD_BYTES, Update

MAX_BYTES = 16 * 1024 * 1024
"""Above the largest publish request (8 MiB): one burst costs no healthy browser its socket."""
MAX_FRAMES = 8192
TAKE_BYTES = 64 * 1024


class Source(Protocol):
    """What is read only as fast as the socket drains: a replay of history."""

    sid: str
    lost: bool

    def take(self, room: int) -> list[Update | bytes]:
        """Return the next, about so many bytes; none at the end.

        Messages, and after the last one the frames of those keys that are silent then.
        """

    def await_latest(self) -> None:
        """Note that there is one more to come to."""


class Outbox:
    """What waits for one socket, in the order in which it will be written.

    Policy at the bound: the mailbox empties itself, takes no more, and calls `on_overflow`.
    The browser comes back with its position, and the memory is free at once.

    While a session is replayed, its live messages are not taken in: the replay will come to them.
    """

    __slots__ = (
        "_ahead",
        "_bytes",
        "_closed",
        "_max_bytes",
        "_max_frames",
        "_messages_only",
        "_on_overflow",
        "_on_ready",
        "_replays",
        "_running",
        "_waiting",
    )

    def __init__(
        self,
        *,
        on_overflow: Callable[[], None],
        on_ready: Callable[[], None] | None = None,
        messages_only: bool = False,
        max_bytes: int = MAX_BYTES,
        max_frames: int = MAX_FRAMES,
    ) -> None:
        """Be empty.

        Args:
            on_overflow: see above.
            on_ready: called when something comes into the empty mailbox; for who does not `take`.
            messages_only: nothing else is told (`format=text`).
            max_bytes: the bound.
            max_frames: likewise.
        """
        self._messages_only = messages_only
        self._on_overflow = on_overflow
        self._on_ready: Callable[[], None] = on_ready or _ignore
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._waiting: dict[object, Update | Source | bytes] = {}
        self._bytes = 0
        self._replays: dict[str, Source] = {}
        self._running: list[Source] = []
        self._ahead: dict[str, dict[str, int]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, update: Update) -> None:
        """Add a message; it takes the place of an older one of its key, at the end."""
        message = update.message
        if message.key is not None:
            self._take_out((message.sid, message.key, "stalled"))
        if self._replays and (source := self._replays.get(message.sid)) is not None:
            source.await_latest()
            return
        if self._ahead and self._has_seen(message.sid, message.id):
            return
        if message.key is None:
            self._append(update, update, update.size)
            return
        slot = (message.sid, message.key)
        older = self._waiting.get(slot)
        if isinstance(older, Update):
            if not supersedes(message, older.message):
                return
            del self._waiting[slot]
            self._bytes -= older.size
        self._append(slot, update, update.size)

    def offer_plain(self, update: Update, sid: str, id: str) -> None:
        """Add a plain message, whose sid and id are these; see `offer`."""
        if self._replays and (source := self._replays.get(sid)) is not None:
            source.await_latest()
        elif not (self._ahead and self._has_seen(sid, id)):
            self._append(update, update, update.size)

    def push(self, frame: bytes) -> None:
        """Add a frame that is no message (`welcome`, `followed`, `pong`, `error`)."""
        self._append(object(), frame, len(frame) + FRAME_OVERHEAD_BYTES)

    def gap(self, sid: str) -> None:
        """Tell that messages of a session may be missing here; a later one replaces it."""
        if self._messages_only:
            return
        self._replace((sid, None), _gap(sid))

    def stalled(self, sid: str, key: str, frame: bytes) -> None:
        """Tell that the publisher of a key fell silent; its next message takes this out again.

        A replay tells it at its own end, if it is still so.
        """
        if not self._messages_only and sid not in self._replays:
            self._replace((sid, key, "stalled"), frame)

    def replay(self, source: Source, *, ahead: dict[str, int]) -> None:
        """Add a replay, behind what waits; the session's live messages follow after its end.

        Args:
            source: the replay. It takes the place of one of the same session.
            ahead: numbers that the browser has seen and this node has not.
        """
        if self._closed:
            return
        self.forget(source.sid)
        self._replays[source.sid] = source
        if ahead:
            self._ahead[source.sid] = ahead
        self._append(source, source, FRAME_OVERHEAD_BYTES)

    def forget(self, sid: str) -> None:
        """End the replay of a session that the socket is not attached to any more."""
        self._ahead.pop(sid, None)
        source = self._replays.pop(sid, None)
        if source in self._running:
            self._running.remove(source)
        elif source is not None:
            del self._waiting[source]
            self._bytes -= FRAME_OVERHEAD_BYTES

    async def take(self) -> list[Update | bytes]:
        """Wait until something is there, and take the oldest of it (about 64 KiB).

        What is taken can no longer be replaced, so no more is taken than one write. From a closed
        mailbox nothing is taken, and nobody waits for it.
        """
        while not self._closed:
            if taken := self.take_now():
                return taken
            if not self.has_more:
                woken = asyncio.get_running_loop().create_future()
                self._on_ready = partial(_end, woken)
                await woken
        return []

    def take_now(self) -> list[Update | bytes]:
        """Take what is there, as much as for one write; nothing when nothing is."""
        items: list[Any]
        if self._bytes > TAKE_BYTES:
            items = self._take_oldest()
        else:
            items = list(self._waiting.values())
            self._waiting.clear()
            self._bytes = 0
        if not self._replays:
            return items
        taken = [item for item in items if isinstance(item, (Update, bytes))]
        if len(taken) < len(items):
            self._running += [item for item in items if not isinstance(item, (Update, bytes))]
        return taken + self._take_replayed()

    @property
    def has_more(self) -> bool:
        """Tell whether it is worth while to take again."""
        return bool(self._waiting or self._running)

    def close(self) -> None:
        """Empty the mailbox, take no more and call nobody any more."""
        self._closed = True
        self._waiting.clear()
        self._replays.clear()
        self._running.clear()
        self._bytes = 0
        self._on_ready()
        self._on_overflow = self._on_ready = _ignore

    def _take_oldest(self) -> list[Any]:
        """Take from the front, about one write."""
        items, room = [], TAKE_BYTES
        for slot in list(islice(self._waiting, TAKE_BYTES // FRAME_OVERHEAD_BYTES)):
            if room <= 0:
                break
            item = self._waiting.pop(slot)
            room -= _size(item)
            items.append(item)
        self._bytes -= TAKE_BYTES - room
        return items

    def _take_replayed(self) -> list[Update | bytes]:
        """Take one write from one replay; one that has caught up makes way for what is live."""
        while self._running:
            source = self._running.pop(0)
            taken = source.take(TAKE_BYTES)
            if self._messages_only:
                taken = [item for item in taken if isinstance(item, Update)]
            if taken:
                self._running.append(source)
            else:
                del self._replays[source.sid]
            if source.lost:
                source.lost = False
                if not self._messages_only:
                    taken.insert(0, _gap(source.sid))
            if taken:
                return taken
        return []

    def _has_seen(self, sid: str, id: str | None) -> bool:
        """Tell whether the browser saw a message elsewhere, before it came to this node."""
        ahead = self._ahead.get(sid)
        number = parse_id(id) if ahead and id is not None else None
        if ahead is None or number is None or number.publisher not in ahead:
            return False
        if number.seq <= ahead[number.publisher]:
            return True
        del ahead[number.publisher]
        if not ahead:
            del self._ahead[sid]
        return False

    def _replace(self, slot: object, frame: bytes) -> None:
        """Add a frame, at the end, in the place of the one in its slot."""
        self._take_out(slot)
        self._append(slot, frame, len(frame) + FRAME_OVERHEAD_BYTES)

    def _take_out(self, slot: object) -> None:
        frame = self._waiting.pop(slot, None)
        if isinstance(frame, bytes):
            self._bytes -= len(frame) + FRAME_OVERHEAD_BYTES

    def _append(self, slot: object, item: Update | Source | bytes, size: int) -> None:
        if self._closed:
            return
        self._waiting[slot] = item
        self._bytes += size
        count = len(self._waiting)
        if self._bytes > self._max_bytes or count > self._max_frames:
            on_overflow = self._on_overflow
            self.close()
            on_overflow()
        elif count == 1:
            self._on_ready()


def _ignore() -> None:
    """Call nobody."""


def _end(wait: asyncio.Future[None]) -> None:
    if not wait.done():
        wait.set_result(None)


def _size(item: Update | Source | bytes) -> int:
    if isinstance(item, Update):
        return item.size
    return FRAME_OVERHEAD_BYTES + (len(item) if isinstance(item, bytes) else 0)


def _gap(sid: str) -> bytes:
    return codec.frame("gap", sid=sid)


def stalled_frame(stall: Stall) -> bytes:
    """Encode the `stalled` frame."""
    silent_s = round(stall.silent_s, 1)
    return codec.frame("stalled", sid=stall.sid, key=stall.key, silent_s=silent_s)
