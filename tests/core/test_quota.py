"""How often something may happen."""

from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.quota import FrameQuota, OncePer


def test_within_a_window_only_so_many_pass() -> None:
    quota = FrameQuota(limit=3, window_s=10)
    assert [quota.spend(t) for t in (0, 1, 2, 3, 9.9)] == [True, True, True, False, False]


def test_the_window_slides() -> None:
    quota = FrameQuota(limit=3, window_s=10)
    for t in (0, 5, 9):
        quota.spend(t)
    assert [quota.spend(t) for t in (9.9, 10, 10.1, 15)] == [False, True, False, True]


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_no_window_ever_holds_more_than_the_limit_and_nothing_less_is_held_back(
    pauses: list[int], limit: int, window: int
) -> None:
    quota, passed, now = FrameQuota(limit=limit, window_s=window), [], 0
    for pause in pauses:
        now += pause
        recent = [t for t in passed if now - t < window]
        assert quota.spend(now) == (len(recent) < limit)
        if len(recent) < limit:
            passed.append(now)


def test_of_each_kind_one_is_let_through_per_interval() -> None:
    once = OncePer(60)
    assert [once.admit("a", t) for t in (0, 1, 59.9)] == [0, None, None]
    assert once.admit("b", 30) == 0


def test_the_next_one_tells_how_many_were_held_back() -> None:
    once = OncePer(60)
    for t in range(5):
        once.admit("a", t)
    assert [once.admit("a", t) for t in (60, 61, 120)] == [4, None, 1]


def test_after_a_quiet_time_nothing_was_held_back() -> None:
    once = OncePer(60)
    assert [once.admit("a", t) for t in (0, 100, 200)] == [0, 0, 0]
