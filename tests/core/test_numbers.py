"""Which numbers of which publishers have been received."""

from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.message import Number
from progress_ws.core.numbers import (
    MARK_EVERY_S,
    SILENT_AFTER_S,
    SILENT_MAX,
    SILENT_UNTIL_S,
    SPAN_S,
    Numbers,
)


def test_rising_numbers_are_news() -> None:
    numbers = Numbers()
    assert all(numbers.receive(Number("p", n), arrived_s=0) for n in (1, 2, 3, 10, 2**53 - 1))


def test_what_came_before_is_a_repetition() -> None:
    numbers = Numbers()
    assert [numbers.receive(Number("p", n), arrived_s=0) for n in (1, 2, 1, 2, 3)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_publishers_have_numbers_of_their_own() -> None:
    numbers = Numbers()
    assert numbers.receive(Number("p", 5), arrived_s=0)
    assert numbers.receive(Number("q", 5), arrived_s=0)
    assert not numbers.receive(Number("p", 5), arrived_s=0)


def test_a_publisher_may_be_met_in_the_middle() -> None:
    assert Numbers().receive(Number("p", 1000), arrived_s=0)


def test_of_too_many_publishers_the_one_silent_longest_is_forgotten() -> None:
    numbers = Numbers(max_publishers=2)
    numbers.receive(Number("old", 1), arrived_s=0)
    numbers.receive(Number("silent", 1), arrived_s=0)
    numbers.receive(Number("old", 2), arrived_s=0)
    numbers.receive(Number("new", 1), arrived_s=0)
    assert not numbers.receive(Number("old", 2), arrived_s=0)
    assert not numbers.receive(Number("new", 1), arrived_s=0)
    assert numbers.receive(Number("silent", 1), arrived_s=0)


@given(st.lists(st.builds(Number, st.sampled_from("pq"), st.integers(1, 6))))
def test_each_publisher_is_heard_in_its_own_order_and_nothing_twice(arrivals: list[Number]) -> None:
    numbers = Numbers()
    heard = [number for number in arrivals if numbers.receive(number, arrived_s=0)]
    for publisher in "pq":
        own = [number.seq for number in heard if number.publisher == publisher]
        assert own == sorted(set(own))


# -- since when -----------------------------------------------------------------------------------


def test_of_a_stranger_it_is_not_known_when_a_number_came() -> None:
    assert Numbers().arrived_s("p", 1) is None


def test_of_what_came_before_the_first_that_is_known_neither() -> None:
    numbers = Numbers()
    numbers.receive(Number("p", 10), arrived_s=5)
    assert numbers.arrived_s("p", 9) is None
    assert numbers.arrived_s("p", 10) == 5


def test_of_what_has_not_come_yet_it_is_the_last_that_is_known() -> None:
    numbers = Numbers()
    numbers.receive(Number("p", 1), arrived_s=5)
    numbers.receive(Number("p", 2), arrived_s=50)
    assert numbers.arrived_s("p", 100) == 50


@given(st.lists(st.floats(0, 40), min_size=1, max_size=60), st.sampled_from([60.0, 3600.0]))
def test_the_time_is_never_later_than_it_was_and_not_much_earlier(
    pauses: list[float], span_s: float
) -> None:
    numbers = Numbers(span_s=span_s)
    came: list[float] = []
    for seq, pause_s in enumerate(pauses, 1):
        came.append((came[-1] if came else 0.0) + pause_s)
        numbers.receive(Number("p", seq), arrived_s=came[-1])
    for seq, at_s in enumerate(came, 1):
        known_s = numbers.arrived_s("p", seq)
        if known_s is not None:
            assert at_s - max(MARK_EVERY_S, span_s / 31) <= known_s <= at_s
        else:
            assert came[-1] - at_s > min(span_s, SPAN_S)


def test_for_the_span_it_is_known_however_busy_a_publisher_is() -> None:
    numbers = Numbers(span_s=3600)
    for seq in range(1, 4001):
        numbers.receive(Number("p", seq), arrived_s=seq)
    assert numbers.arrived_s("p", 401) is not None


def test_the_name_of_a_publisher_is_kept_once() -> None:
    numbers = Numbers()
    numbers.receive(Number("publ" + str(1), 1), arrived_s=0)
    first, second = (numbers.known(Number("publ" + str(1), seq)) for seq in (1, 2))
    assert (first, second) == (Number("publ1", 1), Number("publ1", 2))
    assert first.publisher is second.publisher


# -- silence --------------------------------------------------------------------------------------


def test_who_fell_silent_a_moment_ago_is_named_with_the_last_number() -> None:
    numbers = Numbers()
    numbers.receive(Number("long ago", 1), arrived_s=0)
    numbers.receive(Number("silent", 6), arrived_s=10)
    numbers.receive(Number("silent", 7), arrived_s=10)
    now_s = 10 + SILENT_AFTER_S + 0.5
    numbers.receive(Number("speaking", 3), arrived_s=now_s)
    assert numbers.fallen_silent(now_s) == [Number("silent", 7)]
    assert numbers.fallen_silent(now_s + SILENT_UNTIL_S + 1) == []


def test_no_more_are_named_than_a_heartbeat_should_carry() -> None:
    numbers = Numbers()
    for n in range(SILENT_MAX + 50):
        numbers.receive(Number(f"p{n}", 1), arrived_s=0)
    assert len(numbers.fallen_silent(SILENT_AFTER_S + 1)) == SILENT_MAX
