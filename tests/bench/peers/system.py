"""What the scenarios know of a system."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tests.bench.child import Child, program
from tests.bench.load import Browser

if TYPE_CHECKING:
    from tests.bench.stage import Stage

NODES = 2


class System(ABC):
    """Nodes, a broker, browsers and publishers that belong together.

    Attributes:
        name: for people.
        form: "ours", "as documented", "tuned" or "naive".
        burst: so many messages take it a second or two, from one publisher.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    burst: ClassVar[int]

    def __init__(self, stage: "Stage") -> None:
        self.stage = stage
        self._publishers: dict[tuple[object, ...], Child] = {}

    @abstractmethod
    def start(self) -> None:
        """Start the nodes."""

    @property
    @abstractmethod
    def nodes(self) -> Sequence[int]:
        """Process groups of the nodes."""

    @property
    @abstractmethod
    def brokers(self) -> Sequence[int]:
        """Process groups of what the messages cross."""

    @abstractmethod
    def browser(self, number: int, sid: str) -> Browser:
        """A browser that waits for this sid."""

    def browsers(self) -> list[Browser]:
        """One for each sid."""
        return [self.browser(number, sid) for number, sid in enumerate(self.stage.sids)]

    @abstractmethod
    def busy_publisher(self) -> Child:
        """One that has many messages at once."""

    @abstractmethod
    def many_publishers(self, count: int) -> Child:
        """So many, each message on its own."""

    def dismiss(self) -> None:
        """Let the publishers go: even idle ones send heartbeats."""
        for child in self._publishers.values():
            child.close()
        self._publishers.clear()

    def publishing(self, name: str, *args: object) -> Child:
        """A publishing program, started once."""
        key = (name, *args)
        if key not in self._publishers:
            log = self.stage.folder / f"{type(self).__name__}.{name}.log"
            child = program(f"publishers.{name}", *args, log=log)
            self._publishers[key] = self.stage.keep(child)
        return self._publishers[key]
