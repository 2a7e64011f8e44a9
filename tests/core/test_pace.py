"""Rates and times left: smooth, unknown until there is something to say, and never negative."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from progress_ws.core.pace import MEMORY_S, SAY_AFTER_S, Pace


def paced(*steps: tuple[float, float]) -> Pace:
    """One that has been told how much was done at which second."""
    pace = Pace(0)
    for at_s, current in steps:
        pace.sample(at_s, current)
    return pace


def test_at_first_there_is_nothing_to_say() -> None:
    assert paced().rate is None
    assert paced((SAY_AFTER_S / 2, 100)).rate is None
    assert paced((SAY_AFTER_S, 100)).rate == 100 / SAY_AFTER_S


def test_an_even_pace_is_told_as_it_is() -> None:
    pace = paced(*((n / 10, n) for n in range(1, 100)))
    assert pace.rate == pytest.approx(10)
    assert pace.left_s(199) == pytest.approx(10)


def test_it_follows_a_change_within_seconds_and_not_at_once() -> None:
    steps = [(n / 10, 10.0 * n) for n in range(1, 101)]
    steps += [(10 + n / 10, 1000 + n / 10) for n in range(1, 21)]
    assert 10 < (paced(*steps).rate or 0) < 90
    steps += [(12 + n / 10, 1002 + n / 10) for n in range(1, int(8 * MEMORY_S * 10))]
    assert paced(*steps).rate == pytest.approx(1, rel=0.1)


def test_what_stands_still_gets_slower() -> None:
    pace = paced((1, 100), (2, 200))
    before = pace.left_s(1000) or 0
    pace.sample(10, 200)
    assert (pace.left_s(1000) or 0) > before


def test_what_has_been_done_before_counts_for_no_speed() -> None:
    pace = Pace(0, 1000)
    pace.sample(2, 1010)
    assert pace.rate == 5


def test_what_goes_back_begins_anew() -> None:
    pace = paced((2, 1000), (3, 0))
    assert pace.rate is None
    pace.sample(5, 10)
    assert pace.rate == 5


def test_without_a_total_nobody_knows_what_is_left() -> None:
    assert paced((2, 10)).left_s(None) is None


def test_more_than_there_is_leaves_nothing() -> None:
    assert paced((2, 10)).left_s(5) == 0


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e12, 1e12))), st.none() | st.floats(-1e9, 1e9)
)
@example([(0.0, -1.0), (2.2e-309, 0.0), (1.0, 0.0)], None)
def test_nothing_is_ever_below_zero(steps: list[tuple[float, float]], total: float | None) -> None:
    pace = paced(*steps)
    assert pace.rate is None or pace.rate > 0
    left_s = pace.left_s(total)
    assert left_s is None or left_s >= 0
