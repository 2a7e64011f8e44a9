"""What is measured, as plain values: nothing here measures, and all of it can become JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from statistics import median


@dataclass(frozen=True)
class Run:
    """One round of one system; CPU in microseconds for each delivered message.

    Attributes:
        per_s: deliveries a second, from the first publish to the last delivery.
        missing, extra, wrong, disordered: see `load.Arrived`.
        lost_connections: of browsers.
        others_cores: cores that were busy with something else meanwhile.
    """

    per_s: float
    seconds: float
    deliveries: int
    missing: int
    extra: int
    wrong: int
    disordered: int
    nodes_us: float
    broker_us: float
    publisher_us: float
    client_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    lost_connections: int = 0
    others_cores: float = 0


def middle(runs: Sequence[Run]) -> Run:
    """The medians of some rounds; what went wrong is added up."""
    added = {"deliveries", "missing", "extra", "wrong", "disordered", "lost_connections"}
    return Run(
        **{
            each.name: (sum if each.name in added else median)(getattr(r, each.name) for r in runs)
            for each in fields(Run)
        }
    )


@dataclass(frozen=True)
class Goal:
    """A figure that is to be reached.

    Attributes:
        value: what was measured.
        bound: what it shall be, at least or at most.
    """

    what: str
    value: float
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class Row:
    """A line of a scenario's table: what it is about, and its figures by their columns.

    Attributes:
        form: how it ran: "ours", "as documented", "tuned", "naive", "reference".
    """

    name: str
    form: str
    figures: dict[str, float]
    rounds: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What a scenario found.

    Attributes:
        bars: the figure by which the rows are drawn; empty: no picture.
        unit: of that.
        failed: why there is nothing; empty otherwise.
    """

    name: str
    title: str
    rows: list[Row]
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bars: str = ""
    unit: str = ""
    failed: str = ""
