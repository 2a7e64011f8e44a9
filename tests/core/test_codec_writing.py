"""From a Python value to the bytes that cross the exchange."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws import InvalidMessage
from progress_ws.core import codec
from progress_ws.core.message import Message, stamped
from tests.core.making import LIMIT, SID, draft, nested, values

NASTY = [
    "",
    'quotes " and \' and \\ and \\"',
    ";;;",
    "a\nb\r\nc\td",
    "\x00\x01\x1f\x7f\x80",
    "\u2028\u2029\ufeff",
    "\U0001f468‍\U0001f469‍\U0001f467",
    "进度百分之五十",
    "</script><!--",
    "null",
    "1e999",
]


def read_back(body: bytes) -> Any:
    (message,) = codec.decode_body(body, max_message_bytes=LIMIT)
    assert isinstance(message, Message), message
    return json.loads(codec.message_frame(message))["message"]


@given(values)
def test_any_json_value_survives_the_way_from_a_publisher_to_a_browser(value: Any) -> None:
    body = codec.encode(stamped(draft(value), ts=1.0))
    assert read_back(body) == value


@given(values)
def test_the_bytes_are_json_to_every_other_reader(value: Any) -> None:
    read = json.loads(codec.encode(stamped(draft(value), ts=1700000000.25)))
    assert read == {"sid": SID, "message": value, "ts": 1700000000.25}


@pytest.mark.parametrize("text", [*NASTY, "中" * 21845])
def test_any_string_survives_byte_for_byte(text: str) -> None:
    body = codec.encode(stamped(draft(text), ts=1.0))
    assert read_back(body) == text
    (message,) = codec.decode_body(body, max_message_bytes=LIMIT)
    assert isinstance(message, Message)
    assert codec.message_text(message) == text.encode()


def test_every_field_is_written_under_its_own_name() -> None:
    fields = {"key": "k", "run": "r", "final": True, "stall_s": 2.5, "dedupe": "d"}
    written = json.loads(codec.encode(stamped(draft("v", **fields), ts=3.0)))
    assert written == {"sid": SID, "message": "v", "ts": 3.0, **fields}


def test_what_does_not_apply_is_not_written() -> None:
    assert json.loads(codec.encode(stamped(draft(final=False), ts=1))).keys() == {
        "sid",
        "message",
        "ts",
    }


def test_a_message_has_a_number_and_a_time_of_milliseconds() -> None:
    written = json.loads(codec.encode(stamped(draft("}"), ts=1.00049, id="p-1")))
    assert written == {"sid": SID, "message": "}", "ts": 1.0, "id": "p-1"}


def test_numbers_that_json_lacks_become_null() -> None:
    assert read_back(codec.encode(stamped(draft([math.nan, math.inf, 1]), ts=1))) == [None, None, 1]


def test_a_whole_number_of_any_size_is_kept() -> None:
    assert read_back(codec.encode(stamped(draft(10**1000), ts=1))) == 10**1000


@pytest.mark.parametrize(
    ("value", "as_json"),
    [((1, 2), [1, 2]), ({1: "a"}, {"1": "a"})],
    ids=["tuple", "numbers as keys"],
)
def test_what_python_has_and_json_has_not_becomes_what_one_expects(
    value: object, as_json: object
) -> None:
    assert read_back(codec.encode(stamped(draft(value), ts=1))) == as_json


def cyclic() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "value",
    [object(), 1 + 2j, {(1, 2): 3}, "\ud800", {"\udfff": 1}, cyclic(), codec, len],
    ids=["object", "complex", "key", "surrogate", "surrogate key", "cycle", "module", "function"],
)
def test_a_value_that_is_no_json_is_refused_and_named(value: object) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        draft(value)
    assert refusal.value.field == "message"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sid", ""),
        ("sid", "short"),
        ("sid", "a" * 129),
        ("sid", "with blanks in it, long enough"),
        ("sid", "a" * 16 + "\n"),
        ("sid", "\ud800" * 16),
        ("sid", None),
        ("sid", 1234567890123456),
        ("sid", b"0123456789abcdef"[:3]),
        ("key", "k" * 129),
        ("key", "\ud800"),
        ("key", 5),
        ("run", "r" * 65),
        ("run", "\ud800"),
        ("run", 7),
        ("final", "yes"),
        ("final", 1),
        ("stall_s", 0),
        ("stall_s", -1),
        ("stall_s", "5"),
        ("stall_s", math.inf),
        ("stall_s", math.nan),
        ("stall_s", 10**400),
        ("stall_s", True),
        ("dedupe", "d" * 65),
        ("dedupe", "\ud800"),
        ("dedupe", 5),
        ("dedupe", object()),
    ],
)
def test_a_wrong_field_is_refused_and_named(field: str, value: Any) -> None:
    fields = {"sid": SID, "key": "k"} | {field: value}
    with pytest.raises(InvalidMessage, match=f"^{field} must be ") as refusal:
        codec.new_draft(fields.pop("sid"), "v", max_message_bytes=LIMIT, **fields)
    assert (refusal.value.field, refusal.value.reason) == (field, f"bad_{field}")


def test_a_refusal_says_it_in_our_words_alone() -> None:
    """A traceback does not begin with the decoder's own."""
    with pytest.raises(InvalidMessage, match="sid must be 16 to 128 characters") as refusal:
        draft(1, sid="short")
    assert refusal.value.__cause__ is None


