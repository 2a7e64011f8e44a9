"""JSON taken apart by its brackets: as a decoder does it where that can, and further where not."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.apart import fields, parts
from tests.core.making import nested, values

STYLES: list[dict[str, Any]] = [
    {},
    {"ensure_ascii": False},
    {"separators": (",", ":")},
    {"indent": "\t"},
]
BODY_BYTES = 1024 * 1024

styles = st.sampled_from(STYLES)
blanks = st.text(" \t\r\n", max_size=3).map(str.encode)


@given(st.lists(values, max_size=4), styles, blanks)
def test_the_parts_of_an_array_are_those_that_a_decoder_finds(
    array: list[Any], style: dict[str, Any], around: bytes
) -> None:
    text = around + json.dumps(array, **style).encode() + around
    assert parts(text) == [bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]


@given(st.dictionaries(st.text("aé:,", max_size=3), values, max_size=4), styles, blanks)
def test_the_fields_of_an_object_likewise(
    value: dict[str, Any], style: dict[str, Any], around: bytes
) -> None:
    text = around + json.dumps(value, **{**style, "ensure_ascii": False}).encode() + around
    raws = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    assert fields(text) == {name: bytes(raw) for name, raw in raws.items()}


@given(st.text('[]{},:"\\ 1a\n', max_size=20).map(str.encode))
def test_whatever_a_decoder_can_take_apart_gives_the_same(inside: bytes) -> None:
    for text in (inside, b"[" + inside + b"]"):
        try:
            raws = msgspec.json.decode(text, type=list[msgspec.Raw])
        except msgspec.DecodeError:
            parts(text)
        else:
            assert parts(text) == [bytes(raw) for raw in raws]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'["\\ud800",1e400]', [b'"\\ud800"', b"1e400"]),
        (b'[{"a":1.10,"a":2},"\xff"]', [b'{"a":1.10,"a":2}', b'"\xff"']),
        (b'["],[",nul,"\\"]"]', [b'"],["', b"nul", b'"\\"]"']),
        (b"[%b,1]" % nested(5000).encode(), [nested(5000).encode(), b"1"]),
        (b"[[1]2,3]", [b"[1]2", b"3"]),
    ],
    ids=["surrogate", "repeated field", "strings", "deep", "two in one"],
)
def test_what_is_wrong_with_one_part_is_no_matter_of_the_others(
    text: bytes, found: list[bytes]
) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"]",
        b"1,2",
        b"[1,,2]",
        b"[1,]",
        b"[,1]",
        b"[ ,]",
        b"[1}",
        b"[[1]",
        b"[1]]",
        b"[1],[2]",
        b"[1]x",
        b"\xef\xbb\xbf[1]",
        b"[1]\x00",
        b'[{"a":"b]',
    ],
)
def test_what_has_no_parts(text: bytes) -> None:
    assert parts(text) is None


@pytest.mark.parametrize(
    "text", [b"", b"1", b"[1]", b"{}", b"{1:2}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1']
)
def test_what_has_no_fields(text: bytes) -> None:
    assert fields(text) == {}


@pytest.mark.parametrize(
    "unit", [b"[", b"{", b"[]", b'\\"', b'"\\"', b'[{"', b" ", b"1,", b'"",', b"\\"]
)
def test_it_takes_a_time_that_grows_with_the_text_and_not_with_its_square(unit: bytes) -> None:
    """A text that is looked through again from every quote in it would take minutes."""
    filling = unit * (BODY_BYTES // len(unit))
    began_s = time.process_time()
    parts(b"[[" + filling + b"]]")
    parts(b'["' + filling + b"]")
    fields(b'{"a":[' + filling + b"]}")
    assert time.process_time() - began_s < 10
