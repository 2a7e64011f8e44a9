"""The worker process of one job: reads the file, writes the report, publishes how far it is.

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
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from progress_ws import ProgressError, Publisher
from progress_ws.demo import wording
from progress_ws.demo.csvfile import NotCsvError, inspect
from progress_ws.demo.folder import Folder, create
from progress_ws.demo.job import Job
from progress_ws.demo.meter import Meter, Update
from progress_ws.demo.profile import Profile, profile
from progress_ws.demo.report import render
from progress_ws.demo.sample import write_orders

FINAL_TIMEOUT_S = 60.0
NICENESS = 5
"""The node answers browsers on the same machine; a job can wait."""


async def run(job: Job, environ: Mapping[str, str]) -> None:
    """Do a job and publish its progress, to the final update.

    Raises:
        ProgressError: the final update did not get through.
    """
    async with publisher_from(environ) as publisher:
        loop = asyncio.get_running_loop()

        def post(update: Update) -> None:
            # A publisher that has ended is no reason to stop; sending the result will tell.
            with suppress(ProgressError):
                publisher.post(job.sid, update, key=job.key)

        def post_from_thread(update: Update) -> None:
            loop.call_soon_threadsafe(post, update)

        meter = Meter(post_from_thread, title=job.title)
        final = await asyncio.to_thread(_outcome, job, meter)
        await publisher.send(job.sid, final, key=job.key, final=True, timeout_s=FINAL_TIMEOUT_S)


def publisher_from(environ: Mapping[str, str]) -> Publisher:
    """Make the publisher that the environment describes: to RabbitMQ, else to a node."""
    if url := environ.get("PROGRESS_WS_AMQP_URL"):
        return Publisher(url, prefix=environ["PROGRESS_WS_PREFIX"])
    return Publisher(environ["PROGRESS_WS_URL"], token=environ["PROGRESS_WS_PUBLISH_TOKEN"])


def _outcome(job: Job, meter: Meter) -> Update:
    try:
        return work(job, meter)
    except NotCsvError as exc:
        return meter.failed(str(exc))
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            _log_where(exc)
        return meter.failed(f"The server could not keep the file: {exc.strerror}.")
    except Exception as exc:  # noqa: BLE001  # whatever went wrong, somebody waits to hear of it
        _log_where(exc)
        return meter.failed(f"Something went wrong while reading this file ({type(exc).__name__}).")


def work(job: Job, meter: Meter) -> Update:
    """Make the report of a job and return its final update.

    Raises:
        NotCsvError: the file is no table.
    """
    started = time.monotonic()
    folder = Folder(Path(job.folder))
    source = folder.upload(job.id)
    detail = f"worker {os.getpid()} on {job.node}"
    if job.sample_rows is not None:
        meter.begin("Making the sample", total=job.sample_rows, unit="rows", text=detail)
        with io.TextIOWrapper(create(source), encoding="utf-8", newline="") as sample:
            write_orders(sample, job.sample_rows, progress=meter.advance)
    with source.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        meter.begin("Looking through the file", total=size_bytes, unit="B", text=detail)
        form = inspect(file, progress=meter.advance)
        meter.begin("Profiling the columns", total=form.lines, unit="rows", text=detail)
        table = profile(file, form, progress=meter.advance)
    meter.begin("Writing the report", text=detail)
    took_s = time.monotonic() - started
    made_at = datetime.now(UTC)
    report = render(table, title=job.title, size_bytes=size_bytes, took_s=took_s, made_at=made_at)
    folder.write_report(job.id, report)
    return meter.done(total=table.rows, unit="rows", text=_summary(table), href=job.href)


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
    try:
        asyncio.run(run(job, os.environ))
    except ProgressError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
