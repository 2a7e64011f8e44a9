"""Deliveries out of the bytes of an AMQP connection, many at a time. Nothing here waits.

A general client decodes every frame and every property into objects, and starts a task for each
message; a history of some hundred thousand messages would take it minutes. Only what a `Delivery`
needs is read here. Frames that are no delivery of the one channel are put aside as they are.
"""

import struct
from typing import NamedTuple

from progress_ws.core.intake import Delivery

# AMQP 0-9-1, section 4.2: type, channel, size, payload, end octet.
_FRAME = struct.Struct(">BHL")
FRAME_OVERHEAD = 8
FRAME_END = 0xCE
METHOD, HEADER, BODY = 1, 2, 3
_DELIVER = bytes((0, 60, 0, 60))
_CONTENT = struct.Struct(">HHQH")
_LONGLONG = struct.Struct(">Q")
_SIGNED = struct.Struct(">q")
_LONG = struct.Struct(">L")
_ACK = struct.Struct(">BHLHHQBB")

OFFSET_HEADER = b"x-stream-offset"
NO_OFFSET = -1
# The flags of the properties, in the order in which they follow (section 4.2.6): short strings, but
# for the headers, two octets (delivery mode and priority) and the timestamp.
_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS = 1 << 15, 1 << 14, 1 << 13
_OCTETS = 1 << 12 | 1 << 11
_OCTET_COUNT = {1 << 12: 1, 1 << 11: 1, _OCTETS: 2}
_RARE_FLAGS = _CORRELATION_ID, _REPLY_TO, _EXPIRATION = 1 << 10, 1 << 9, 1 << 8
_RARE = _CORRELATION_ID | _REPLY_TO | _EXPIRATION
_MESSAGE_ID, _TIMESTAMP, _TYPE = 1 << 7, 1 << 6, 1 << 5
_FIXED_SIZES = {
    kind: size
    for size, kinds in ((0, b"V\0"), (1, b"tbB"), (2, b"su"), (4, b"Iif"), (5, b"D"), (8, b"lLdT"))
    for kind in kinds
}
_SIZED = frozenset(b"SxAF")
# Like the library that the live messages come through: above the year 2106 it is milliseconds.
_MAX_SECONDS = 0xFFFFFFFF
_END_OF_TIME = 253_402_300_800


class BrokenFrame(ValueError):
    """The bytes are no AMQP frames, or the frames of a message are out of order."""


class Delivered(NamedTuple):
    """One message of the channel that is read.

    Attributes:
        offset: its place in the stream; without the header, that of the message before it, or -1.
        tag: what acknowledges it.
    """

    delivery: Delivery
    offset: int
    tag: int


def ack(channel: int, tag: int) -> bytes:
    """Encode the frame that acknowledges everything up to `tag`."""
    return _ACK.pack(METHOD, channel, 13, 60, 80, tag, 1, FRAME_END)


