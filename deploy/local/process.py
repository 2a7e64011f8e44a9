"""One child process in a session of its own: a signal reaches all of it and nothing else."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

POLL_S = 0.02
FREEZE_S = 10
STANDING = frozenset("TZX")
"""Stopped, ended and not yet waited for, and dead: states of a thread that does nothing."""
LOG_TAIL_CHARS = 4_000


_given: set[int] = set()
"""The ports that this process has given away."""


@cache
def _claims() -> int:
    """A file of which whoever gives a port away locks the byte of that number until he ends."""
    path = Path(tempfile.gettempdir()) / f"progress-ws-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _claim(port: int) -> bool:
    if port in _given:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


def free_port() -> int:
    """A loopback port that nobody listens on, from below the range of outgoing connections.

    Given once, also where several processes ask at a time: a broker listens only seconds later.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        if not _claim(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], object], *, timeout_s: float, what: str) -> None:
    """Return as soon as `condition` is true; `TimeoutError`, naming `what`, when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
        time.sleep(POLL_S)


def stands_still(pid: int) -> bool:
    """Whether a stopping signal has reached each thread of a process, or the process has ended."""
    try:
        tasks = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return False  # a thread, or all of it, ends just now: look again
    # The name, in brackets, may hold anything; the state follows it (proc_pid_stat(5)).
    return all(task.rpartition(")")[2].split()[0] in STANDING for task in tasks)


class Process:
    """A program, what it printed, and the signals that end, freeze and thaw it.

    Args:
        argv: the command.
        log: where its output goes; kept over restarts.
        env: its whole environment.
        stop_s: how long it may take to end after SIGTERM, before it is killed.
    """

    def __init__(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str], stop_s: float = 10
    ) -> None:
        self.argv = list(argv)
        self.log = log
        self.env = dict(env)
        self.stop_s = stop_s
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        if self._child is None:
            raise RuntimeError(f"{self.argv[0]} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, or the negative number of the signal that ended it."""
        return None if self._child is None else self._child.poll()

    @property
    def output(self) -> str:
        """Everything that it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        """Start it and return at once; not for a process that runs."""
        if self.alive:
            raise RuntimeError(f"{self.argv[0]} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                start_new_session=True,
            )

    def wait_until(self, condition: Callable[[], object], *, timeout_s: float, what: str) -> None:
        """Wait for `condition`; an early end or a timeout raises with the end of the log."""
        try:
            wait_for(lambda: not self.alive or condition(), timeout_s=timeout_s, what=what)
        except TimeoutError as exc:
            raise TimeoutError(f"{exc}:\n{self.output[-LOG_TAIL_CHARS:]}") from None
        if not self.alive:
            raise RuntimeError(
                f"{self.argv[0]} ended with {self.returncode}:\n{self.output[-LOG_TAIL_CHARS:]}"
            )

    def wait_ready(self) -> None:
        """Wait until it is of use; a plain program is as soon as it runs."""

    @property
    def group_alive(self) -> bool:
        """Whether the process, or any child that it left behind, is still there."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def freeze(self) -> None:
        """Stop it where it stands; its sockets stay open and silent.

        Returns when it does stand: on a busy machine a broker still takes a connection or two
        between the signal and its last thread's stop.
        """
        self._signal(signal.SIGSTOP)
        wait_for(self._stands_still, timeout_s=FREEZE_S, what=f"the stop of {self.argv[0]}")

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to say goodbye (SIGKILL)."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM to the process itself) and do not wait for that."""
        if self._child is not None:
            self._child.terminate()

    def wait_end(self) -> None:
        """Wait until it has ended of itself; `TimeoutError` after `stop_s`."""
        wait_for(lambda: not self.alive, timeout_s=self.stop_s, what=f"the end of {self.argv[0]}")

    def stop(self) -> None:
        """Ask it to end, wait for that, and kill what is left of it."""
        self.terminate()
        self.thaw()
        with contextlib.suppress(TimeoutError):
            self.wait_end()
        self.kill()

    def close(self) -> None:
        """End it for good, in the quickest way that leaves nothing behind."""
        self.stop()

    def _group(self) -> list[int]:
        """The ids of the processes in its group."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if _group_of(pid) == self.pid]

    def _stands_still(self) -> bool:
        return all(stands_still(pid) for pid in self._group())

    def _signal(self, number: int) -> None:
        if self.alive:
            os.killpg(self.pid, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None  # it has just ended
