"""What a message is: sids, ids, positions, and which of two messages wins."""

import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws import new_sid
from progress_ws.core import codec
from progress_ws.core.message import (
    Draft,
    Message,
    Number,
    is_plain,
    is_sid,
    parse_id,
    parse_positions,
    supersedes,
)
from tests.core.making import draft

SID_CHARS = string.ascii_letters + string.digits + "._~-"


@pytest.mark.parametrize("length", [16, 17, 127, 128])
def test_a_sid_has_16_to_128_characters(length: int) -> None:
    assert is_sid((SID_CHARS * 2)[:length])


@pytest.mark.parametrize("length", [0, 1, 15, 129, 1000])
def test_nothing_shorter_or_longer_is_a_sid(length: int) -> None:
    assert not is_sid("a" * length)


@given(st.characters(exclude_characters=SID_CHARS), st.integers(0, 16))
def test_one_character_that_needs_escaping_in_a_url_spoils_a_sid(wrong: str, place: int) -> None:
    assert not is_sid("a" * place + wrong + "a" * (16 - place))


def test_a_minted_sid_is_a_sid_of_at_least_128_random_bits_and_always_another() -> None:
    minted = {new_sid() for _ in range(1000)}
    assert len(minted) == 1000
    assert all(is_sid(sid) and len(sid) * 6 >= 128 for sid in minted)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("p-1", Number("p", 1)),
        ("a-b-2", Number("a-b", 2)),
        ("--3", Number("-", 3)),
        ("~._-4", Number("~._", 4)),
        ("p" * 64 + "-5", Number("p" * 64, 5)),
        ("p-9007199254740991", Number("p", 2**53 - 1)),
    ],
)
def test_an_id_is_split_at_its_last_hyphen(text: str, number: Number) -> None:
    assert parse_id(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "p",
        "p-",
        "-1",
        "1",
        "p-0",
        "p-01",
        "p--1 ",
        "p-1 ",
        " p-1",
        "p-+1",
        "p-1.0",
        "p-1e3",
        "p-1_000",
        "p-\u0661",  # ARABIC-INDIC DIGIT ONE: a digit to Python, not to JavaScript
        "p-²",
        "p-1\n",
        "ü-1",
        "p q-1",
        "p" * 65 + "-1",
        "p-9007199254740992",
        "p-" + "9" * 5000,
    ],
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert parse_id(text) is None


@given(st.text(SID_CHARS, min_size=1, max_size=64), st.integers(1, 2**53 - 1))
def test_every_id_that_a_publisher_makes_is_read_back(publisher: str, seq: int) -> None:
    assert parse_id(f"{publisher}-{seq}") == Number(publisher, seq)


@given(st.text())
def test_no_text_whatever_is_worse_than_no_id(text: str) -> None:
    number = parse_id(text)
    assert number is None or f"{number.publisher}-{number.seq}" == text


def test_positions_are_the_last_number_of_each_publisher() -> None:
    ids = ["a-3", "b-1", "a-12", "a-7"]
    assert parse_positions(ids, limit=4) == {"a": 12, "b": 1}


def test_no_ids_are_no_positions() -> None:
    assert parse_positions([], limit=0) == {}


def test_one_position_too_many_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"3 ids, at most 2"):
        parse_positions(["a-1", "a-2", "a-3"], limit=2)


def test_a_position_that_is_no_id_is_named() -> None:
    with pytest.raises(ValueError, match=r"'nonsense' is not an id"):
        parse_positions(["a-1", "nonsense"], limit=2)


def test_a_huge_wrong_position_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match="is not an id") as refusal:
        parse_positions(["x" * 100_000], limit=1)
    assert len(str(refusal.value)) < 200


# Of two messages with one sid and one key, the new one arrived later. A row for every case of the
# rule: without a run on both sides the newest wins; a greater run wins; within a run the final one.
SUPERSEDES = [
    # new run, old run, old final, who wins
    (None, None, False, True),
    (None, None, True, True),
    (None, "1", False, True),
    (None, "1", True, True),
    ("1", None, False, True),
    ("1", None, True, True),
    ("1", "1", False, True),
    ("1", "1", True, False),
    ("2", "1", False, True),
    ("2", "1", True, True),
    ("1", "2", False, False),
    ("1", "2", True, False),
    ("10", "9", False, False),  # bytewise: not as numbers
    ("09", "10", False, False),
    ("", "0", False, False),
    ("0", "", True, True),
    ("\U0001f600", "\uffee", False, True),  # bytewise as UTF-8: not as JavaScript's UTF-16
    ("\uffee", "\U0001f600", False, False),
]


@pytest.mark.parametrize(("new_run", "old_run", "old_final", "wins"), SUPERSEDES)
@pytest.mark.parametrize("new_final", [False, True])
def test_which_of_two_messages_wins(
    *, new_run: str | None, old_run: str | None, old_final: bool, wins: bool, new_final: bool
) -> None:
    old = draft(key="k", run=old_run, final=old_final)
    new = draft(key="k", run=new_run, final=new_final)
    assert supersedes(new, old) is wins


runs = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(runs, runs)
def test_runs_are_compared_as_utf_8_bytes(new: str, old: str) -> None:
    wins = supersedes(draft(key="k", run=new), draft(key="k", run=old, final=True))
    assert wins == (new.encode() > old.encode())


@given(st.permutations([(run, final) for run in "123" for final in (False, True)]))
def test_in_whatever_order_they_arrive_the_final_one_of_the_greatest_run_remains(
    arrivals: list[tuple[str, bool]],
) -> None:
    kept: Draft | None = None
    for run, final in arrivals:
        new = draft(key="k", run=run, final=final)
        if kept is None or supersedes(new, kept):
            kept = new
    assert kept is not None
    assert (kept.run, kept.final) == ("3", True)


def test_a_message_costs_no_garbage_collection() -> None:
    """Hundreds of thousands of them live at once, and none of them can be part of a cycle."""
    assert not Message.__struct_config__.gc
    assert not Draft.__struct_config__.gc


@given(
    st.sampled_from([SID_CHARS[:20], "s" * 15, "s" * 129, "é" * 20, 7, None]),
    st.sampled_from([None, "", "k", "k" * 128, "k" * 129, "进", "\ud800", 1]),
    st.sampled_from([None, "", "r" * 64, "r" * 65, "ü", True]),
    st.sampled_from([None, False, True, 1, "yes"]),
)
def test_what_is_plain_at_a_glance_is_right_in_every_decoders_eyes(
    sid: Any, key: Any, run: Any, final: Any
) -> None:
    made = Draft(sid, msgspec.Raw(b"1"), key, run, final)
    if is_plain(made):
        assert codec.decode_drafts(codec.encode(made), max_message_bytes=10) == [made]


def test_nearly_all_are_plain() -> None:
    assert is_plain(draft(1))
    assert is_plain(draft(1, key="report", run="0001", final=True))
