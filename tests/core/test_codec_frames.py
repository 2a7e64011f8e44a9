"""What browsers get: the frames of both formats."""

import json
from typing import Any

import msgspec
import pytest

from progress_ws.core import codec
from tests.core.making import SID, message


def test_a_message_frame_carries_what_applies_and_nothing_else() -> None:
    frame = json.loads(codec.message_frame(message({"rows": 1}, id="p-1", ts=2.5)))
    assert frame == {
        "type": "message",
        "sid": SID,
        "message": {"rows": 1},
        "id": "p-1",
        "ts": 2.5,
    }


def test_a_message_frame_carries_key_run_and_final() -> None:
    frame = json.loads(codec.message_frame(message(1, key="k", run="r", final=True)))
    assert frame == {
        "type": "message",
        "sid": SID,
        "message": 1,
        "key": "k",
        "run": "r",
        "final": True,
    }


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_an_empty_value_is_a_value(value: Any) -> None:
    assert json.loads(codec.message_frame(message(value)))["message"] == value


def test_a_browser_is_not_told_what_concerns_nodes_only() -> None:
    """How long a publisher may be silent, and under which name it repeats itself."""
    frame = json.loads(codec.message_frame(message(1, key="k", stall_s=1.0, dedupe="d")))
    assert frame.keys() == {"type", "sid", "message", "key"}


def test_the_json_text_of_a_value_is_not_rebuilt() -> None:
    """Whole numbers beyond 2^53, 1.0 and the order of members stay as the publisher wrote them."""
    text = b'{"b": 1.0, "a": 123456789012345678901234567890, "b": 1e2}'
    made = message()
    made.message = msgspec.Raw(text)
    assert text in codec.message_frame(made)
    assert codec.message_text(made) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("50 %", "50 %"),
        ("", ""),
        ('"quoted"', '"quoted"'),
        ("进度\n\x00", "进度\n\x00"),
        (None, "null"),
        (True, "true"),
        (12, "12"),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
    ],
)
def test_the_articles_wire_has_strings_bare_and_the_rest_as_json(value: Any, text: str) -> None:
    assert codec.message_text(message(value)).decode() == text


def test_any_other_frame_leaves_out_what_is_none_and_keeps_what_is_false() -> None:
    frame = json.loads(codec.frame("welcome", sid=None, node="a", recovered=False, ping_s=0))
    assert frame == {"type": "welcome", "node": "a", "recovered": False, "ping_s": 0}


def test_a_message_is_shown_on_one_line() -> None:
    line = codec.one_line(b'{ "message": "a\\nb",\n\t"list": [ 1,\r\n 2 ] }')
    assert line == '{"message":"a\\nb","list":[1,2]}'