def test_an_empty_dedupe_is_none() -> None:
    assert draft(dedupe="").dedupe is None


@pytest.mark.parametrize("field", ["run", "stall_s"])
def test_what_goes_with_a_key_is_refused_without_one(field: str) -> None:
    with pytest.raises(InvalidMessage, match="with a key") as refusal:
        draft(**{field: {"run": "r", "stall_s": 1.0}[field]})
    assert refusal.value.field == field


@pytest.mark.parametrize("char", ["k", "键", "\U0001f600", "\x00", '"'])
def test_lengths_are_counted_in_characters(char: str) -> None:
    made = draft(key=char * 128, run=char * 64, dedupe=char * 64)
    assert (made.key, made.run, made.dedupe) == (char * 128, char * 64, char * 64)
    for field, length in (("key", 129), ("run", 65), ("dedupe", 65)):
        with pytest.raises(InvalidMessage) as refusal:
            draft(**{"key": "k", field: char * length})
        assert refusal.value.field == field


# -- sizes: of a string its UTF-8 without quotes and escapes, of anything else its JSON ---------

SIZED = {
    "letters": ("x" * LIMIT, "x" * (LIMIT + 1)),
    "quotes": ('"' * LIMIT, '"' * (LIMIT + 1)),
    "backslashes": ("\\" * LIMIT, "\\" * (LIMIT + 1)),
    "NULs": ("\x00" * LIMIT, "\x00" * (LIMIT + 1)),
    "Chinese": ("中" * (LIMIT // 3) + "x" * (LIMIT % 3), "中" * (LIMIT // 3) + "xx"),
    "emoji": ("\U0001f600" * (LIMIT // 4), "\U0001f600" * (LIMIT // 4) + "x"),
    "list": ([0] * ((LIMIT - 4) // 2) + [10], [0] * ((LIMIT - 4) // 2) + [100]),
    "object": ({"a": "x" * (LIMIT - 8)}, {"a": "x" * (LIMIT - 7)}),
}


@pytest.mark.parametrize("name", SIZED)
def test_the_bound_of_a_value_is_exact(name: str) -> None:
    largest, too_large = SIZED[name]
    draft(largest)
    with pytest.raises(InvalidMessage, match=f"larger than {LIMIT} bytes") as refusal:
        draft(too_large)
    assert (refusal.value.field, refusal.value.reason) == ("message", "too_large")


# -- nesting ------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    return json.loads(nested(levels))


def test_a_value_may_be_nested_200_levels_deep() -> None:
    draft(deep(200))
    with pytest.raises(InvalidMessage, match="nested deeper than 200") as refusal:
        draft(deep(201))
    assert refusal.value.reason == "too_deep"


@given(values, st.integers(0, 3))
def test_brackets_in_strings_are_no_nesting(value: Any, around: int) -> None:
    for _ in range(around):
        value = [value, '["{' * 200 + '\\"', {'\\["': "]"}]
    draft(value)
