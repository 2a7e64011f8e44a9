"""Runs jobs in worker processes: so many at once, so many in line, and none left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from progress_ws import ProgressError, Publisher
from progress_ws.demo.folder import Folder
from progress_ws.demo.job import Job
from progress_ws.demo.offers import Deed, Offers

log = structlog.get_logger(__name__)

WORKER = ("-m", "progress_ws.demo.worker")
"""What Python runs as a worker process."""

PLACES = 24
"""Jobs that are uploaded, in line or at work; more are refused."""

RETRY_S = 20.0
"""So long a job whose worker died may be tried again: browsers see it `stalled` before it fails."""

LOOK_S = 0.2
"""So often it is looked whether somebody has taken what was offered."""
TELL_TIMEOUT_S = 3.0


class NoPlaceError(Exception):
    """There is no place for another job."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where publishers of this node find the broker: RabbitMQ, or the node itself."""

    url: str
    prefix: str
    token: str | None

    @property
    def outlives_node(self) -> bool:
        """Whether messages find their way when this node has closed its doors."""
        return self.url.startswith("amqp")

    def publisher(self) -> Publisher:
        """Make a publisher."""
        return Publisher(self.url, token=self.token, prefix=self.prefix)

    def environ(self) -> dict[str, str]:
        """Return the environment in which a worker finds the same."""
        kind = "AMQP_URL" if self.outlives_node else "URL"
        ours = {kind: self.url, "PREFIX": self.prefix, "PUBLISH_TOKEN": self.token or ""}
        others = {name: text for name, text in os.environ.items() if "PROGRESS_WS_" not in name}
        return others | {f"PROGRESS_WS_{name}": text for name, text in ours.items()}


class Jobs:
    """The jobs of one node.

    Args:
        folder: where their files are.
        at_once: how many worker processes may run.
    """

    def __init__(self, folder: Folder, *, at_once: int) -> None:
        self._folder = folder
        self._offers = Offers(folder)
        self._slots = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploading = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while a file is uploaded; `submit` before it ends.

        Raises:
            NoPlaceError: all are taken.
        """
        if self._uploading + len(self._tasks) >= PLACES:
            raise NoPlaceError
        self._uploading += 1
        try:
            yield
        finally:
            self._uploading -= 1

    def submit(self, job: Job, address: Address) -> None:
        """Do a job as soon as a worker is free, and tell its browsers how it ends."""
        task = asyncio.create_task(self._run(job, address), name=job.key)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End all jobs; browsers on other nodes are told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job, address: Address) -> None:
        try:
            while error := await self._attempt(job, address):
                log.warning("worker lost", reason=error)
                if not await self._is_to_be_tried_again(job):
                    await _tell(job, address, self._ending(job, error), final=True)
                    break
                self._folder.clear(job.id, keep_upload=job.sample_rows is None)
                job = job.again()
        except asyncio.CancelledError:
            if address.outlives_node:  # else nobody is left who could be told
                error = "The server that worked on this was stopped. Please try again."
                await _tell(job, address, self._ending(job, error), final=True)
            raise
        finally:
            self._folder.clear(job.id)

    async def _attempt(self, job: Job, address: Address) -> str | None:
        """Have a job done once; return why it could not say itself how it ended."""
        if self._slots.locked():
            text = f"in line for a worker on {job.node}"
            await _tell(job, address, {"state": "queued", "text": text})
        async with self._slots:
            try:
                worker = await _start_worker(address)
            except OSError as exc:
                error = f"The server could not start a worker process: {exc.strerror}."
                await _tell(job, address, {"state": "failed", "error": error}, final=True)
                return None
            return _why_lost(await self._work(job, worker))

    async def _work(self, job: Job, worker: asyncio.subprocess.Process) -> int:
        """Tell a worker its job, and kill it if somebody wants that; return its exit status."""
        talk = asyncio.ensure_future(worker.communicate(job.to_json()))
        self._offers.make(Deed.KILL, job)
        try:
            while not talk.done():
                await asyncio.wait([talk], timeout=LOOK_S)
                if self._offers.is_taken(Deed.KILL, job) and worker.returncode is None:
                    worker.kill()
        finally:
            self._offers.withdraw(Deed.KILL, job)
            if worker.returncode is None:
                worker.kill()
            await talk
        return worker.returncode or 0

    async def _is_to_be_tried_again(self, job: Job) -> bool:
        """Wait a while for somebody to want that."""
        if self._is_done(job):
            return False
        self._offers.make(Deed.RETRY, job)
        try:
            for _ in range(round(RETRY_S / LOOK_S)):
                await asyncio.sleep(LOOK_S)
                if self._offers.is_taken(Deed.RETRY, job):
                    return True
            return False
        finally:
            self._offers.withdraw(Deed.RETRY, job)

    def _is_done(self, job: Job) -> bool:
        """Tell whether a worker was lost when all was done but to say so."""
        return self._folder.report(job.id).exists()

    def _ending(self, job: Job, error: str) -> dict[str, str]:
        if self._is_done(job):
            return {"state": "done", "href": job.href}
        return {"state": "failed", "error": error}


async def _start_worker(address: Address) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *WORKER, stdin=asyncio.subprocess.PIPE, env=address.environ()
    )


def _why_lost(status: int) -> str | None:
    if status == 0:
        return None
    if status < 0:
        name = signal.Signals(-status).name
        return f"The worker process was killed ({name}) before it had finished. Please try again."
    return f"The worker process ended too early (status {status}). Please try again."


async def _tell(job: Job, address: Address, update: dict[str, str], *, final: bool = False) -> None:
    """Tell all who wait for a job; what has ended already is not changed by that."""
    message = {"kind": "progress", "attempt": job.attempt} | update
    try:
        async with asyncio.timeout(TELL_TIMEOUT_S), address.publisher() as publisher:
            await asyncio.gather(
                *(
                    publisher.send(
                        sid, {"title": title} | message, key=job.key, run=job.run, final=final
                    )
                    for sid, title in job.audience.items()
                )
            )
    except (ProgressError, TimeoutError) as exc:
        log.warning("browsers not told", state=update["state"], reason=str(exc))
