"""What a scenario works with: the stage, the crowds of browsers, and how long it may take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.bench.child import Child
from tests.bench.load import Load
from tests.bench.measure import deliver, row, settle
from tests.bench.peers.system import System
from tests.bench.publishers.orders import Order
from tests.bench.results import Row, Run
from tests.bench.stage import Stage
from tests.bench.usage import await_quiet

T = TypeVar("T")
Make = Callable[[Stage], System]
Publishing = Callable[[System], Child]


@dataclass
class Bench:
    """One run of the benchmark.

    Attributes:
        quick: a glance: fewer rounds, fewer messages, and fewer peers.
    """

    stage: Stage
    quick: bool
    say: Callable[[str], None]
    crowds: dict[System, Load] = field(default_factory=dict)

    def scale(self, full: T, quick: T) -> T:
        """One of two figures."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        return self.scale(5, 2)

    def crowd(self, system: System) -> Load:
        """The system's 1,000 browsers, connected, and reached by messages."""
        if system not in self.crowds:
            load = self.crowds[system] = Load(self.stage.folder, type(system).__name__)
            load.open(system.browsers())
            settle(load, system.busy_publisher())
        return self.crowds[system]

    def alone(self, system: System, publishing: Publishing) -> tuple[Load, Child]:
        """The system's browsers and publishers, with nobody else's, on a machine at rest.

        A thousand idle connections cost the broker a twentieth of a core.
        """
        self.disperse()
        crowd = self.crowd(system), publishing(system)
        await_quiet()
        return crowd

    def disperse(self) -> None:
        """Let all browsers and publishers go: what comes next wants quiet."""
        for system in self.stage.systems:
            system.dismiss()
        for load in self.crowds.values():
            load.close()
        self.crowds.clear()

    def in_turn(
        self, makes: Sequence[Make], publishing: Publishing, order: Callable[[System], Order]
    ) -> list[Row]:
        """Measure some systems in turn, round after round; at a glance, all of one at once."""
        runs: dict[System, list[Run]] = {self.stage.system(make): [] for make in makes}
        at_once = self.scale(1, self.rounds)
        for first in range(0, self.rounds, at_once):
            for system, sofar in runs.items():
                self.say(f"  round {first + 1}: {system.name} ({system.form})")
                load, publisher = self.alone(system, publishing)
                given = order(system)
                deliver(system, load, publisher, replace(given, count=max(1, given.count // 5)))
                for seed in range(first, first + at_once):
                    sofar.append(deliver(system, load, publisher, replace(given, seed=seed)))
        self.disperse()
        return [row(system, sofar, steady=False) for system, sofar in runs.items()]
