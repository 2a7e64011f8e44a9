"""The parts of a bar: how they are named, and what they add to the whole."""

from collections import Counter
from hashlib import blake2s
from typing import Generic, Protocol, TypeVar

from progress_ws.core.message import KEY_MAX_CHARS
from progress_ws.core.progress import readable


class Part(Protocol):
    """A bar, as the whole knows it."""

    @property
    def has_ended(self) -> bool:
        """Whether it says nothing more."""

    def fraction(self) -> float:
        """Return how much of it is done, from 0 to 1."""


P = TypeVar("P", bound=Part)


class Parts(Generic[P]):
    """Those that run; of those that have ended only the sum is kept, as a job may have very many.

    Attributes:
        weight: the sum of all weights; None: there are no parts.
    """

    def __init__(self) -> None:
        self.weight: float | None = None
        self._running: list[tuple[P, float]] = []
        self._ended_share = 0.0
        self._begun: Counter[str] = Counter()

    @property
    def running(self) -> list[P]:
        """Return those of which it is not known yet that they have ended."""
        return [part for part, _weight in self._running]

    def run_of(self, name: str, run: str) -> str:
        """Name the run of a part: that of the whole, and a greater one if the name comes again."""
        before = self._begun[name]
        self._begun[name] += 1
        return f"{run}-{before:04d}" if before else run

    def add(self, part: P, weight: float) -> None:
        """Count one more."""
        self._running.append((part, weight))
        self.weight = weight + (self.weight or 0)

    def share(self) -> float:
        """Return how much of their weights is done."""
        share = 0.0
        running = []
        for part, weight in self._running:
            has_ended = part.has_ended  # looked at first: what it says after that is its last word
            done = weight * part.fraction()
            if has_ended:
                self._ended_share += done
            else:
                running.append((part, weight))
                share += done
        self._running = running
        return self._ended_share + share

    def count_anew(self) -> None:
        """Count those only that still run: the others were parts of what has been before."""
        self.share()
        self._ended_share = 0.0
        self.weight = sum(weight for _, weight in self._running) if self._running else None


def key_of_part(key: str, name: str) -> str:
    """Name a part below its whole; a name that no key may have is cut, and told apart by a mark."""
    full = f"{key}/{name}"
    shown = readable(full)
    if shown == full and len(full) <= KEY_MAX_CHARS:
        return full
    mark = f"~{blake2s(full.encode(errors='surrogatepass'), digest_size=4).hexdigest()}"
    return shown[: KEY_MAX_CHARS - len(mark)] + mark
