"""Summaries in bounded memory: exact while small, near when large, never growing."""

import statistics
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.demo.sketch import Distinct, Estimate, Moments, Reservoir, TopValues

Groups = list[list[str]]


@given(st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=20))
def test_few_distinct_values_are_counted_exactly(groups: Groups) -> None:
    distinct = Distinct(1000)
    for group in groups:
        distinct.add(group)
    total = sum(map(len, groups))
    values = {value for group in groups for value in group}
    assert distinct.count(at_most=total) == Estimate(len(values), exact=True)


def test_many_distinct_values_are_estimated() -> None:
    distinct = Distinct(1024)
    for start in range(0, 200_000, 1000):
        distinct.add(str(number) for number in range(start, start + 1000))
        distinct.add(str(number) for number in range(1000))  # again and again
    count = distinct.count(at_most=10**9)
    assert not count.exact
    # Six times the standard error of 1/√1022; hashes differ from run to run.
    assert count.value == pytest.approx(200_000, rel=6 / 1022**0.5)


def test_an_estimate_is_not_above_the_number_of_values() -> None:
    distinct = Distinct(16)
    distinct.add(map(str, range(1000)))
    assert distinct.count(at_most=10).value == 10


def test_exactly_as_many_values_as_fit_are_still_counted_exactly() -> None:
    distinct = Distinct(100)
    distinct.add(map(str, range(100)))
    assert distinct.count(at_most=100) == Estimate(100, exact=True)
    distinct.add(["one more"])
    assert not distinct.count(at_most=101).exact


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=30), max_size=10))
def test_few_numbers_are_all_in_the_reservoir(groups: list[list[float]]) -> None:
    reservoir = Reservoir(300, Random(1))
    for group in groups:
        reservoir.add(group)
    assert reservoir.complete
    assert reservoir.sorted() == sorted(number for group in groups for number in group)


@pytest.mark.parametrize("group", [1, 7, 64, 5000])
def test_every_number_has_the_same_chance_to_be_drawn(group: int) -> None:
    capacity, numbers, rounds = 10, 100, 2000
    drawn: Counter[float] = Counter()
    for seed in range(rounds):
        reservoir = Reservoir(capacity, Random(seed))
        for start in range(0, numbers, group):
            reservoir.add([float(n) for n in range(start, min(numbers, start + group))])
        assert not reservoir.complete
        drawn.update(reservoir.sorted())
    expected = rounds * capacity / numbers
    chi_square = sum((drawn[n] - expected) ** 2 / expected for n in range(numbers))
    # 99 degrees of freedom: above 170 once in 100,000 fair draws; the seeds are fixed anyway.
    assert chi_square < 170


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=40), max_size=20))
def test_few_values_are_ranked_exactly(groups: Groups) -> None:
    top = TopValues(10)
    for group in groups:
        top.add(Counter(group))
    counts = Counter(value for group in groups for value in group)
    assert top.missed == 0
    assert dict(top.most_common(6)) == dict(counts)


def test_frequent_values_survive_a_flood_of_rare_ones() -> None:
    top = TopValues(20)
    for start in range(0, 50_000, 100):
        top.add(Counter({f"rare {number}": 1 for number in range(start, start + 100)}))
        top.add(Counter({"often": 10, "at times": 8}))
    (first, often), (second, at_times) = top.most_common(5)
    assert (first, second) == ("often", "at times")
    assert 5000 - top.missed <= often <= 5000
    assert 4000 - top.missed <= at_times <= 4000
    assert top.missed < 59_000 / 20


@given(st.lists(st.lists(st.floats(-1e6, 1e6) | st.integers(-(10**9), 10**9)), min_size=1))
def test_moments_agree_with_the_statistics_module(groups: list[list[float]]) -> None:
    moments = Moments()
    for group in groups:
        moments.add(group)
    numbers = [number for group in groups for number in group]
    assert moments.count == len(numbers)
    if numbers:
        assert (moments.low, moments.high) == (min(numbers), max(numbers))
        assert moments.mean == pytest.approx(statistics.fmean(numbers), rel=1e-9, abs=1e-3)
        spread = statistics.pstdev(map(float, numbers))
        assert moments.deviation == pytest.approx(spread, rel=1e-6, abs=1e-3)
