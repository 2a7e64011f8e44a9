"""What is known of one column after all of its cells went by, in bounded memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from random import Random
from typing import NamedTuple

from progress_ws.demo.cells import CellReader, Kind, day_comes_first
from progress_ws.demo.sketch import Distinct, Estimate, Moments, Reservoir, TopValues

MOSTLY = 0.95
"""The share of its values that gives a column its kind; the rest are counted as odd."""

BINS = 24
TOP_VALUES = 8
LONGEST_SHOWN = 80
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Bin(NamedTuple):
    """A bar of a histogram: numbers from low up to high, and the share of all that lie there."""

    low: float
    high: float
    share: float


@dataclass(frozen=True, kw_only=True)
class NumberProfile:
    """How numbers, or dates as Unix seconds, are spread.

    Attributes:
        quantiles: at the points of QUANTILES.
        exact: whether quantiles and bins come from all values, not from a random sample.
    """

    low: float
    high: float
    mean: float
    deviation: float
    quantiles: tuple[float, ...]
    bins: tuple[Bin, ...]
    exact: bool


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """The profile of one column.

    Attributes:
        kind: of nearly all of its values; MISSING if it has none.
        cells: how many cells it has, with the missing ones.
        odd: values that are not of that kind.
        numbers: for numbers and dates only.
        whole_days: no date of the column has a time of day.
        lengths: characters of the shortest and longest value, and the mean.
        top: the most frequent values; a count may be too low by up to `top_missed`.
    """

    name: str
    kind: Kind
    cells: int
    missing: int
    odd: int
    distinct: Estimate
    numbers: NumberProfile | None
    whole_days: bool
    lengths: tuple[int, int, float]
    top: tuple[tuple[str, int], ...]
    top_missed: int


class Column:
    """Takes in the cells of a column, group by group.

    Args:
        capacity: how many hashes, sampled numbers and counters it may keep.
        decimal_comma: see CellReader.
        random: draws the sample.
    """

    def __init__(self, *, capacity: int, decimal_comma: bool, random: Random) -> None:
        self._decimal_comma = decimal_comma
        self._reader: CellReader | None = None
        self._kinds: Counter[Kind] = Counter()
        self._distinct = Distinct(capacity)
        self._top = TopValues(max(64, capacity // 16))
        self._lengths = Moments()
        self._numbers = _Spread(capacity, random)
        self._dates = _Spread(capacity, random)
        self._whole_days = True

    def add(self, cells: Sequence[str]) -> None:
        """Take in cells; how dates with slashes are read is settled by the first group."""
        if self._reader is None:
            self._reader = CellReader(
                decimal_comma=self._decimal_comma, day_first=day_comes_first(list(cells))
            )
        counts = Counter(cells)
        numbers: list[tuple[float, int]] = []
        dates: list[tuple[float, int]] = []
        for cell, count in list(counts.items()):
            kind, number = self._reader.read(cell)
            self._kinds[kind] += count
            if kind is Kind.INTEGER or kind is Kind.DECIMAL:
                numbers.append((number, count))
            elif kind is Kind.DATE:
                dates.append((number, count))
            elif kind is Kind.MISSING:
                del counts[cell]
        self._numbers.add(_repeated(numbers))
        self._dates.add(_repeated(dates))
        self._whole_days = self._whole_days and all(number % 86400 == 0 for number, _ in dates)
        self._add_values(counts)

    def _add_values(self, counts: Counter[str]) -> None:
        self._distinct.add(counts)
        self._lengths.add(_repeated([(len(value), count) for value, count in counts.items()]))
        shown: Counter[str] = Counter()
        for value, count in counts.items():
            shown[value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"] += count
        self._top.add(shown)

    def profile(self, name: str) -> ColumnProfile:
        """Sum up."""
        cells = self._kinds.total()
        missing = self._kinds[Kind.MISSING]
        kind, alike = self._settle(cells - missing)
        spread = {
            Kind.INTEGER: self._numbers,
            Kind.DECIMAL: self._numbers,
            Kind.DATE: self._dates,
        }.get(kind)
        lengths = self._lengths
        return ColumnProfile(
            name=name,
            kind=kind,
            cells=cells,
            missing=missing,
            odd=cells - missing - alike,
            distinct=self._distinct.count(at_most=cells - missing),
            numbers=spread.profile(whole=kind is Kind.INTEGER) if spread else None,
            whole_days=self._whole_days,
            lengths=(int(lengths.low), int(lengths.high), lengths.mean)
            if lengths.count
            else (0, 0, 0.0),
            top=tuple(self._top.most_common(TOP_VALUES)),
            top_missed=self._top.missed,
        )

    def _settle(self, present: int) -> tuple[Kind, int]:
        """Return the column's kind, and how many of its values are of it."""
        if present == 0:
            return Kind.MISSING, 0
        integers, decimals = self._kinds[Kind.INTEGER], self._kinds[Kind.DECIMAL]
        numbers = integers + decimals
        enough = MOSTLY * present
        if numbers >= enough:
            # One "3.5" among a thousand integers is enough to make them decimals, an odd one.
            return (Kind.DECIMAL if decimals else Kind.INTEGER), numbers
        for kind in (Kind.DATE, Kind.BOOLEAN):
            if self._kinds[kind] >= enough:
                return kind, self._kinds[kind]
        return Kind.TEXT, present


class _Spread:
    def __init__(self, capacity: int, random: Random) -> None:
        self._moments = Moments()
        self._reservoir = Reservoir(capacity, random)

    def add(self, numbers: list[float]) -> None:
        self._moments.add(numbers)
        self._reservoir.add(numbers)

    def profile(self, *, whole: bool) -> NumberProfile:
        sample = self._reservoir.sorted()
        moments = self._moments
        return NumberProfile(
            low=moments.low,
            high=moments.high,
            mean=moments.mean,
            deviation=moments.deviation,
            quantiles=tuple(quantile(sample, point) for point in QUANTILES),
            bins=histogram(sample, low=moments.low, high=moments.high, whole=whole),
            exact=self._reservoir.complete,
        )


def quantile(ordered: Sequence[float], point: float) -> float:
    """Return the value below which that share of an ordered, not empty sequence lies.

    Interpolates between neighbours, the first being 0 and the last 1.
    """
    place = point * (len(ordered) - 1)
    before = int(place)
    after = min(before + 1, len(ordered) - 1)
    part = place - before
    return ordered[before] * (1 - part) + ordered[after] * part


def histogram(ordered: Sequence[float], *, low: float, high: float, whole: bool) -> tuple[Bin, ...]:
    """Count numbers in bins of one width; few whole numbers get a bin each.

    Args:
        low: where the first bin begins; not above any of the numbers.
        high: where the last one ends; not below any.
        whole: they are integers.
    """
    if whole:
        width: float = int(high - low) // BINS + 1
        bins = int(high - low) // int(width) + 1
    else:
        width = (high - low) / BINS
        bins = BINS
    if width <= 0:  # one value only, or so near to each other that floats cannot part them
        return (Bin(low, high, 1.0),)
    heights = Counter(min(int((number - low) / width), bins - 1) for number in ordered)
    edges = [min(low + place * width, high) for place in range(bins)] + [high]
    return tuple(
        Bin(edges[place], edges[place + 1], heights[place] / len(ordered)) for place in range(bins)
    )


def as_moment(seconds: float) -> datetime:
    """Turn Unix seconds of a date cell back into a moment; `fromtimestamp` ends too early."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _repeated(pairs: list[tuple[float, int]]) -> list[float]:
    return list(chain.from_iterable(repeat(number, count) for number, count in pairs))
