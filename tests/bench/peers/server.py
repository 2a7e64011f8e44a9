"""One of the small servers in `programs/`, as a process."""

import sys
from pathlib import Path

from deploy.local import Process, accepts, free_port
from tests.bench.child import PROJECT

START_S = 30
ENV = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT)}


class Server(Process):
    """A program that listens on the port that it is given as its first argument.

    Args:
        command: what the port follows.
        log: where its output goes.
        args: what follows the port.
    """

    def __init__(self, command: list[str], *args: object, log: Path) -> None:
        self.port = free_port()
        argv = [*command, str(self.port), *map(str, args)]
        super().__init__(argv, log=log, env=ENV, stop_s=2)

    def wait_ready(self) -> None:
        what = f"the start of {self.argv[2]}"
        self.wait_until(lambda: accepts(self.port), timeout_s=START_S, what=what)


def python(name: str) -> list[str]:
    """The command of one of the programs."""
    return [sys.executable, "-m", f"tests.bench.programs.{name}"]
