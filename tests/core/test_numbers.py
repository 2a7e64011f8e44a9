"""Which numbers of which publishers have been received."""

from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.message import Number
from progress_ws.core.numbers import Numbers


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
