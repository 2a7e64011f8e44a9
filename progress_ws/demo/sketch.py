"""Summaries of a stream of values in bounded memory: exact while small, estimates when large."""

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from math import exp, log, sqrt
from random import Random
from typing import NamedTuple

_HASHES = 2**64


class Estimate(NamedTuple):
    """A count, and whether it is the exact one."""

    value: int
    exact: bool


class Distinct:
    """Counts different values by keeping the smallest of their hashes.

    Up to `capacity` different values all hashes are there and the count is exact. Beyond, the
    largest kept hash tells how densely the values fill the range of hashes; the standard error is
    1/√(capacity - 2).
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._hashes: set[int] = set()
        self._threshold = _HASHES

    def add(self, values: Iterable[str]) -> None:
        """Take in values that need not differ."""
        threshold = self._threshold
        hashes = (hash(value) % _HASHES for value in values)
        self._hashes.update(number for number in hashes if number < threshold)
        if len(self._hashes) > 2 * self._capacity:
            self._prune()

    def count(self, *, at_most: int) -> Estimate:
        """Return how many different values there were, of so many in all."""
        if self._threshold == _HASHES and len(self._hashes) <= self._capacity:
            return Estimate(len(self._hashes), exact=True)
        self._prune()
        share = max(self._hashes) / _HASHES
        return Estimate(min(round((self._capacity - 1) / share), at_most), exact=False)

    def _prune(self) -> None:
        if len(self._hashes) > self._capacity:
            self._hashes = set(nsmallest(self._capacity, self._hashes))
            self._threshold = max(self._hashes)


class Reservoir:
    """A fair sample of all numbers seen: all of them up to `capacity`, then a random choice.

    Draws the distance to the next number to take instead of a die for each (Li's algorithm L).
    """

    def __init__(self, capacity: int, random: Random) -> None:
        self._capacity = capacity
        self._random = random
        self._sample: list[float] = []
        self._seen = 0
        self._next = 0
        self._weight = 1.0

    def add(self, numbers: Sequence[float]) -> None:
        """Take in numbers."""
        room = self._capacity - len(self._sample)
        if room > 0:
            self._sample.extend(numbers[:room])
            if len(self._sample) == self._capacity:
                self._next = self._capacity - 1
                self._draw()
        end = self._seen + len(numbers)
        if len(self._sample) == self._capacity:
            while self._next < end:
                place = self._random.randrange(self._capacity)
                self._sample[place] = numbers[self._next - self._seen]
                self._draw()
        self._seen = end

    @property
    def complete(self) -> bool:
        """Whether the sample is everything."""
        return self._seen == len(self._sample)

    def sorted(self) -> list[float]:
        """Return the sample in rising order."""
        return sorted(self._sample)

    def _draw(self) -> None:
        # 1 - random() is never 0; the weight shrinks towards it, where log1p would be -0.
        self._weight *= exp(log(1.0 - self._random.random()) / self._capacity)
        chance = min(self._weight, 1.0 - 1e-16)
        self._next += int(log(1.0 - self._random.random()) / log(1.0 - chance)) + 1


class TopValues:
    """The most frequent values, by counters of which only `capacity` survive a clearing.

    A clearing takes from all counters what the first one beyond capacity has (Misra and Gries).
    So a count is never too high, and too low by `missed` at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: Counter[str] = Counter()
        self.missed = 0

    def add(self, counts: Counter[str]) -> None:
        """Take in values with how often each occurred."""
        self._counts.update(counts)
        if len(self._counts) > 4 * self._capacity:
            self._clear()

    def most_common(self, number: int) -> list[tuple[str, int]]:
        """Return the values that are surely more frequent than any that was forgotten."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [item for item in ranked[:number] if item[1] > self.missed]

    def _clear(self) -> None:
        ranked = sorted(self._counts.values(), reverse=True)
        taken = ranked[self._capacity]
        self.missed += taken
        self._counts = Counter(
            {value: count - taken for value, count in self._counts.items() if count > taken}
        )


class Moments:
    """Count, extremes, mean and standard deviation of all numbers seen."""

    def __init__(self) -> None:
        self.count = 0
        self.low = float("inf")
        self.high = float("-inf")
        self.mean = 0.0
        self._squares = 0.0

    def add(self, numbers: Sequence[float]) -> None:
        """Take in numbers, in whole groups: Chan's rule joins the group's moments to ours."""
        if not numbers:
            return
        size = len(numbers)
        mean = sum(numbers) / size
        squares = sum((number - mean) ** 2 for number in numbers)
        total = self.count + size
        apart = mean - self.mean
        self._squares += squares + apart * apart * self.count * size / total
        self.mean += apart * size / total
        self.count = total
        self.low = min(self.low, min(numbers))
        self.high = max(self.high, max(numbers))

    @property
    def deviation(self) -> float:
        """The standard deviation of all numbers (not of a sample)."""
        return sqrt(self._squares / self.count) if self.count else 0.0