class DeliverParser:
    """Takes bytes, cut anywhere; returns the deliveries of `channel` that they complete.

    Attributes:
        channel: whose deliveries are read; None: nobody's, every frame is put aside.
        with_offsets: look for their places in a stream.
        rest: the bytes of the frame that is not complete yet.
    """

    def __init__(self, channel: int | None = None) -> None:
        self.channel = channel
        self.with_offsets = True
        self.rest = b""
        self._aside = bytearray()
        self._tag = 0
        self._offset = NO_OFFSET
        self._properties: tuple[str | None, str | None, float | None] = (None, None, None)
        self._missing = -1  # bytes of the body; -1: no header yet
        self._parts: list[bytes] = []
        self._found: list[Delivered] = []

    def feed(self, data: bytes) -> list[Delivered]:
        """Take what was received.

        Raises:
            BrokenFrame: nothing after this can be understood.
        """
        buffer = self.rest + data if self.rest else data
        at, end = 0, len(buffer)
        try:
            while end - at >= FRAME_OVERHEAD:
                kind, channel, size = _FRAME.unpack_from(buffer, at)
                after = at + FRAME_OVERHEAD + size
                if after > end:
                    break
                if buffer[after - 1] != FRAME_END:
                    raise BrokenFrame(f"a frame of {size} bytes does not end where it says")
                if channel != self.channel or not self._read(kind, buffer, at + 7, after - 1):
                    self._aside += buffer[at:after]
                at = after
        except (IndexError, struct.error) as exc:
            raise BrokenFrame(f"a frame is shorter than its content: {exc}") from exc
        self.rest = buffer[at:]
        found, self._found = self._found, []
        return found

    def take_aside(self) -> bytes:
        """Return the frames that were put aside since the last time, in order."""
        aside = bytes(self._aside)
        self._aside.clear()
        return aside

    def _read(self, kind: int, buffer: bytes, at: int, end: int) -> bool:
        """Read a frame of the channel; False if it does not belong to a delivery."""
        if kind == BODY:
            self._read_body(buffer[at:end])
        elif kind == HEADER:
            self._read_header(buffer, at, end)
        elif kind == METHOD and buffer[at : at + 4] == _DELIVER:
            (self._tag,) = _LONGLONG.unpack_from(buffer, at + 5 + buffer[at + 4])
            self._missing = -1
        else:
            return False
        return True

    def _read_header(self, buffer: bytes, at: int, end: int) -> None:
        _, _, self._missing, flags = _CONTENT.unpack_from(buffer, at)
        at += _CONTENT.size
        more = flags
        while more & 1:  # further flags, for properties that AMQP 0-9-1 does not have
            more = buffer[at] << 8 | buffer[at + 1]
            at += 2
        at = self._skip_properties(flags, buffer, at, end)
        message_id = type_ = timestamp = None
        if flags & _MESSAGE_ID:
            after = at + 1 + buffer[at]
            message_id = buffer[at + 1 : after].decode(errors="replace")
            at = after
        if flags & _TIMESTAMP:
            timestamp = _seconds(*_LONGLONG.unpack_from(buffer, at))
            at += 8
        if flags & _TYPE:
            after = at + 1 + buffer[at]
            type_ = buffer[at + 1 : after].decode(errors="replace")
            at = after
        if at > end:
            raise BrokenFrame("a property is longer than its frame")
        self._properties = type_, message_id, timestamp
        if not self._missing:
            self._complete(b"")

    def _skip_properties(self, flags: int, buffer: bytes, at: int, end: int) -> int:
        """Return where those begin that a delivery needs; the offset is in the headers."""
        if flags & _CONTENT_TYPE:
            at += 1 + buffer[at]
        if flags & _CONTENT_ENCODING:
            at += 1 + buffer[at]
        if flags & _HEADERS:
            after = at + 4 + _LONG.unpack_from(buffer, at)[0]
            if self.with_offsets:
                self._read_offset(buffer, at + 4, min(after, end))
            at = after
        if flags & _OCTETS:
            at += _OCTET_COUNT[flags & _OCTETS]
        if flags & _RARE:
            for flag in _RARE_FLAGS:
                if flags & flag:
                    at += 1 + buffer[at]
        return at

    def _read_offset(self, buffer: bytes, at: int, end: int) -> None:
        """Go through the headers: a search would find what somebody wrote into a value."""
        while at < end:
            after = at + 1 + buffer[at]
            kind = buffer[after]
            if kind == 0x6C and buffer[at + 1 : after] == OFFSET_HEADER:  # l, 64 bits
                (self._offset,) = _SIGNED.unpack_from(buffer, after + 1)
                return
            if kind in _SIZED:
                at = after + 5 + _LONG.unpack_from(buffer, after + 1)[0]
            elif kind in _FIXED_SIZES:
                at = after + 1 + _FIXED_SIZES[kind]
            else:
                return

    def _read_body(self, payload: bytes) -> None:
        self._missing -= len(payload)
        if self._missing < 0:
            raise BrokenFrame("a body without its header, or longer than that said")
        if self._parts:
            self._parts.append(payload)
            if not self._missing:
                self._complete(b"".join(self._parts))
        elif self._missing:
            self._parts.append(payload)
        else:
            self._complete(payload)

    def _complete(self, body: bytes) -> None:
        delivery = Delivery(body, *self._properties)
        self._found.append(Delivered(delivery, self._offset, self._tag))
        self._parts = []
        self._missing = -1


def _seconds(stamp: int) -> float | None:
    seconds = stamp / 1000 if stamp > _MAX_SECONDS else float(stamp)
    return seconds if seconds < _END_OF_TIME else None
