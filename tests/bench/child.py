"""A child process that is told by lines what to do, and answers each with a line of JSON."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ANSWER_S = 60
PROJECT = Path(__file__).resolve().parents[2]


class Child:
    """A program in a session of its own, with a pipe in each direction.

    Args:
        argv: the command.
        log: where its standard error goes.
    """

    def __init__(self, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._argv = list(argv)
        with log.open("ab") as errors:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"PYTHONPATH": str(PROJECT)} | dict(env or {}),
                cwd=PROJECT,
                start_new_session=True,
            )
        self._received = b""
        self._closed = False

    @property
    def pid(self) -> int:
        return self._child.pid

    def tell(self, line: str) -> None:
        """Give a command and do not wait for the answer."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line.encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._failed(f"was gone when told: {line}") from None

    def answer(self, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Wait for the next line of JSON.

        Raises:
            RuntimeError: the program has ended, or says nothing for so long.
        """
        assert self._child.stdout is not None
        pipe = self._child.stdout.fileno()
        while b"\n" not in self._received:
            if not select.select([pipe], [], [], timeout_s)[0]:
                raise self._failed(f"said nothing for {timeout_s:g} s")
            if not (part := os.read(pipe, 65536)):
                raise self._failed(f"ended with {self._child.wait()}")
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.tell(line)
        return self.answer(timeout_s)

    def close(self) -> None:
        """End it with all that it started; not twice: its id may be another's by then."""
        if self._closed:
            return
        self._closed = True
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _failed(self, what: str) -> RuntimeError:
        said = self.log.read_text(errors="replace")[-2000:]
        return RuntimeError(f"{' '.join(self._argv[:4])} {what}\n{said}")


def program(name: str, *args: object, log: Path, env: Mapping[str, str] | None = None) -> Child:
    """Start one of the Python programs beside this module: `program("publishers.raw", …)`."""
    argv = [sys.executable, "-m", f"tests.bench.{name}", *map(str, args)]
    return Child(argv, log=log, env=env)
