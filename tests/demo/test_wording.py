"""Numbers as people write them."""

import pytest

from progress_ws.demo import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (1.0, "1"),
        (3.14159, "3.14"),
        (12345.678, "12,346"),
        (0.00012345, "0.0001"),
        (1.5e-7, "1.5e-07"),
        (-2.5e20, "-2.5e+20"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (0, 0, "0 %"),
        (1, 10_000, "< 0.1 %"),
        (9_999, 10_000, "> 99.9 %"),
        (10, 10, "100 %"),
        (1, 3, "33 %"),
        (1, 30, "3.3 %"),
        (997, 1000, "99.7 %"),
    ],
)
def test_a_share_is_nothing_or_all_only_if_it_is(part: int, whole: int, text: str) -> None:
    assert wording.share(part, whole) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456_789, "123 MB"), (5e12, "5.0 TB")],
)
def test_sizes_have_a_unit_that_fits(count: int, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (7322, "2 h 2 min")],
)
def test_spans_of_time_have_units_that_fit(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_an_estimate_is_not_more_exact_than_it_can_be() -> None:
    assert wording.rounded(294_580) == "295,000"
    assert wording.rounded(77) == "77"
