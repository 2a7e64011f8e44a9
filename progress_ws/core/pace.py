"""How fast something goes, and how long it will still take: one rule for all bars."""

from math import exp

MEMORY_S = 4.0
"""The rate is that of the last seconds, so that the time left follows a change of pace."""
SAY_AFTER_S = 1.0
"""Before that there is nothing to say: the first steps of a job are seldom like the others."""

SHORTEST_S = 1e-6
"""What comes closer after the last sample waits for the next; a quotient must stay finite."""


class Pace:
    """A smoothed rate.

    At first the mean since the beginning, later more and more that of the last `MEMORY_S` seconds
    (an exponentially weighted mean, which takes samples at any distance in time).
    """

    __slots__ = ("_begun_s", "_current", "_rate", "_sampled_s")

    def __init__(self, now_s: float, current: float = 0) -> None:
        """Begin with what has been done before, which counts for no speed."""
        self._begun_s = self._sampled_s = now_s
        self._current = current
        self._rate = 0.0

    def sample(self, now_s: float, current: float) -> None:
        """Note how much is done by now; less than before begins anew."""
        if current < self._current:
            self._begun_s = self._sampled_s = now_s
            self._current, self._rate = current, 0.0
            return
        passed_s = now_s - self._sampled_s
        if passed_s < SHORTEST_S:
            return
        latest = (current - self._current) / passed_s
        weight = max(1 - exp(-passed_s / MEMORY_S), passed_s / (now_s - self._begun_s))
        self._rate += (latest - self._rate) * weight
        self._current = current
        self._sampled_s = now_s

    @property
    def rate(self) -> float | None:
        """Return how much is done in a second; None while there is nothing to say."""
        if self._rate <= 0 or self._sampled_s - self._begun_s < SAY_AFTER_S:
            return None
        return self._rate

    def left_s(self, total: float | None) -> float | None:
        """Return the seconds that are left, never below 0; None while they are not known."""
        if total is None or (rate := self.rate) is None:
            return None
        return max(0.0, total - self._current) / rate
