"""What one simulated browser got of one session, over all its connections. Nothing here waits."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

#: How messages of one key are ordered: by run, a final one last in its run, then by number.
Rank = tuple[str, bool, int]


def split(id: str) -> tuple[str, int]:
    """An id's publisher and number."""
    publisher, _, seq = id.rpartition("-")
    return publisher, int(seq)


def rank(*, id: str, run: str | None, final: bool) -> Rank:
    """A message's place among those of its key, which one publisher alone updates.

    Without a run the newest wins, also over a final one.
    """
    return run or "", final and run is not None, split(id)[1]


@dataclass(slots=True)
class Visit:
    """One connection: with which position it came, and what was said about it."""

    after: dict[str, int]
    began_at: float
    recovered: bool | None = None
    gaps: int = 0
    highest: dict[str, int] = field(default_factory=dict)


class Diary:
    """Keeps a position and drops nothing: what should not have come is written down as well."""

    def __init__(self, name: str, sid: str) -> None:
        self.name = name
        self.sid = sid
        self.visits: list[Visit] = []
        #: When each id, and each value, came first.
        self.got: dict[str, float] = {}
        self.values: dict[str, str] = {}
        self.newest: dict[str, Rank] = {}
        self.position: dict[str, int] = {}
        self.twice: list[str] = []
        self.disordered: list[str] = []
        self.after_final: list[str] = []
        self.nameless = 0
        self.frames = 0

    @property
    def after(self) -> list[str]:
        """The complete position, as `after` wants it."""
        return [f"{publisher}-{seq}" for publisher, seq in self.position.items()]

    def visit_at(self, moment: float) -> Visit:
        """The connection that was open at a moment."""
        return self.visits[bisect_right(self.visits, moment, key=lambda v: v.began_at) - 1]

    def begin(self, *, at: float, recovered: bool | None) -> None:
        """Note that a connection was welcomed, or a session followed."""
        self.visits.append(Visit(dict(self.position), at, recovered))

    def gap(self) -> None:
        """Note that messages may be missing here."""
        self.visits[-1].gaps += 1

    def take(self, frame: dict[str, Any], *, at: float) -> None:
        """Note a `message` frame."""
        self.frames += 1
        name, value = frame.get("id"), frame["message"]
        if name is None:
            self.nameless += 1
            return
        if name in self.got:
            self.twice.append(name)
        elif value in self.values:
            self.twice.append(f"{name} (was {self.values[value]})")
        self.got.setdefault(name, at)
        self.values.setdefault(value, name)
        self._move(name)
        if (key := frame.get("key")) is not None:
            self._update(key, rank(id=name, run=frame.get("run"), final=frame.get("final", False)))

    def _move(self, id: str) -> None:
        publisher, seq = split(id)
        if seq < self.position.get(publisher, 0):
            self.disordered.append(id)
        for highest in (self.position, self.visits[-1].highest):
            highest[publisher] = max(seq, highest.get(publisher, 0))

    def _update(self, key: str, new: Rank) -> None:
        newest = self.newest.get(key, ("", False, 0))
        if newest[1] and newest[0] == new[0] and not new[1]:
            self.after_final.append(f"{key} {new}")
        self.newest[key] = max(newest, new)
