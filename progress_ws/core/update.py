"""What an outbox holds of a message: its frames, encoded once for all sockets of a sid."""

from progress_ws.core import codec
from progress_ws.core.frames import pack, unpack
from progress_ws.core.message import Message
from progress_ws.core.series import Plain

FRAME_OVERHEAD_BYTES = 256


class Update:
    """A delivered message with its frames."""

    __slots__ = ("_frame", "_packed", "_packed_text", "message", "replay", "size")

    def __init__(self, message: Message, *, replay: bool = False) -> None:
        """`replay`: it comes from history."""
        self.message = message
        self.replay = replay
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

    def age_s(self, now_s: float) -> float | None:
        """Return the seconds since it was published; None where they would mean nothing.

        Of other publishers the time may be anything, and AMQP's is in whole seconds.
        """
        if self.message.id is None or not self.message.ts or self.replay:
            return None
        return max(0.0, now_s - self.message.ts)  # two hosts, two clocks


class PlainUpdate(Update):
    """A plain message of a series, as its frame and nothing else.

    Very many of them wait at a time, and what is small stays in the processor's caches.
    """

    __slots__ = ("_ts",)
    replay = False

    def __init__(self, plain: Plain) -> None:
        self._packed = pack(plain.frame())
        self._packed_text = None
        self._ts = plain.ts
        self.size = len(plain.message) + FRAME_OVERHEAD_BYTES

    @property
    def message(self) -> Message:  # type: ignore[override]
        """Decode it again, for the few who need it."""
        return codec.decode(self.frame(), Message)

    def frame(self) -> bytes:
        """Return the frame of `format=json`."""
        return unpack(self.packed())

    def age_s(self, now_s: float) -> float | None:
        """Return the seconds since it was published; None where they would mean nothing."""
        return max(0.0, now_s - self._ts) if self._ts else None
