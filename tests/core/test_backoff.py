"""How long to wait before the next attempt."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.backoff import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(first_s=0.1, cap_s=1.0, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_success_starts_it_over() -> None:
    backoff = Backoff(first_s=0.1, cap_s=1.0, draw=lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert [backoff.next_s() for _ in range(2)] == [0.1, 0.2]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_every_delay_is_drawn_anew_between_nothing_and_the_bound(draws: list[float]) -> None:
    rest = iter(draws)
    backoff = Backoff(first_s=0.1, cap_s=1.0, draw=lambda: next(rest))
    for n, draw in enumerate(draws):
        assert backoff.next_s() == draw * min(1.0, 0.1 * 2**n)


def test_unless_told_otherwise_two_of_them_do_not_wait_alike() -> None:
    """The crowd that comes back after a broker restart is spread over the whole time."""
    delays = [Backoff(first_s=1.0, cap_s=1.0).next_s() for _ in range(2000)]
    assert 0 <= min(delays) < 0.05
    assert 0.95 < max(delays) < 1
    assert 0.45 < statistics.mean(delays) < 0.55
