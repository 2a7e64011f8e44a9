"""The worker process of one job: reads the file, writes the report, says how far it is.

It is told its job on standard input, and finds RabbitMQ or its node by the same variables as any
other publisher, so that nothing secret stands among the arguments that everybody can list.
"""

import asyncio
import errno
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from progress_ws import Bar, Cancelled, Publisher
from progress_ws.demo import errands, wording
from progress_ws.demo.csvfile import NotCsvError, inspect
from progress_ws.demo.folder import Folder, create
from progress_ws.demo.job import Job
from progress_ws.demo.profile import Profile, profile
from progress_ws.demo.report import render
from progress_ws.demo.sample import write_orders
from progress_ws.publish import target

STALL_S = 3.0
FINAL_TIMEOUT_S = 60.0
NICENESS = 5
"""The node answers browsers on the same machine; a job can wait."""

STEPS = {
    "1-sample": ("Making the sample", 40),
    "2-look": ("Looking through the file", 2),
    "3-profile": ("Profiling the columns", 55),
    "4-write": ("Writing the report", 3),
}
"""The parts of a job: name and weight, which is about the share of the time that each takes."""


Steps = dict[str, tuple[str, float]]


def _steps_of(job: Job) -> Steps:
    """Return the steps that a job needs: name, and how many of a hundred each makes up."""
    needed = {
        name: step
        for name, step in STEPS.items()
        if name != "1-sample" or job.sample_rows is not None
    }
    whole = sum(weight for _, weight in needed.values())
    return {name: (title, 100 * weight / whole) for name, (title, weight) in needed.items()}


async def run(job: Job, environ: Mapping[str, str]) -> bool:
    """Do a job and publish its progress; return whether its end got through."""
    to = target.find(environ)
    publisher = Publisher(to.url, token=to.token, prefix=to.prefix)
    publisher.start()
    try:
        if job.errands:
            await errands.run(job, publisher, stall_s=STALL_S)
        else:
            await _make_report(job, publisher)
    finally:
        unsent = await publisher.close(timeout_s=FINAL_TIMEOUT_S)
    return unsent == 0


async def _make_report(job: Job, publisher: Publisher) -> None:
    bar = publisher.progress(
        job.sid,
        key=job.key,
        title=job.title,
        total=100,
        unit="%",
        run=job.run,
        attempt=job.attempt,
        stall_s=STALL_S,
        raise_cancelled=True,
    )
    steps, loop = _steps_of(job), asyncio.get_running_loop()

    def queue(begun: str) -> None:
        """Show the steps that are still to come: after those that have begun."""
        for name, (title, _) in steps.items():
            if name > begun:
                step = {"kind": "progress", "state": "queued", "title": title, "parent": job.key}
                publisher.post(job.sid, step, key=f"{job.key}/{name}", run=job.run)

    # Beside a thread that computes, to connect would take many turns of the interpreter.
    await publisher.flush()
    work = Work(job, bar, steps, on_step=lambda name: loop.call_soon_threadsafe(queue, name))
    await asyncio.to_thread(_do, work, bar)


def _do(work: "Work", bar: Bar) -> None:
    try:
        work.do()
    except Cancelled:
        bar.cancel()
    except NotCsvError as exc:
        bar.failed(str(exc))
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            _log_where(exc)
        bar.failed(f"The server could not keep the file: {exc.strerror}.")
    except Exception as exc:  # noqa: BLE001  # whatever went wrong, somebody waits to hear of it
        _log_where(exc)
        bar.failed(f"Something went wrong while reading this file ({type(exc).__name__}).")


class Work:
    """The work of one job, with a bar for each of its steps.

    Args:
        job: what is to be done.
        bar: the whole.
        steps: its parts: title, and how many of a hundred each makes up.
        on_step: called with the name of the step that has begun.

    Wherever a bar moves, it raises `Cancelled` once a browser has asked to stop.
    """

    def __init__(
        self, job: Job, bar: Bar, steps: Steps, *, on_step: Callable[[str], object]
    ) -> None:
        self._job, self._bar = job, bar
        self._folder = Folder(Path(job.folder))
        self._steps = steps
        self._on_step = on_step

    def do(self) -> None:
        """Make the report.

        Raises:
            NotCsvError: the file is no table.
            Cancelled: a browser has asked to stop.
        """
        started = time.monotonic()
        source = self._folder.upload(self._job.id)
        if self._job.sample_rows is not None:
            self._make_sample(source, self._job.sample_rows)
        with source.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            with self._step("2-look", total=size_bytes, unit="B") as bar:
                form = inspect(file, progress=bar.set)
            with self._step("3-profile", total=form.lines, unit="rows") as bar:
                table = profile(file, form, progress=bar.set)
        with self._step("4-write", total=len(table.columns), unit="columns") as bar:
            report = render(
                table,
                title=self._job.title,
                size_bytes=size_bytes,
                took_s=time.monotonic() - started,
                made_at=datetime.now(UTC),
                progress=bar.set,
            )
            self._folder.write_report(self._job.id, report)
        self._bar.done(_summary(table), href=self._job.href)

    def _make_sample(self, path: Path, rows: int) -> None:
        with (
            self._step("1-sample", total=rows, unit="rows") as bar,
            io.TextIOWrapper(create(path), encoding="utf-8", newline="") as file,
        ):
            write_orders(file, rows, progress=bar.set)

    @contextmanager
    def _step(self, name: str, *, total: int, unit: str) -> Iterator[Bar]:
        title, weight = self._steps[name]
        self._bar.phase(title)
        self._bar.text(f"worker {os.getpid()} on {self._job.node}")
        step = self._bar.child(name, title=title, total=total, unit=unit, weight=weight)
        self._on_step(name)
        yield step
        step.done()


def _summary(table: Profile) -> str:
    rows = wording.counted(table.rows, "row")
    return f"{rows}, {wording.counted(len(table.columns), 'column')}"


def _log_where(exc: BaseException) -> None:
    """Say where it happened, and not what the exception says: it may quote the file."""
    sys.stderr.writelines(traceback.format_tb(exc.__traceback__))
    sys.stderr.write(f"{type(exc).__name__}\n")


def main() -> int:
    """Run as a process; status 1 means that the final update did not get through."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which ends its workers
    os.nice(NICENESS)
    job = Job.from_json(sys.stdin.buffer.read())
    return 0 if asyncio.run(run(job, os.environ)) else 1


if __name__ == "__main__":
    sys.exit(main())
