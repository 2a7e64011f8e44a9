"""Several node processes on one port: started, watched, started again, stopped together."""

import asyncio
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

import structlog

from progress_ws.broker.urls import reachable
from progress_ws.core.backoff import Backoff
from progress_ws.errors import SettingsError
from progress_ws.node import logs
from progress_ws.node.loop import run
from progress_ws.node.process import CreateApp, OnListening, cannot_listen, run_node
from progress_ws.node.settings import Settings, variable
from progress_ws.node.siblings import Siblings

log = structlog.get_logger(__name__)

HEALTHY_AFTER_S = 5.0
STOP_GRACE_S = 15.0
"""Beyond the drain; then a worker that does not end is killed."""

_spawn = multiprocessing.get_context("spawn")


def supervise(
    settings: Settings, create_app: CreateApp, on_listening: OnListening | None = None
) -> int:
    """Run the workers until SIGTERM or SIGINT; return the exit status.

    Raises:
        SettingsError: the port cannot be had, or no folder to meet in.
    """
    with _reserved_port(settings) as port, _meeting_place(settings) as folder:
        if on_listening is not None:
            on_listening(reachable(settings.host, port))
        crew = _Crew(replace(settings, port=port), create_app, folder)
        return crew.run()


class _Crew:
    def __init__(self, settings: Settings, create_app: CreateApp, folder: Path) -> None:
        self._settings = settings
        self._create_app = create_app
        self._folder = folder
        self._workers: dict[int, SpawnProcess] = {}
        self._started_s: dict[int, float] = {}
        self._due_s: dict[int, float] = {}
        self._backoff = Backoff(first_s=0.5, cap_s=10.0)
        self._signal: int | None = None

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for worker in range(1, self._settings.workers + 1):
            self._start(worker)
        while self._signal is None:
            self._watch()
        return self._stop(self._signal)

    def _start(self, worker: int) -> None:
        self._due_s.pop(worker, None)
        process = _spawn.Process(
            target=_work,
            args=(self._settings, self._create_app, self._folder, worker),
            name=f"progress-ws worker {worker}",
        )
        try:
            process.start()
        except OSError as exc:  # this host is short of files, processes or memory
            again_s = self._put_off(worker)
            reason = exc.strerror
            log.error("worker cannot be started", worker=worker, reason=reason, again_s=again_s)
            return
        self._workers[worker] = process
        self._started_s[worker] = time.monotonic()

    def _put_off(self, worker: int) -> float:
        delay_s = self._backoff.next_s()
        self._due_s[worker] = time.monotonic() + delay_s
        return delay_s

    def _watch(self) -> None:
        """Wait a moment for an end; start again what ended, later the more often it happens."""
        wait([process.sentinel for process in self._workers.values()], timeout=0.2)
        now = time.monotonic()
        for worker, process in list(self._workers.items()):
            if self._signal is None and not process.is_alive():
                del self._workers[worker]
                if now - self._started_s[worker] > HEALTHY_AFTER_S:
                    self._backoff.reset()
                again_s = self._put_off(worker)
                log.error("worker died", worker=worker, exitcode=process.exitcode, again_s=again_s)
        for worker, due_s in list(self._due_s.items()):
            if self._signal is None and now >= due_s:
                self._start(worker)

    def _stop(self, number: int) -> int:
        deadline_s = time.monotonic() + self._settings.drain_seconds + STOP_GRACE_S
        for process in self._workers.values():
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)
        for process in self._workers.values():
            process.join(max(0.0, deadline_s - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        # A worker that was still starting, or had just ended, may die of the signal itself.
        good = (0, -number)
        return 0 if all(process.exitcode in good for process in self._workers.values()) else 1

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number


@contextmanager
def _reserved_port(settings: Settings) -> Iterator[int]:
    """Hold the port for the workers, who share it (SO_REUSEPORT), and for nobody else.

    The first bind has no SO_REUSEPORT: another server on the port is an error, not a partner. A
    socket that is bound and does not listen gets no connections.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()  # with SO_REUSEADDR only this finds another that listens
            port: int = probe.getsockname()[1]
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address[0], port, *address[2:]))
    except OSError as exc:
        raise cannot_listen(settings, exc) from exc
    with held:
        yield port


@contextmanager
def _meeting_place(settings: Settings) -> Iterator[Path]:
    """Make the folder of the sockets over which workers ask each other."""
    try:
        made = tempfile.TemporaryDirectory(prefix="progress-ws-", ignore_cleanup_errors=True)
    except OSError as exc:
        raise SettingsError(
            f"{variable('workers')}={settings.workers} is wrong: workers ask each other in a "
            f"temporary folder, and none can be made ({exc.strerror}); it must be 1, or TMPDIR "
            "must name a folder that may be written to"
        ) from exc
    with made as name:
        yield Path(name)


def _work(settings: Settings, create_app: CreateApp, folder: Path, worker: int) -> None:
    """One worker process: a node of its own, under the name with its number."""
    own = replace(settings, node=f"{settings.node}-{worker}", workers=1)
    logs.configure(own)
    siblings = Siblings(folder, own=worker, count=settings.workers)
    raise SystemExit(run(_run(own, create_app, siblings)))


async def _run(settings: Settings, create_app: CreateApp, siblings: Siblings) -> int:
    stop = asyncio.Event()
    parent = multiprocessing.parent_process()
    if parent is not None:  # a supervisor that was killed takes its workers along, gracefully
        asyncio.get_running_loop().add_reader(int(parent.sentinel), stop.set)
    try:
        return await run_node(settings, create_app, siblings=siblings, stop=stop)
    finally:
        # A signal to the whole group comes twice: by itself, and from the supervisor.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
