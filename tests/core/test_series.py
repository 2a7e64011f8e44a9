"""An array as a busy publisher writes it: read in one go, or left to those who look closer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core import codec
from progress_ws.core.message import SEQ_LIMIT, Message, Number, Numbered
from progress_ws.core.series import SERIES_MAX, Series, decode_series
from tests.core.making import LIMIT, SID, nested, values

FIRST = 7


def member(seq: int, value: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"sid": SID, "message": value, "id": f"pub-{seq}", "ts": 1.5, **fields}


def members(count: int = 3) -> list[dict[str, Any]]:
    return [member(seq) for seq in range(FIRST, FIRST + count)]


def read(*found: Any, known: tuple[str, ...] = ()) -> Series | None:
    body = json.dumps(found).encode()
    return decode_series(body, known=known, max_message_bytes=LIMIT)


@given(st.lists(st.tuples(st.sampled_from(["a" * 16, "b" * 16]), values), min_size=1))
def test_it_says_the_same_as_looking_at_each(found: list[tuple[str, Any]]) -> None:
    text = codec.encode([member(n, value, sid=sid) for n, (sid, value) in enumerate(found, 1)])
    series = decode_series(text, known=(), max_message_bytes=LIMIT)
    assert series is not None
    assert (series.number, series.body) == (Number("pub", 1), text)
    assert [
        Numbered(Number("pub", n), plain.whole()) for n, plain in enumerate(series.messages, 1)
    ] == codec.decode_body(text, max_message_bytes=LIMIT)


def test_the_sizes_are_those_of_the_values() -> None:
    series = read(member(1, "x" * 10), member(2, 5))
    assert series is not None
    assert series.sizes == [12, 1]


def test_a_message_taken_out_does_not_keep_the_array() -> None:
    series = read(*members())
    assert series is not None
    assert bytes(series.messages[0].whole().message) == b"1"
    assert memoryview(series.messages[0].whole().message).nbytes == 1


@pytest.mark.parametrize(
    "other",
    [
        member(FIRST + 1, key="k"),
        member(FIRST + 1, final=True),
        member(FIRST + 1, dedupe="d"),
        member(FIRST + 1, unknown=1),
        member(FIRST + 1, sid="short"),
        member(FIRST + 1, sid=1),
        member(FIRST + 1, ts=None),
        member(FIRST + 1, id=None),
        member(FIRST + 1, id="other-8"),
        member(FIRST + 1, id="pub-08"),
        member(FIRST),
        member(FIRST + 2),
        member(FIRST + 1, "x" * LIMIT),
        {"id": f"pub-{FIRST + 1}", "void": True},
        {"sid": SID, "message": 1},
        5,
        None,
    ],
)
def test_one_that_is_not_plain_or_not_the_next_makes_it_no_series(other: Any) -> None:
    assert read(member(FIRST), other, member(FIRST + 2)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[",
        b"{}",
        codec.encode(member(1)),
        b" [%b]" % codec.encode(member(1)),
        b"[%b" % codec.encode(member(1)),
        codec.encode([member(1)]).replace(b"pub", b"\xff\xff\xff"),
        codec.encode([member(1, "VALUE")]).replace(b"VALUE", b"\xff"),
        codec.encode([member(1, "VALUE")]).replace(b'"VALUE"', nested(201).encode()),
        codec.encode([member(1, "VALUE")]).replace(b'"VALUE"', b"NaN"),
    ],
)
def test_what_is_no_array_of_messages_is_no_series(body: bytes) -> None:
    assert decode_series(body, known=(), max_message_bytes=LIMIT) is None


def test_a_value_may_be_as_deep_and_large_as_alone() -> None:
    text = codec.encode([member(1, "VALUE")]).replace(b'"VALUE"', nested(200).encode())
    assert decode_series(text, known=(), max_message_bytes=LIMIT) is not None
    assert read(member(1, "x" * (LIMIT - 2))) is not None


def test_its_numbers_end_where_all_do() -> None:
    assert read(member(SEQ_LIMIT - 2), member(SEQ_LIMIT - 1)) is not None
    assert read(member(SEQ_LIMIT - 1), member(SEQ_LIMIT)) is None


def test_it_has_no_more_messages_than_places() -> None:
    assert read(*members(SERIES_MAX)) is not None
    assert read(*members(SERIES_MAX + 1)) is None
    assert codec.MAX_MEMBERS <= SERIES_MAX


def test_a_sid_that_is_known_is_not_looked_at_again() -> None:
    odd = "known by somebody"
    assert read(member(1, sid=odd)) is None
    series = read(member(1, sid=odd), known=(odd,))
    assert series is not None
    assert isinstance(series.messages[0].whole(), Message)
