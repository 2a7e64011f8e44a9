"""What a browser may say, and close codes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from progress_ws.core.frames import Cancel, CloseCode, Follow, Ping, Unfollow, pack, parse_frame
from progress_ws.errors import ProtocolError
from tests.core.making import SID, nested, values

WRONG_SIDS = [None, 1, True, [], {}, "", "short", "a" * 129, "with blanks in it 1", SID + "\n"]


def frame(**fields: Any) -> str:
    return json.dumps(fields)


def refusal(text: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as refused:
        parse_frame(text)
    return refused.value


def test_a_ping() -> None:
    assert parse_frame(frame(type="ping")) == Ping()


def test_a_follow_without_a_position() -> None:
    assert parse_frame(frame(type="follow", sid=SID)) == Follow(SID, None)
    assert parse_frame(frame(type="follow", sid=SID, after=None)) == Follow(SID, None)


def test_a_follow_with_positions() -> None:
    text = frame(type="follow", sid=SID, after=["a-1", "b-2", "a-3"])
    assert parse_frame(text) == Follow(SID, {"a": 3, "b": 2})


def test_a_follow_from_the_beginning_is_not_one_without_a_position() -> None:
    """It was asked for something: it gets an answer about it."""
    assert parse_frame(frame(type="follow", sid=SID, after=[])) == Follow(SID, {})


def test_an_unfollow() -> None:
    assert parse_frame(frame(type="unfollow", sid=SID)) == Unfollow(SID)


@pytest.mark.parametrize("kind", ["", "welcome", "message", "FOLLOW", "of a later version"])
def test_unknown_types_are_ignored(kind: str) -> None:
    assert parse_frame(frame(type=kind, sid=5)) is None


def test_unknown_fields_are_ignored() -> None:
    text = frame(type="unfollow", sid=SID, after="not mine", colour=[1])
    assert parse_frame(text) == Unfollow(SID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ping",
        "null",
        "1",
        '"ping"',
        "[]",
        "{}",
        '{"type":null}',
        '{"type":1}',
        '{"type":["ping"]}',
        '{"type":"ping"',
        '{"type":"ping"}}',
        '{"type":"ping","x":NaN}',
        '{"type":"\\ud800"}',
        '{"type":"follow","sid":"\\ud800"}',
        "\x00",
        "\ufeff" + '{"type":"ping"}',
    ],
)
def test_what_is_no_frame_is_called_so(text: str) -> None:
    assert refusal(text).code == "bad_frame"


@pytest.mark.parametrize("sid", WRONG_SIDS)
@pytest.mark.parametrize("kind", ["follow", "unfollow", "cancel"])
def test_a_wrong_sid_is_called_so(kind: str, sid: Any) -> None:
    assert refusal(frame(type=kind, sid=sid, after=["wrong too"])).code == "bad_sid"


@pytest.mark.parametrize("kind", ["follow", "unfollow", "cancel"])
def test_a_missing_sid_is_called_so(kind: str) -> None:
    assert refusal(frame(type=kind)).code == "bad_sid"


def test_a_wrong_sid_is_told_so_that_the_page_knows_which() -> None:
    assert refusal(frame(type="follow", sid="short")).sid == "short"
    assert len(refusal(frame(type="follow", sid="x" * 10_000)).sid or "") <= 128


@pytest.mark.parametrize(
    "after",
    ["a-1", 1, {}, True, [1], [None], [["a-1"]], ["a"], ["a-0"], ["a-1", ""], ["a-1"] * 1025],
)
def test_a_wrong_position_is_called_so_and_its_session_named(after: Any) -> None:
    refused = refusal(frame(type="follow", sid=SID, after=after))
    assert (refused.code, refused.sid) == ("bad_after", SID)


def test_a_follow_has_at_most_1024_positions() -> None:
    ids = [f"publisher{n}-1" for n in range(1024)]
    parsed = parse_frame(frame(type="follow", sid=SID, after=ids))
    assert isinstance(parsed, Follow)
    assert len(parsed.after or ()) == 1024


def test_a_cancel_names_a_session_and_a_key() -> None:
    assert parse_frame(frame(type="cancel", sid=SID, key="report")) == Cancel(SID, "report")
    assert parse_frame(frame(type="cancel", sid=SID, key="k" * 128)) == Cancel(SID, "k" * 128)


@pytest.mark.parametrize("key", [None, 1, ["k"], {}, "k" * 129])
def test_a_wrong_key_is_called_so_and_its_session_named(key: Any) -> None:
    refused = refusal(frame(type="cancel", sid=SID, key=key))
    assert (refused.code, refused.sid) == ("bad_frame", SID)
    assert refusal(frame(type="cancel", sid=SID)).code == "bad_frame"


def safely(text: str) -> None:
    with suppress(ProtocolError):
        parse_frame(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text(text: str) -> None:
    safely(text)


members = st.dictionaries(
    st.sampled_from(["type", "sid", "after", "key", "x"]),
    values | st.sampled_from(["ping", "follow", "unfollow", "cancel", SID, "p-1"]),
)


@given(members)
def test_any_values_in_the_right_fields(fields: dict[str, Any]) -> None:
    safely(json.dumps(fields))


@given(members, st.integers(0, 100), st.integers(0, 3), st.text('\\"{}[],:u0d8 \n', max_size=4))
def test_a_good_frame_with_something_else_inside(
    fields: dict[str, Any], place: int, length: int, new: str
) -> None:
    text = json.dumps({"type": "follow", "sid": SID, "after": ["p-1"], **fields})
    safely(text[:place] + new + text[place + length :])


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("levels", [1, 500, *range(850, 1050), 8000])
@pytest.mark.parametrize("name", ["x", "after", "sid"])
def test_nesting_breaks_nothing(name: str, levels: int) -> None:
    """The stack that is left differs from place to place: a frame may pass one and not the next."""
    safely(f'{{"type":"follow","sid":"{SID}","{name}":{nested(levels)}}}')


def test_close_codes_mean_come_back_below_4400_and_do_not_from_there() -> None:
    assert {code for code in CloseCode if code >= 4400} == {CloseCode.BAD_QUERY}
    assert {int(code) for code in CloseCode} == {1011, 1012, 1013, 4001, 4290, 4400}


# -- what a WebSocket carries -------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_packed_frame_is_what_an_independent_library_makes(size: int) -> None:
    made = Frame(Opcode.TEXT, b"x" * size).serialize(mask=False, extensions=[])
    assert pack(b"x" * size) == made
