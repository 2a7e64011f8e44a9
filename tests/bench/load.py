"""The browsers: `load.c`, compiled when it is newer than its program, and what it is told."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.bench.child import Child

SOURCE = Path(__file__).with_name("load.c")
TEXT, BINARY = 1, 2

Frame = tuple[int, bytes]
"""Opcode and payload of a frame that a browser sends."""
NOTHING: Frame = (0, b"")


@dataclass(frozen=True)
class Browser:
    """One connection.

    Attributes:
        number: which sid is its own.
        ready_after: so many frames have come when it is connected.
        sends: the first frame after the handshake, each next one after one more has come.
        pings: it answers Engine.IO's pings.
        receive_buffer: of the kernel, in bytes; 0: its default.
    """

    port: int
    number: int
    path: str
    ready_after: int = 1
    sends: tuple[Frame, ...] = ()
    subprotocol: str = "-"
    pings: bool = False
    receive_buffer: int = 0

    def line(self) -> str:
        """As `load.c` reads it."""
        sends = [f"{opcode:02x}{payload.hex()}" for opcode, payload in self.sends]
        pings = "eio" if self.pings else "-"
        head = (self.port, self.number, self.path, self.subprotocol, self.receive_buffer)
        return "\t".join(map(str, (*head, self.ready_after, pings, *sends))) + "\n"


@dataclass(frozen=True)
class Arrived:
    """What has come since the reset; times in nanoseconds of the monotonic clock.

    Attributes:
        missing: deliveries that did not come.
        extra: those that came more often than they should.
        wrong: those that came to another's browser.
        disordered: those with a lower number than one before, on one connection.
    """

    deliveries: int
    missing: int
    extra: int
    wrong: int
    disordered: int
    first_ns: int
    last_ns: int
    payload_bytes: int
    reads: int
    lost_connections: int
    churned: int
    ready: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    cpu_s: float


@dataclass(frozen=True)
class Opened:
    """How the opening went; `cpu_s` is all that the program has used so far."""

    ready: int
    failed: int
    seconds: float
    cpu_s: float


class Load:
    """One process with many browsers.

    Args:
        folder: for the program's list and log, and shared by all: the program itself.
        name: of its files.
    """

    _numbers = 0

    def __init__(self, folder: Path, name: str) -> None:
        self._list = folder / f"{name}.browsers"
        self._child = Child([str(compiled(folder))], log=folder / f"{name}.load.log")

    @property
    def pid(self) -> int:
        return self._child.pid

    def open(
        self, browsers: Sequence[Browser], *, in_flight: int = 100, timeout_s: float = 120
    ) -> Opened:
        """Connect, so many at a time; RuntimeError if not all can be."""
        self.begin_open(browsers, in_flight=in_flight)
        return self.opened(len(browsers), timeout_s=timeout_s)

    def begin_open(self, browsers: Sequence[Browser], *, in_flight: int) -> None:
        """Begin to connect."""
        self._list.write_text("".join(browser.line() for browser in browsers))
        self._child.tell(f"open {self._list} {in_flight}")

    def opened(self, count: int, *, timeout_s: float = 120) -> Opened:
        """Wait until all are connected."""
        opened = Opened(**self._child.answer(timeout_s))
        if opened.failed or opened.ready < count:
            raise RuntimeError(f"not all browsers were let in: {opened}; see {self._child.log}")
        return opened

    def reset(self, messages: int, *, copies: int = 1) -> int:
        """Count anew: so many messages, each to arrive so many times; return the first's number.

        Numbers are never used again, by nobody: what comes late, or out of history, is not counted.
        """
        first, Load._numbers = Load._numbers, Load._numbers + messages
        self._child.ask(f"reset {first} {messages} {copies}")
        return first

    def wait(self, deliveries: int, timeout_s: float) -> int:
        """Return how many have come when so many have, or after that time."""
        wait = f"wait {deliveries} {round(timeout_s * 1000)}"
        return int(self._child.ask(wait, timeout_s + 60)["deliveries"])

    def report(self) -> Arrived:
        """What has come."""
        answer = self._child.ask("report")
        return Arrived(**{field.name: answer[field.name] for field in fields(Arrived)})

    def stall(self, first: int, last: int) -> None:
        """Let the browsers from one place to before another read nothing."""
        self._child.ask(f"stall {first} {last}")

    def resume(self) -> None:
        """Let all read again."""
        self._child.ask("resume")

    def churn(self, per_s: float) -> None:
        """Close and open again so many a second, each with its position."""
        self._child.ask(f"churn {per_s}")

    def close_all(self) -> None:
        """Close the connections; the program stays."""
        self._child.ask("close")

    def close(self) -> None:
        """End it."""
        self._child.close()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def compiled(folder: Path) -> Path:
    """The program, compiled into a folder unless it is there already."""
    program = folder / "load"
    if not program.exists():
        command = ["gcc", "-O2", "-Wall", "-std=gnu11", "-o", str(program), str(SOURCE)]
        subprocess.run(command, check=True)
    return program
