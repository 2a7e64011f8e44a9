"""What an outbox holds of a message: its frames, encoded once for all sockets of a sid."""

from progress_ws.core import codec
from progress_ws.core.frames import pack, unpack
from progress_ws.core.message import Message
from progress_ws.core.series import Plain

FRAME_OVERHEAD_BYTES = 256


class Update:
    """A delivered message with its frames.

    Attributes:
        message: as it was published.
        replay: it comes from history.
        published_s: when it was published, in Unix seconds by its publisher's clock; None where
            that would mean nothing. Of publishers that do not number it may be anything.
        size: what it counts in an outbox, in bytes.
    """

    __slots__ = (
        "_frame",
        "_packed",
        "_packed_text",
        "message",
        "published_s",
        "replay",
        "size",
    )

    def __init__(self, message: Message, *, replay: bool = False) -> None:
        """`replay`: it comes from history."""
        self.message = message
        self.replay = replay
        self.published_s = None if message.id is None or replay else message.ts or None
        self.size = len(message.message) + FRAME_OVERHEAD_BYTES
        self._frame: bytes | None = None
        self._packed: bytes | None = None
        self._packed_text: bytes | None = None

    def frame(self) -> bytes:
        """Return the frame of `format=json`."""
        if self._frame is None:
            self._frame = codec.message_frame(self.message, replay=self.replay)
        return self._frame

    def packed(self) -> bytes:
        """Return that frame as a WebSocket carries it."""
        if self._packed is None:
            self._packed = pack(self.frame())
        return self._packed

    def packed_text(self) -> bytes:
        """Return the frame of `format=text` as a WebSocket carries it."""
        if self._packed_text is None:
            self._packed_text = pack(codec.message_text(self.message))
        return self._packed_text


class PlainUpdate(Update):
    """A plain message of a series, as its frame and nothing else.

    Very many of them wait at a time, and what is small stays in the processor's caches.
    """

    __slots__ = ()
    replay = False

    def __init__(self, plain: Plain) -> None:
        self._packed = pack(plain.frame())
        self._packed_text = None
        self.published_s = plain.ts or None
        self.size = len(plain.message) + FRAME_OVERHEAD_BYTES

    @property
    def message(self) -> Message:  # type: ignore[override]
        """Decode it again, for the few who need it."""
        return codec.decode(self.frame(), Message)

    def frame(self) -> bytes:
        """Return the frame of `format=json`."""
        return unpack(self.packed())
