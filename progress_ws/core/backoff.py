"""How long to wait before the next attempt."""

import random
from collections.abc import Callable


class Backoff:
    """Delays that double up to a cap, each drawn anew between nothing and that ("full jitter").

    After a broker restart all nodes and publishers come back; drawn delays spread them.
    """

    def __init__(
        self, *, first_s: float, cap_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        """`draw` returns a number in [0, 1); tests give their own."""
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Return the next delay in seconds."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(self._cap_s, ceiling_s * 2)
        return self._draw() * ceiling_s

    def reset(self) -> None:
        """Start over: an attempt has proved good."""
        self._ceiling_s = self._first_s
