"""Bytes to messages and back: the only place that knows JSON.

The value of a message is never rebuilt: its JSON text travels as it came in (`msgspec.Raw`).
"""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from progress_ws.core.apart import MAX_DEPTH, fields, is_too_deep, parts
from progress_ws.core.message import SID_RULE, Draft, Message, Numbered, is_plain, parse_id
from progress_ws.errors import InvalidMessage

MAX_MEMBERS = 1000
"""Messages in one publish request, and in one array that our publishers write."""

_RULES = {
    "sid": SID_RULE,
    "message": "any JSON value",
    "key": "a string of at most 128 characters",
    "run": "a string of at most 64 characters, with a key",
    "final": "true or false",
    "stall_s": "a number of seconds above 0, with a key",
    "dedupe": "a string of at most 64 characters",
    "id": "<publisher>-<seq>: 1 to 64 characters like a sid's, and a whole number from 1",
    "ts": "a number of seconds since 1970",
}
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Message)}
UNWRITABLE = (TypeError, ValueError, RecursionError, msgspec.MsgspecError)
MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)

_members = msgspec.json.Decoder(list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_message = msgspec.json.Decoder(Message)
_messages = msgspec.json.Decoder(list[Message])
_drafts = msgspec.json.Decoder(Draft)

Item = Numbered | Message | InvalidMessage
"""A member of a body, or why it is none. A number without a message is one that was given up."""

T = TypeVar("T")
D = TypeVar("D", bound=Draft)

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Encode a value as JSON. NaN and the infinities, which JSON lacks, become null."""
encode_into = _encoder.encode_into
"""Encode a value into a bytearray. What `encode` returns may take half as much memory again, for it
grows as it is written: too much for what is kept for long."""


def decode(text: bytes | str, type: type[T]) -> T:
    """Decode JSON into a type of ours (a heartbeat, an answer of the HTTP API).

    Raises:
        InvalidMessage: it is no JSON, or not of that type.
    """
    try:
        return msgspec.json.decode(text, type=type)
    except MALFORMED as exc:
        raise InvalidMessage(str(exc), reason="not_json") from exc


# -- what publishers write ----------------------------------------------------------------------


def new_draft(
    sid: str,
    value: Any,
    *,
    key: str | None = None,
    run: str | None = None,
    final: bool = False,
    stall_s: float | None = None,
    dedupe: str | None = None,
    max_message_bytes: int,
) -> Draft:
    """Make a draft of a Python value, by the very rules that the nodes will read it with.

    Raises:
        InvalidMessage: the value is no JSON or too large, or a field is wrong; it names the field.
    """
    try:
        message = msgspec.Raw(encode(value))
    except UNWRITABLE as exc:
        detail = f"the message cannot be written as JSON: {exc}"
        raise InvalidMessage(detail, reason="bad_message", field="message") from exc
    draft = Draft(sid, message, key, run, final or None, stall_s, dedupe)
    if is_plain(draft) and len(message) <= min(max_message_bytes, 2 * MAX_DEPTH):
        return draft
    if isinstance(stall_s, float) and not math.isfinite(stall_s):
        raise _bad("stall_s")  # JSON has no such number: it would silently become null
    try:
        text = encode(draft)
    except (TypeError, ValueError) as exc:
        raise _bad(next(name for name in _RULES if not _is_encodable(draft, name))) from exc
    return _read(text, max_message_bytes)


def _is_encodable(draft: Draft, name: str) -> bool:
    try:
        encode(getattr(draft, name, None))
    except (TypeError, ValueError):
        return False
    return True


# -- what crosses the exchange, and the body of a publish request -----------------------------


def decode_body(body: bytes, *, max_message_bytes: int) -> list[Item]:
    """Read the body of an AMQP message: one message, or an array of them.

    A member that is no message stands in the list as the reason why; it harms no other.
    """
    if not _is_array(body):
        return [_outcome(body, max_message_bytes)]
    try:
        body.decode()
        messages = _messages.decode(body)
    except MALFORMED:
        return _decode_members(body, max_message_bytes)
    return [_checked(message, max_message_bytes) for message in messages]


def _checked(message: Message, max_message_bytes: int) -> Item:
    number = None if message.id is None else parse_id(message.id)
    flaw = _flaw(message, max_message_bytes)
    if flaw is None and number is not None:
        return Numbered(number, message)
    if flaw is None and message.id is None:
        return message
    flaw = flaw or _bad("id")
    flaw.id = message.id
    return flaw


def decode_drafts(
    body: bytes, *, max_message_bytes: int, max_stall_s: float = math.inf
) -> list[Draft]:
    """Read the body of a publish request: one draft or an array of them, all of them right.

    Raises:
        InvalidMessage: naming the first wrong field and, in an array, the index of its member.
    """
    if not _is_array(body):
        return [_read_draft(body, max_message_bytes, max_stall_s)]
    members = split(body)
    if len(members) > MAX_MEMBERS:
        detail = f"{len(members)} messages in one request, at most {MAX_MEMBERS} are allowed"
        raise InvalidMessage(detail, reason="too_many")
    drafts = []
    for index, member in enumerate(members):
        try:
            drafts.append(_read_draft(member, max_message_bytes, max_stall_s))
        except InvalidMessage as exc:
            exc.index = index
            raise
    return drafts


def _read_draft(text: bytes | msgspec.Raw, max_message_bytes: int, max_stall_s: float) -> Draft:
    draft = _read(text, max_message_bytes)
    if draft.stall_s is not None and draft.stall_s > max_stall_s:
        detail = f"stall_s must be at most {max_stall_s:g} seconds, the node's history time"
        raise InvalidMessage(detail, reason="bad_stall_s", field="stall_s")
    return draft


def _is_array(body: bytes) -> bool:
    return body.startswith(b"[") or body.lstrip(b" \t\r\n").startswith(b"[")


def split(body: bytes) -> list[msgspec.Raw]:
    """Take an array apart.

    Raises:
        InvalidMessage: it is none.
    """
    try:
        return _members.decode(body)
    except MALFORMED as exc:
        flaw = InvalidMessage(f"the body is not JSON: {exc}", reason="not_json")
    # One member can spoil the whole for this decoder: with half a surrogate pair, or nested deeper
    # than its stack. Taken apart by the brackets, only that member is refused later.
    if (members := parts(body)) is None:
        raise flaw
    return [msgspec.Raw(member) for member in members]


def _decode_members(body: bytes, max_message_bytes: int) -> list[Item]:
    try:
        members = split(body)
    except InvalidMessage as exc:
        return [exc]
    return [_outcome(member, max_message_bytes) for member in members]


class _Member(msgspec.Struct):
    id: str | None = None
    void: bool = False


def _outcome(text: bytes | msgspec.Raw, limit: int) -> Item:
    try:
        return _checked(_decode(text, _message), limit)
    except InvalidMessage as exc:
        flaw = exc
    try:
        member = msgspec.json.decode(text, type=_Member)
    except MALFORMED:
        member = _spoilt_member(bytes(text))
    if member.id is not None and (number := parse_id(member.id)) is not None:
        flaw.id = member.id
        return Numbered(number) if member.void else flaw
    return flaw


def _spoilt_member(text: bytes) -> _Member:
    """Read what another field makes unreadable: its number counts as seen all the same."""
    try:
        return _Member(msgspec.json.decode(fields(text).get("id", b"null"), type=str | None))
    except MALFORMED:
        return _Member()


def _read(text: bytes | msgspec.Raw, max_message_bytes: int) -> Draft:
    draft = _decode(text, _drafts)
    if flaw := _flaw(draft, max_message_bytes):
        raise flaw
    draft.dedupe = draft.dedupe or None
    draft.message = draft.message.copy()  # it must not keep the whole text that it came in
    return draft


def _decode(text: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[D]) -> D:
    try:
        # The value itself is only skipped over by the decoder, which does not look at its UTF-8;
        # one bad byte in a text frame would cost the browser its connection (RFC 6455, 8.1).
        bytes(text).decode()
        return decoder.decode(text)
    except MALFORMED:  # whose own words would only be in the way of ours
        raise _diagnosis(text, decoder.type) from None


def _diagnosis(text: bytes | msgspec.Raw, type: type[Draft]) -> InvalidMessage:
    """Find the field that made the decoder refuse the whole."""
    present: Mapping[str, bytes | msgspec.Raw]
    spoilt = None
    try:
        bytes(text).decode()
        present = _fields.decode(text)
    except msgspec.ValidationError:
        return InvalidMessage("a message is a JSON object", reason="not_an_object")
    except MALFORMED as exc:
        spoilt = InvalidMessage(f"the body is not JSON: {exc}", reason="not_json")
        present = fields(bytes(text))
    for name in type.__struct_fields__:
        if name not in present:
            if name in ("sid", "message"):
                missing = InvalidMessage(f"{name} is missing", reason=f"no_{name}", field=name)
                return spoilt or missing
            continue
        try:
            bytes(present[name]).decode()
            msgspec.json.decode(present[name], type=_TYPES[name])
        except RecursionError:
            return _too_deep() if name == "message" else _bad(name)
        except MALFORMED:
            return _bad(name)
    return spoilt or InvalidMessage("the body is not JSON", reason="not_json")


def _flaw(draft: Draft, max_message_bytes: int) -> InvalidMessage | None:
    """Check what a type alone cannot say."""
    if len(draft.message) > max_message_bytes and _value_bytes(draft.message) > max_message_bytes:
        detail = f"message is larger than {max_message_bytes} bytes"
        return InvalidMessage(detail, reason="too_large", field="message")
    if len(draft.message) > 2 * MAX_DEPTH and is_too_deep(bytes(draft.message)):
        return _too_deep()
    if draft.key is None:
        if draft.run is not None:
            return _bad("run")
        if draft.stall_s is not None:
            return _bad("stall_s")
    return None


def _too_deep() -> InvalidMessage:
    detail = f"message is nested deeper than {MAX_DEPTH} levels"
    return InvalidMessage(detail, reason="too_deep", field="message")


def _bad(field: str) -> InvalidMessage:
    return InvalidMessage(f"{field} must be {_RULES[field]}", reason=f"bad_{field}", field=field)


def _value_bytes(message: msgspec.Raw) -> int:
    """Measure a value as UTF-8: a string without quotes and escapes, anything else without blanks.

    Only asked when the JSON text is over the limit: escapes and blanks never shrink a value.
    """
    try:
        value = msgspec.json.decode(message)
    except (*MALFORMED, msgspec.MsgspecError):
        return len(message)  # a number that no float holds: it stays as it was written
    return len(value.encode()) if isinstance(value, str) else len(encode(value))


def one_line(text: bytes) -> str:
    """Take the blanks and line breaks out of JSON, for people and pipes."""
    return msgspec.json.format(text, indent=-1).decode()


# -- what browsers get ------------------------------------------------------------------------


class _MessageFrame(msgspec.Struct, tag_field="type", tag="message", omit_defaults=True, gc=False):
    sid: str
    message: msgspec.Raw
    id: str | None = None
    ts: float | None = None
    key: str | None = None
    run: str | None = None
    final: bool = False
    replay: bool = False


def message_frame(m: Message, *, replay: bool = False) -> bytes:
    """Encode the `message` frame of `format=json`; `replay` when it comes from history."""
    final = m.final or False
    return encode(_MessageFrame(m.sid, m.message, m.id, m.ts, m.key, m.run, final, replay))


def message_text(m: Message) -> bytes:
    """Encode the frame of `format=text`: a string as it is, anything else as its JSON."""
    text = bytes(m.message)
    return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else text


def frame(type: str, **fields: Any) -> bytes:
    """Encode any other frame; fields that are None do not apply and are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return encode({"type": type, **present})
