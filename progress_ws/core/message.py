"""What a message is, which values its fields may have, and which of two messages wins."""

import re
import secrets
from typing import Annotated

import msgspec

SID_RULE = "16 to 128 characters of A-Z a-z 0-9 . _ ~ -"
KEY_MAX_CHARS = 128
RUN_MAX_CHARS = 64
DEDUPE_MAX_CHARS = 64
SEQ_LIMIT = 2**53
"""Numbers stay below this so that a JavaScript number holds them exactly."""

_SID = r"\A[A-Za-z0-9._~-]{16,128}\Z"
_is_sid = re.compile(_SID).match
_is_publisher = re.compile(r"[A-Za-z0-9._~-]{1,64}").fullmatch

Sid = Annotated[str, msgspec.Meta(pattern=_SID)]
Key = Annotated[str, msgspec.Meta(max_length=KEY_MAX_CHARS)]


class Draft(msgspec.Struct, omit_defaults=True, gc=False):
    """A message as somebody asks for it: before it has a number.

    Attributes:
        sid: whose message it is.
        message: the JSON text of the value, untouched from sender to browser.
        key: the name of the value that it updates; None: it stands for itself.
        run: which run of the key it belongs to; runs are ordered bytewise.
        final: the last message of its run.
        stall_s: seconds within which the publisher promises news of the key.
        dedupe: a name under which a repetition of the message is recognised; an empty one is none.
    """

    sid: Sid
    message: msgspec.Raw
    key: Key | None = None
    run: Annotated[str, msgspec.Meta(max_length=RUN_MAX_CHARS)] | None = None
    final: bool | None = None
    stall_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    dedupe: Annotated[str, msgspec.Meta(max_length=DEDUPE_MAX_CHARS)] | None = None


class Message(Draft, omit_defaults=True, gc=False):
    """A message as it crosses the exchange.

    Attributes:
        id: `<publisher>-<seq>`; None when the publisher does not number.
        ts: Unix seconds by the publisher's clock: for showing, never for deciding.
    """

    id: str | None = None
    ts: float | None = None


class Void(msgspec.Struct, gc=False):
    """What stands in the place of a message that was given up: its number, and nothing."""

    id: str
    void: bool = True


class Number(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message's place among all that its publisher sends."""

    publisher: str
    seq: int


class Numbered(msgspec.Struct, frozen=True, gc=False):
    """What carries a number: a message, or nothing (a void, or what was no message)."""

    number: Number
    message: Message | None = None


def new_sid() -> str:
    """Mint a sid: nearly 192 random bits, URL-safe, and never mistaken for a flag of a command."""
    while not (sid := secrets.token_urlsafe(24))[0].isalnum():
        pass
    return sid


def is_sid(text: str) -> bool:
    """Tell whether a text has the form of a sid."""
    return _is_sid(text) is not None


def stamped(draft: Draft, *, ts: float, id: str | None = None) -> Message:
    """Return the message that a draft becomes; times have milliseconds."""
    d = draft
    time_s = milliseconds(ts)
    return Message(d.sid, d.message, d.key, d.run, d.final, d.stall_s, d.dedupe, id=id, ts=time_s)


def milliseconds(time_s: float) -> float:
    """Cut a time to milliseconds."""
    return int(time_s * 1000) / 1000


def is_plain(draft: Draft) -> bool:
    """Tell at a glance that a draft is right, its value aside, as nearly all are; False: look."""
    if draft.stall_s is not None or draft.dedupe is not None:
        return False
    if draft.final is not None and draft.final is not True:
        return False
    if draft.key is None:
        return draft.run is None and type(draft.sid) is str and is_sid(draft.sid)
    names_are_plain = _is_plain(draft.key, KEY_MAX_CHARS) and (
        draft.run is None or _is_plain(draft.run, RUN_MAX_CHARS)
    )
    return names_are_plain and type(draft.sid) is str and is_sid(draft.sid)


def _is_plain(text: str, max_chars: int) -> bool:
    return type(text) is str and len(text) <= max_chars and text.isascii()


def parse_id(text: str) -> Number | None:
    """Split an id into publisher and number; None when it is not of that form."""
    publisher, _, digits = text.rpartition("-")
    if not (digits.isdecimal() and digits.isascii() and digits[0] != "0" and len(digits) <= 16):
        return None
    seq = int(digits)
    return Number(publisher, seq) if seq < SEQ_LIMIT and _is_publisher(publisher) else None


def is_number(number: Number) -> bool:
    """Tell whether publisher and number are ones that an id may have."""
    return 0 < number.seq < SEQ_LIMIT and _is_publisher(number.publisher) is not None


def supersedes(new: Draft, old: Draft) -> bool:
    """Tell whether, of two messages with one sid and one key, the newly arrived one wins.

    Runs are compared bytewise, which for UTF-8 is the order of code points and so Python's own.
    Where one of the two has no run, the newest wins, also over a final one.
    """
    if new.run is None or old.run is None:
        return True
    if new.run == old.run:
        return not old.final
    return new.run > old.run


def parse_positions(ids: list[str], *, limit: int) -> dict[str, int]:
    """Turn the ids that a browser saw last into the last number seen of each publisher.

    Raises:
        ValueError: more than `limit` ids, or one that is no id; the text says which.
    """
    if len(ids) > limit:
        raise ValueError(f"{len(ids)} ids, at most {limit} are allowed")
    positions: dict[str, int] = {}
    for text in ids:
        number = parse_id(text)
        if number is None:
            raise ValueError(f"{text[:80]!r} is not an id of the form <publisher>-<seq>")
        positions[number.publisher] = max(number.seq, positions.get(number.publisher, 0))
    return positions
