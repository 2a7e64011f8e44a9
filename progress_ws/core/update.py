"""What an outbox holds of a message: its frames, encoded once for all sockets of a sid."""

import msgspec

from progress_ws.core import codec
from progress_ws.core.frames import pack, unpack
from progress_ws.core.message import Message
from progress_ws.core.series import Plain

FRAME_OVERHEAD_BYTES = 256


class Update(msgspec.Struct, eq=False, gc=False):
    """A delivered message with its frames.

    Very many of them wait at a time, and what is small stays in the processor's caches: so a plain
    message of a series is here as its frame and nothing else.

    Attributes:
        size: what it counts in an outbox, in bytes.
        published_s: when it was published, in Unix seconds by its publisher's clock; None where
            that would mean nothing: of what comes from history, and of publishers that do not
            number, whose clock may be anything.
        replay: it comes from history.
    """

    size: int
    published_s: float | None
    replay: bool = False
    _message: Message | None = None
    _frame: bytes | None = None
    _packed: bytes | None = None
    _packed_text: bytes | None = None

    @property
    def message(self) -> Message:
        """As it was published; of a plain one decoded again, for the few who need it."""
        if self._message is None:
            return codec.decode(self.frame(), Message)
        return self._message

    def frame(self) -> bytes:
        """Return the frame of `format=json`."""
        if self._frame is None:
            if self._message is None:
                self._frame = unpack(self.packed())
            else:
                self._frame = codec.message_frame(self._message, replay=self.replay)
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


def update_of(message: Message, *, replay: bool = False) -> Update:
    """Return the update that a message is; `replay`: it comes from history."""
    size = len(message.message) + FRAME_OVERHEAD_BYTES
    published_s = None if message.id is None or replay else message.ts or None
    return Update(size, published_s, replay, _message=message)


def update_of_plain(plain: Plain) -> Update:
    """Return the same for a message of a series."""
    size = len(plain.message) + FRAME_OVERHEAD_BYTES
    return Update(size, plain.ts or None, _packed=pack(plain.frame()))
