"""The frames of a WebSocket: what a browser may say, how a text is packed for it, and the codes
that its socket is closed with.
"""

import struct
from enum import IntEnum

import msgspec

from progress_ws.core.message import KEY_MAX_CHARS, SID_RULE, Key, is_sid, parse_positions
from progress_ws.errors import ProtocolError

PROTOCOL = 1
PING_S = 25
"""So often a browser hears of its node, whatever else there is to say."""
FRAME_MAX_BYTES = 16 * 1024
FOLLOWS_MAX = 256
FRAMES_MAX, FRAMES_WINDOW_S = 100, 10.0
QUERY_POSITIONS_MAX = 64
FOLLOW_POSITIONS_MAX = 1024


class CloseCode(IntEnum):
    """Why a node closes a socket.

    Standard codes and 4000 to 4399 mean "come back", 4400 to 4499 "do not, tell the
    application". A client tests the range, so that it obeys codes it has never heard of.
    Codes below 4000 are those of RFC 6455, section 7.4, and the IANA registry.
    """

    SERVER_ERROR = 1011
    RESTARTING = 1012
    FULL = 1013
    SLOW_READER = 4001
    TOO_MANY_FRAMES = 4290
    BAD_QUERY = 4400


class Follow(msgspec.Struct, frozen=True):
    """This socket also wants that session, from the positions given."""

    sid: str
    after: dict[str, int] | None


class Unfollow(msgspec.Struct, frozen=True):
    """This socket no longer wants that session."""

    sid: str


class Cancel(msgspec.Struct, frozen=True):
    """The publisher of that key is asked to stop."""

    sid: str
    key: str


class Ping(msgspec.Struct, frozen=True):
    """The browser asks whether anybody is there."""


Request = Follow | Unfollow | Cancel | Ping


class _Frame(msgspec.Struct):
    type: str
    sid: msgspec.Raw = msgspec.Raw(b"null")
    after: msgspec.Raw = msgspec.Raw(b"null")
    key: msgspec.Raw = msgspec.Raw(b"null")


def parse_frame(text: str) -> Request | None:
    """Read a frame of a browser; None for a type that this version does not know.

    Raises:
        ProtocolError: it is no frame, or a field of it is wrong.
    """
    try:
        frame = msgspec.json.decode(text, type=_Frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        detail = f'a frame is a JSON object with a "type": {exc}'
        raise ProtocolError("bad_frame", detail) from exc
    match frame.type:
        case "ping":
            return Ping()
        case "follow":
            sid = _sid(frame.sid)
            return Follow(sid, _after(frame.after, sid))
        case "unfollow":
            return Unfollow(_sid(frame.sid))
        case "cancel":
            sid = _sid(frame.sid)
            return Cancel(sid, _key(frame.key, sid))
        case _:
            return None


def _sid(text: msgspec.Raw) -> str:
    try:
        sid = msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        sid = ""
    if not is_sid(sid):
        raise ProtocolError("bad_sid", f"a sid is {SID_RULE}", sid=sid[:128] or None)
    return sid


def _key(text: msgspec.Raw, sid: str) -> str:
    try:
        key: str = msgspec.json.decode(text, type=Key)
    except ValueError as exc:
        detail = f"key is a string of at most {KEY_MAX_CHARS} characters"
        raise ProtocolError("bad_frame", detail, sid=sid) from exc
    return key


def _after(text: msgspec.Raw, sid: str) -> dict[str, int] | None:
    try:
        ids = msgspec.json.decode(text, type=list[str] | None)
        return None if ids is None else parse_positions(ids, limit=FOLLOW_POSITIONS_MAX)
    except ValueError as exc:  # msgspec's own errors are ValueErrors too
        detail = f"after is a list of message ids: {exc}"
        raise ProtocolError("bad_after", detail, sid=sid) from exc


def pack(payload: bytes) -> bytes:
    """Make the frame that carries a text to a browser: whole and unmasked (RFC 6455, 5.2)."""
    size = len(payload)
    return (_HEADS[size] if size < len(_HEADS) else _head(size)) + payload


def _head(size: int) -> bytes:
    if size < 126:
        return struct.pack(">BB", 0x81, size)
    if size < 65_536:
        return struct.pack(">BBH", 0x81, 126, size)
    return struct.pack(">BBQ", 0x81, 127, size)


_HEADS = [_head(size) for size in range(1024)]
"""Of the sizes that nearly all texts have."""


def unpack(frame: bytes) -> bytes:
    """Return the text that a frame of `pack` carries."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]
