"""What is held back behind holes: how much, how long, and what comes out."""

from collections.abc import Iterator
from math import inf

import pytest

from progress_ws.core import holes as room
from progress_ws.core.holes import GRACE_S, HELD_OVERHEAD_BYTES, HOLD_BYTES, HOLD_S, Holes
from progress_ws.core.message import Number, Numbered
from tests.core.making import message


def item(seq: int, value: object = 1, *, publisher: str = "p") -> Numbered:
    return Numbered(Number(publisher, seq), message(value, id=f"{publisher}-{seq}"))


def held(holes: Holes, publisher: str = "p") -> list[int]:
    hole = holes.get(publisher)
    return [] if hole is None else sorted(hole.held)


@pytest.fixture
def holes() -> Holes:
    return Holes()


@pytest.fixture
def _room_for_one_byte(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(room, "HOLD_BYTES", 2 * HELD_OVERHEAD_BYTES + 1)
    yield


def test_it_is_open_as_far_as_a_number_is_known(holes: Holes) -> None:
    holes.hold(item(5), 0.0)
    holes.hold(item(3), 1.0)
    holes.expect(Number("p", 9), 2.0)
    assert ("p" in holes, holes.publishers(), holes.upto("p")) == (True, ["p"], 9)
    assert (holes.upto("q"), holes.get("q")) == (0, None)


def test_it_is_open_since_it_was_noticed_first(holes: Holes) -> None:
    assert (holes.opened_s(), holes.oldest_s(7.0)) == (inf, 0.0)
    holes.hold(item(5), 1.0)
    holes.hold(item(6), 3.0)
    holes.expect(Number("q", 1), 4.0)
    assert (holes.opened_s(), holes.oldest_s(7.0)) == (1.0, 6.0)


def test_what_is_held_is_taken_out_once(holes: Holes) -> None:
    holes.hold(item(3), 0.0)
    holes.hold(item(3), 0.0)
    assert holes.take(Number("p", 3)) == item(3)
    assert holes.take(Number("p", 3)) is None
    assert holes.take(Number("q", 3)) is None
    assert "p" in holes


def test_what_is_let_go_comes_in_order_and_what_is_skipped_is_noted(holes: Holes) -> None:
    for seq in (8, 4, 5, 3):
        holes.hold(item(seq), 0.0)
    assert [freed.number.seq for freed in holes.let_go("p", 1)] == [3, 4, 5, 8]
    hole = holes.get("p")
    assert hole is not None
    assert hole.skipped == [(2, 2), (6, 7)]
    assert [seq for seq in range(1, 10) if hole.has_skipped(seq)] == [2, 6, 7]
    assert (held(holes), "p" in holes) == ([], True)


def test_what_waits_is_overdue_after_a_time(holes: Holes) -> None:
    holes.hold(item(3), 0.0)
    holes.hold(item(3, publisher="q"), 1.0)
    holes.expect(Number("r", 3), 0.0)  # nothing waits there
    assert holes.overdue(HOLD_S - 0.1) == []
    assert holes.overdue(HOLD_S) == ["p"]
    assert holes.overdue(HOLD_S + 1) == ["p", "q"]


def test_of_too_many_bytes_all_are_overdue_at_once(holes: Holes) -> None:
    size = 60_000
    count = HOLD_BYTES // size
    for seq in range(2, count + 2):
        holes.hold(item(seq, "x" * size, publisher=f"p{seq % 3}"), 0.0)
    assert sorted(holes.overdue(0.0)) == ["p0", "p1", "p2"]


@pytest.mark.usefixtures("_room_for_one_byte")
@pytest.mark.parametrize("how", ["take", "let_go", "close"])
def test_what_has_gone_counts_no_more(holes: Holes, how: str) -> None:
    for seq in (3, 4):
        holes.hold(item(seq), 0.0)
        holes.hold(item(seq), 0.0)
    assert holes.overdue(0.0) == ["p"]
    if how == "take":
        holes.take(Number("p", 3))
    elif how == "let_go":
        holes.let_go("p", 1)
    else:
        holes.close("p")
    holes.hold(item(3, 12, publisher="q"), 0.0)
    assert holes.overdue(0.0) == (["p", "q"] if how == "take" else [])


def test_one_that_was_only_heard_of_is_due_after_a_moment(holes: Holes) -> None:
    holes.expect(Number("p", 3), 0.0)
    assert holes.due(GRACE_S - 0.1) == []
    assert holes.due(GRACE_S) == ["p"]
    holes.hold(item(3, publisher="q"), GRACE_S)
    assert holes.due(GRACE_S) == ["p", "q"]


def test_there_is_a_bound_to_how_many_are_watched(
    holes: Holes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "HOLES_MAX", 2)
    holes.expect(Number("p", 3), 0.0)
    assert not holes.full
    holes.expect(Number("q", 3), 0.0)
    assert (holes.full, len(holes)) == (True, 2)
    holes.close("p")
    assert not holes.full
