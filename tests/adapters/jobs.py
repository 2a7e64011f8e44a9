"""The tasks of the tests' Celery worker."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import Reject

from progress_ws.celery import ProgressTask

#: Until an attempt is repeated: a node that pauses for a second has shown by then that it waits.
LATER_S = 1.2

app = Celery("jobs", broker=os.environ.get("PROGRESS_WS_AMQP_URL"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)
options: dict[str, Any] = {
    "bind": True,
    "base": ProgressTask,
    "title": "Report",
    "retry_jitter": False,
}


@app.task(**options)
def report(self: Any, rows: int, sid: str | None = None) -> str:
    with self.progress(sid, total=rows) as bar:
        for _ in range(rows):
            bar.advance()
    return "done"


@app.task(**options)
def looped(self: Any, fails: bool) -> None:
    for n in self.track(range(3)):
        if fails and n == 1:
            raise ValueError("broken")


@app.task(max_retries=2, **options)
def stubborn(self: Any, succeeds_at: int, later_s: float = LATER_S) -> None:
    """Ask for the retry by hand, outside of the block."""
    try:
        with self.progress(total=2) as bar:
            bar.advance()
            if self.request.retries < succeeds_at:
                raise ValueError(f"broken {self.request.retries}")
    except ValueError as exc:
        raise self.retry(exc=exc, countdown=later_s) from exc


@app.task(
    autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1, "countdown": LATER_S}, **options
)
def automatic(self: Any) -> None:
    with self.progress():
        raise ValueError("broken")


@app.task(**options)
def inside(self: Any) -> None:
    with self.progress():
        if not self.request.retries:
            raise self.retry(countdown=LATER_S)


@app.task(**options)
def long(self: Any, started: str, cancellable: bool = False, sid: str | None = None) -> None:
    with self.progress(sid, total=1000, cancellable=cancellable) as bar:
        for _ in range(1000):
            Path(started).touch()
            time.sleep(0.02)
            bar.advance()


@app.task(**options)
def twice(self: Any) -> None:
    for _ in range(2):
        with self.progress(total=1) as bar:
            bar.advance()
    with self.progress(key="other"):
        pass


@app.task(**options)
def swallows(self: Any) -> None:
    try:
        with self.progress():
            raise ValueError("broken")
    except ValueError:
        pass


@app.task(acks_late=True, **options)
def rejects(self: Any, requeue: bool) -> None:
    with self.progress():
        if not (self.request.delivery_info or {}).get("redelivered"):
            raise Reject("no", requeue=requeue)


@app.task(max_retries=1, **options)
def shows_nothing(self: Any, ends: str) -> None:
    if ends == "retry" and not self.request.retries:
        raise self.retry(exc=ValueError("broken"), countdown=0.2)
    if ends == "failure":
        raise ValueError("broken")


@app.task(time_limit=1, **options)
def too_long(self: Any) -> None:
    with self.progress():
        time.sleep(30)


@app.task(acks_late=True, **options)
def late(self: Any, started: str) -> None:
    with self.progress(total=2) as bar:
        bar.advance()
        Path(started).touch()
        if not (self.request.delivery_info or {}).get("redelivered"):
            time.sleep(30)
        bar.advance()


@app.task(**options)
def ends_its_process(self: Any, sid: str) -> None:
    """Leave what only the end of the process sends."""
    for n in range(3000):
        self._publisher().post(sid, n)
    self._publisher().post(sid, "the last words")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
