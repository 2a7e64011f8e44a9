"""One browser's bounded mailbox: newest wins per key, and whoever reads too slowly is let go."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from progress_ws.core import codec
from progress_ws.core.message import Message, supersedes

MAX_BYTES = 16 * 1024 * 1024
"""Above the largest publish request (8 MiB): one burst costs no healthy browser its socket."""
MAX_FRAMES = 8192
TAKE_BYTES = 64 * 1024
_FRAME_OVERHEAD_BYTES = 256


class Update:
    """A delivered message with its frames, each encoded at most once for all sockets of a sid."""

    __slots__ = ("_frame", "_text", "message", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.size = len(message.message) + _FRAME_OVERHEAD_BYTES
        self._frame: bytes | None = None
        self._text: bytes | None = None

    def frame(self) -> bytes:
        """Return the frame of `format=json`."""
        if self._frame is None:
            self._frame = codec.message_frame(self.message)
        return self._frame

    def text(self) -> bytes:
        """Return the frame of `format=text`."""
        if self._text is None:
            self._text = codec.message_text(self.message)
        return self._text


class Outbox:
    """What waits for one socket, in the order in which it will be written.

    Policy at the bound: the mailbox empties itself, takes no more, and calls `on_overflow`.
    The browser comes back with its position, and the memory is free at once.
    """

    def __init__(
        self,
        *,
        on_overflow: Callable[[], None],
        max_bytes: int = MAX_BYTES,
        max_frames: int = MAX_FRAMES,
    ) -> None:
        self._on_overflow = on_overflow
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._waiting: OrderedDict[object, Update | bytes] = OrderedDict()
        self._bytes = 0
        self._closed = False
        self._wake: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, update: Update) -> None:
        """Add a message; it takes the place of an older one of its key, at the end."""
        message = update.message
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

    def push(self, frame: bytes) -> None:
        """Add a frame that is no message (`welcome`, `followed`, `pong`, `error`)."""
        self._append(object(), frame, len(frame) + _FRAME_OVERHEAD_BYTES)

    async def take(self) -> list[Update | bytes]:
        """Wait until something is there, and take the oldest of it (about 64 KiB).

        What is taken can no longer be replaced, so no more is taken than one write.
        """
        while not self._waiting:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        taken: list[Update | bytes] = []
        room = TAKE_BYTES
        while self._waiting and room > 0:
            _, item = self._waiting.popitem(last=False)
            size = item.size if isinstance(item, Update) else len(item) + _FRAME_OVERHEAD_BYTES
            self._bytes -= size
            room -= size
            taken.append(item)
        return taken

    def close(self) -> None:
        """Empty the mailbox and take no more."""
        self._closed = True
        self._waiting.clear()
        self._bytes = 0

    def _append(self, slot: object, item: Update | bytes, size: int) -> None:
        if self._closed:
            return
        self._waiting[slot] = item
        self._bytes += size
        if self._bytes > self._max_bytes or len(self._waiting) > self._max_frames:
            self.close()
            self._on_overflow()
        elif self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
