"""Messages as a busy publisher writes them: an array of plain ones, numbered one after the other.

Nearly all that a busy node takes in comes so. What has to be known of it is found out for all of
them at once, at a quarter of the price of looking at each.
"""

from collections.abc import Container
from typing import NamedTuple

import msgspec

from progress_ws.core.apart import MAX_DEPTH, is_too_deep
from progress_ws.core.codec import MALFORMED, encode
from progress_ws.core.message import SEQ_LIMIT, Message, Number, is_sid, parse_id

SERIES_MAX = 1024
"""Messages in one: no fewer than our publishers put into an array (`codec.MAX_MEMBERS`)."""


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message that has a number and stands for itself; see `Message`."""

    sid: str
    message: msgspec.Raw
    id: str
    ts: float

    def whole(self) -> Message:
        """Return the same as a message, which does not keep the whole text that it came in."""
        return Message(self.sid, self.message.copy(), id=self.id, ts=self.ts)

    def frame(self) -> bytes:
        """Encode its `message` frame of `format=json`."""
        return encode(_Frame(self.sid, self.message, self.id, self.ts))


class _Frame(msgspec.Struct, tag_field="type", tag="message", gc=False):
    sid: str
    message: msgspec.Raw
    id: str
    ts: float


class Series(NamedTuple):
    """One array.

    Attributes:
        number: of the first message.
        messages: in their order.
        sizes: the bytes of each one's value.
        body: the array's text.
    """

    number: Number
    messages: list[Plain]
    sizes: list[int]
    body: bytes


class _Sid(msgspec.Struct):
    sid: str


_series = msgspec.json.Decoder(list[Plain])
_sid = msgspec.json.Decoder(_Sid)


def decode_series(body: bytes, *, known: Container[str], max_message_bytes: int) -> Series | None:
    """Read the body of an AMQP message, if it is a series with nothing wrong in it.

    Returns:
        the series; None: read it with `decode_body`, which tells each member apart.

    Args:
        body: as it came.
        known: texts that are sids for certain; of another one the form has to be looked at.
        max_message_bytes: the bound of a value.
    """
    if not body.startswith(b"["):
        return None
    try:
        body.decode()  # see `codec`: the decoder does not look at a value's UTF-8
        messages = _series.decode(body)
    except MALFORMED:
        return None
    number = parse_id(messages[0].id) if messages else None
    if number is None or len(messages) > SERIES_MAX:
        return None
    publisher, seq = number.publisher, number.seq
    for message in messages:
        if message.id != f"{publisher}-{seq}":
            return None
        if message.sid not in known and not is_sid(message.sid):
            return None
        seq += 1
    sizes = [len(message.message) for message in messages]
    largest = max(sizes)
    if seq > SEQ_LIMIT or largest > max_message_bytes:
        return None
    if largest > 2 * MAX_DEPTH and any(is_too_deep(bytes(m.message)) for m in messages):
        return None
    return Series(number, messages, sizes, body)


def sid_of(text: bytes) -> str:
    """Return whose message a text is that has been read before."""
    return _sid.decode(text).sid
