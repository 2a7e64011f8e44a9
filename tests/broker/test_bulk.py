"""Deliveries read out of bytes are what pamqp, decoding frame by frame, makes of them."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, decode, frame, header
from pamqp.body import ContentBody
from pamqp.heartbeat import Heartbeat

from progress_ws.broker.bulk import NO_OFFSET, BrokenFrame, Delivered, DeliverParser, ack
from progress_ws.core.intake import Delivery

CHANNEL = 9
FRAME_MAX = 40  # small, so that bodies need several frames

short = st.text(max_size=20).filter(lambda text: len(text.encode()) < 256)
longs = st.integers(-(2**63), 2**63 - 1)
seconds = st.integers(0, 0xFFFFFFFF).map(lambda s: datetime.fromtimestamp(s, UTC))
values = st.recursive(
    st.none() | st.booleans() | longs | short | st.binary(max_size=9).map(bytearray)
    | st.floats(width=16, allow_nan=False) | st.decimals(0, 100, places=2) | seconds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
headers = st.dictionaries(short.filter(bool), values, max_size=4)
optional = st.none() | short.filter(bool)
properties = st.fixed_dictionaries(
    {
        "content_type": optional,
        "content_encoding": optional,
        "delivery_mode": st.none() | st.integers(1, 2),
        "priority": st.none() | st.integers(0, 9),
        "correlation_id": optional,
        "reply_to": optional,
        "expiration": optional,
        "message_id": optional,
        "timestamp": st.none() | seconds,
        "message_type": optional,
        "user_id": optional,
        "app_id": optional,
    }
)
messages = st.tuples(headers, st.integers(2**32, 2**63 - 1), properties, st.binary(max_size=200))


def marshal(content: Any, channel: int = CHANNEL) -> bytes:
    return bytes(frame.marshal(content, channel))


def encode(
    body: bytes, *, tag: int = 1, props: commands.Basic.Properties | None = None, ctag: str = "c"
) -> bytes:
    """A message as a broker delivers it."""
    frames = marshal(commands.Basic.Deliver(ctag, tag, False, "progress-ws", "key"))
    frames += marshal(header.ContentHeader(0, len(body), props))
    parts = (body[at : at + FRAME_MAX] for at in range(0, len(body), FRAME_MAX))
    return frames + b"".join(marshal(ContentBody(part)) for part in parts)


def decoded(data: bytes) -> list[Delivered]:
    """What pamqp makes of the frames of the channel."""
    found: list[Delivered] = []
    tag, head, body = 0, header.ContentHeader(), b""
    while data:
        size, channel, part = frame.unmarshal(data)
        data = data[size:]
        if channel != CHANNEL:
            continue
        match part:
            case commands.Basic.Deliver():
                tag, body = part.delivery_tag, b""
            case header.ContentHeader():
                head = part
            case ContentBody():
                body += part.value
            case _:
                continue
        if isinstance(part, (header.ContentHeader, ContentBody)) and len(body) == head.body_size:
            p = head.properties
            stamp = None if p.timestamp is None else p.timestamp.timestamp()
            delivery = Delivery(body, p.message_type or None, p.message_id or None, stamp)
            found.append(Delivered(delivery, (p.headers or {})["x-stream-offset"], tag))
    return found


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


others = st.sampled_from(
    [
        marshal(Heartbeat(), 0),
        marshal(commands.Basic.ConsumeOk("c")),
        marshal(commands.Channel.Close(404, "NOT_FOUND", 0, 0)),
        encode(b"another channel's").replace(b"\0\x09", b"\0\x08"),
    ]
)


@given(
    st.lists(messages | others, max_size=6),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_cut_anywhere_it_reads_what_pamqp_reads(parts: list[Any], places: list[int]) -> None:
    data, aside = b"", b""
    for tag, part in enumerate(parts, 1):
        if isinstance(part, bytes):
            data, aside = data + part, aside + part
            continue
        fields, offset, props, body = part
        fields = dict(sorted({**fields, "x-stream-offset": offset}.items()))
        data += encode(body, tag=tag, props=commands.Basic.Properties(headers=fields, **props))
    parser = DeliverParser(CHANNEL)
    found: list[Delivered] = []
    left = b""
    for piece in cut(data, places):
        found += parser.feed(piece)
        left += parser.take_aside()
    assert found == decoded(data)
    assert left == aside
    assert parser.rest == b""


def raw(flags: int, raw_properties: bytes, body: bytes = b"x") -> bytes:
    """A message whose properties are written as they are."""
    payload = struct.pack(">HHQH", 60, 0, len(body), flags) + raw_properties
    head = struct.pack(">BHL", 2, CHANNEL, len(payload)) + payload + b"\xce"
    return (
        marshal(commands.Basic.Deliver("c", 7, False, "", "")) + head + marshal(ContentBody(body))
    )


def only(data: bytes) -> Delivered:
    (found,) = DeliverParser(CHANNEL).feed(data)
    return found


@pytest.mark.parametrize("stamp", [0, 1_700_000_000, 1_700_000_000_123])
def test_timestamps_are_seconds_or_milliseconds(stamp: int) -> None:
    packed = struct.pack(">Q", stamp)
    _, expected = decode.timestamp(packed)
    assert only(raw(1 << 6, packed)).delivery.timestamp == expected.timestamp()


@pytest.mark.parametrize("stamp", [1_700_000_000_000_000_000, 2**64 - 1])
def test_a_timestamp_beyond_all_dates_is_none(stamp: int) -> None:
    assert only(raw(1 << 6, struct.pack(">Q", stamp))).delivery.timestamp is None


def test_names_that_are_not_utf8_are_patched_up() -> None:
    found = only(raw(1 << 7 | 1 << 5, b"\x02\xffa\x01\xfe")).delivery
    assert (found.message_id, found.type) == ("�a", "�")


def test_an_offset_that_somebody_wrote_into_a_value_is_not_believed() -> None:
    fake = b"\x0fx-stream-offsetl" + struct.pack(">q", 666)
    table = b"\x01aS" + struct.pack(">L", len(fake)) + fake
    table += b"\x0fx-stream-offsetl" + struct.pack(">q", 5)
    assert only(raw(1 << 13, struct.pack(">L", len(table)) + table)).offset == 5


@pytest.mark.parametrize("table", [b"", b"\x01a?", b"\x0fx-stream-offsetS\0\0\0\x011"])
def test_without_an_offset_it_is_that_of_the_message_before(table: bytes) -> None:
    message = raw(1 << 13, struct.pack(">L", len(table)) + table)
    assert only(message).offset == NO_OFFSET
    parser = DeliverParser(CHANNEL)
    first = encode(b"", props=commands.Basic.Properties(headers={"x-stream-offset": 2**40}))
    assert [each.offset for each in parser.feed(first + message)] == [2**40, 2**40]


@pytest.mark.parametrize(
    "data",
    [
        marshal(Heartbeat(), 0)[:-1] + b"\0",
        marshal(ContentBody(b"no header")),
        struct.pack(">BHL", 2, CHANNEL, 3) + b"abc\xce",
        raw(1 << 7, b"\xff"),
    ],
)
def test_what_is_no_amqp_is_told(data: bytes) -> None:
    with pytest.raises(BrokenFrame):
        DeliverParser(CHANNEL).feed(data)


def test_without_a_channel_everything_is_put_aside() -> None:
    parser = DeliverParser()
    data = encode(b"body", props=commands.Basic.Properties(headers={"x-stream-offset": 2**40}))
    assert parser.feed(data) == []
    assert parser.take_aside() == data
    assert parser.take_aside() == b""


def test_an_acknowledgement_is_pamqps() -> None:
    assert ack(CHANNEL, 2**40) == marshal(commands.Basic.Ack(2**40, multiple=True))
