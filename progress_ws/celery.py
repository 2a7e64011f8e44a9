"""Celery tasks that are seen in the browser: waiting, running, tried again, revoked, at their end.

from progress_ws.celery import ProgressTask

@app.task(bind=True, base=ProgressTask)
def report(self, rows):
    with self.progress(total=rows) as bar: ...

report.apply_async((500,), sid=sid)
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from celery import Task, signals, states
from celery.exceptions import Ignore, Retry

from progress_ws.core import codec
from progress_ws.core.progress import State, new_run, told, update
from progress_ws.errors import Cancelled
from progress_ws.publish.bar import KEY, Bar
from progress_ws.publish.blocking import BlockingPublisher
from progress_ws.publish.default import default_publisher
from progress_ws.publish.place import find_sid, unseen
from progress_ws.publish.track import length, loop

__all__ = ["ProgressTask"]

T = TypeVar("T")

SID, RUN = "progress-ws-sid", "progress-ws-run"
"""Headers of a task's message: who sees it, and the run that all its attempts are parts of."""
TERMINATED = signal.SIGTERM - 256
"""With this `SystemExit` SIGTERM unwinds what a child of Celery's is doing: Celery revokes so."""
CLOCKS_S = 0.5
"""By so much the worker's main process may have begun earlier to count a child's time."""
FLUSH_TIMEOUT_S = 2.0
"""What the end of a task, or of its process, may wait for the broker."""


class ProgressTask(Task):
    """A base for tasks: `@app.task(bind=True, base=ProgressTask, title="Report")`.

    Each attempt is a greater run of the key. An attempt that will be repeated is shown as `queued`
    and says when and why; the last failure as `failed`; a task that was revoked as `cancelled`. One
    that shows no bar of its key, or fails before it does, ends it all the same.

    Attributes:
        title: what it is, for people.
        key: its name in the session.
        publisher: who shows it; by default the one of this process, as for `track`.
    """

    abstract = True
    title: str | None = None
    key: str = KEY
    publisher: BlockingPublisher | None = None

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        *more: Any,
        sid: str | None = None,
        **options: Any,
    ) -> Any:
        """Send it as Celery does; with a `sid`, that session sees it from now on, as `queued`.

        The session travels with the task, which then needs no other word of it.

        Raises:
            SettingsError: there is a sid, and no publisher to be found; the task is not sent.
            InvalidMessage: no node would accept sid or key; the task is not sent.
        """
        headers = {RUN: new_run()} | (options.pop("headers", None) or {})
        if sid is not None:
            codec.new_draft(sid, "", key=self.key, max_message_bytes=0)
            self._publisher()
            headers[SID] = sid
        result = super().apply_async(args, kwargs, *more, headers=headers, **options)
        if sid is not None and not self.app.conf.task_always_eager:
            self._post(State.QUEUED, sid, f"{headers[RUN]}.0000")
        return result

    @contextmanager
    def progress(
        self,
        sid: str | None = None,
        *,
        key: str | None = None,
        title: str | None = None,
        total: float | None = None,
        unit: str | None = None,
        cancellable: bool = False,
        on_cancel: Callable[[], object] | None = None,
        **options: Any,
    ) -> Iterator[Bar]:
        """Show this attempt while the block runs.

            with self.progress(sid, total=500) as bar:
                bar.advance()

        Args:
            sid: the session; by default the one that it was sent with, or `PROGRESS_WS_SID`.
                Without any the bar is seen by nobody.
            key: its name in the session; by default the task's `key`.
            title: what it is, for people; by default the task's `title`.
            total: how many there are to do; None: not known.
            unit: of what.
            cancellable: browsers may ask to stop. The next step then leaves the block, and the task
                ends in Celery's state REVOKED.
            on_cancel: likewise, and this is called when they do.
            **options: see `Publisher.progress`.
        """
        request, key = self.request, key or self.key
        sid = find_sid(sid or (request.headers or {}).get(SID))
        options |= {"title": title or self.title, "total": total, "unit": unit}
        options |= {"cancellable": cancellable, "on_cancel": on_cancel}
        options |= {"raise_cancelled": cancellable, "attempt": request.retries + 1}
        run = self._run(key)
        if sid is None:
            bar = unseen(key=key, run=run, **options)
        else:
            bar = self._publisher().progress(sid, key=key, run=run, **options)
        shown = _Shown(bar)
        self._all_shown().append(shown)
        try:
            yield bar
        except Cancelled as exc:
            bar.leave(exc)
            self._revoke(exc)
            raise
        except (Exception, GeneratorExit) as exc:
            if request.called_directly:
                bar.leave(exc)
            shown.left = exc  # what it means, the end of the attempt knows
            raise
        except BaseException as exc:
            if isinstance(exc, SystemExit) and exc.code == TERMINATED:
                self._terminate(bar)
            elif isinstance(exc, SystemExit):
                bar.failed(exc)  # to Celery its child is lost, whatever the status
            bar.leave(exc)
            raise
        else:
            bar.leave(None)

    def track(
        self,
        iterable: Iterable[T],
        *,
        sid: str | None = None,
        total: float | None = None,
        **options: Any,
    ) -> Iterator[T]:
        """Loop over something, and show how far the loop is; with the options of `progress`."""
        total = length(iterable) if total is None else total
        return loop(iterable, partial(self.progress, sid, total=total, **options))

    def _publisher(self) -> BlockingPublisher:
        publisher = self.publisher or default_publisher()
        _used[publisher] = None
        return publisher

    def _post(self, state: State, sid: str, run: str, **fields: Any) -> None:
        says = update(state, title=self.title, **fields)
        self._publisher().post(sid, says, key=self.key, run=run, final=state.is_final)

    def _all_shown(self) -> list["_Shown"]:
        """Return what this attempt shows; kept where Celery keeps what it knows of the attempt."""
        shown: list[_Shown] = self.request.__dict__.setdefault("progress_ws", [])
        return shown

    def _run(self, key: str) -> str:
        """Name a run above all of former attempts, and of this attempt's former bars of the key."""
        request = self.request
        begun: str = request.__dict__.setdefault(
            "progress_ws_run", (request.headers or {}).get(RUN) or new_run()
        )
        before = sum(shown.bar.key == key for shown in self._all_shown())
        return _attempt(begun, request) + (f"-{before:04d}" if before else "")

    def _end_key(self, retval: Any) -> None:
        """End what the sender has shown as `queued`, if the attempt has shown nothing of it."""
        request, headers = self.request, self.request.headers or {}
        if SID not in headers or any(shown.bar.key == self.key for shown in self._all_shown()):
            return
        bar = self._publisher().progress(
            headers[SID],
            key=self.key,
            title=self.title,
            run=self._run(self.key),
            attempt=request.retries + 1,
        )
        self._all_shown().append(_Shown(bar, retval if isinstance(retval, Exception) else None))

    def _terminate(self, bar: Bar) -> None:
        """End a bar whose child of Celery's is ended by SIGTERM."""
        request = self.request
        limit_s = (request.timelimit or (None,))[0] or self.time_limit
        ran_s = time.monotonic() - request.__dict__.get("progress_ws_begun_s", time.monotonic())
        if limit_s and ran_s >= limit_s - CLOCKS_S:
            bar.failed(f"TimeLimitExceeded: {limit_s:g} s")
        elif self.acks_late and SID in (request.headers or {}):
            # The worker is told to end at once, and another will have the task; if it was revoked,
            # the worker's main process says so.
            bar.put_off("interrupted")
        else:
            bar.cancel("revoked")

    def _revoke(self, exc: Cancelled) -> None:
        """End in Celery's eyes as if it had been revoked there.

        Neither a success nor a failure: whoever waits for the result is told, a chord goes on, and
        nothing tries it again.
        """
        request = self.request
        if request.called_directly:
            return
        self.backend.mark_as_revoked(
            request.id,
            "cancelled in the browser",
            request=request,
            store_result=not (self.ignore_result or request.ignore_result),
        )
        raise Ignore("cancelled in the browser") from exc


class _Shown:
    """A bar of an attempt, and by what its block was left."""

    def __init__(self, bar: Bar, left: BaseException | None = None) -> None:
        self.bar = bar
        self.left = left


_used: dict[BlockingPublisher, None] = {}
"""Those that this process has shown something with."""


def _attempt(begun: str, request: Any) -> str:
    """Name the run of an attempt; delivered again, as its worker is gone, it is a greater one."""
    again = "~" if (request.delivery_info or {}).get("redelivered") else ""
    return f"{begun}.{(request.retries or 0) + 1:04d}{again}"


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _begin_attempt(task: Any, **_more: Any) -> None:
    if isinstance(task, ProgressTask):
        task.request.__dict__["progress_ws_begun_s"] = time.monotonic()


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def _end_attempt(task: Any, retval: Any = None, state: Any = None, **_more: Any) -> None:
    """Say what has become of an attempt, and see that it is told before the next task begins."""
    if not isinstance(task, ProgressTask):
        return
    task._end_key(retval)
    for shown in task._all_shown():
        if not shown.bar.has_ended:
            _end(task, shown, state, retval)
    if task._all_shown():
        _flush()


def _end(task: ProgressTask, shown: _Shown, state: str | None, retval: Any) -> None:
    bar, left = shown.bar, shown.left
    if state == states.RETRY and isinstance(retval, Retry):
        reason = retval.exc or (None if isinstance(left, (Retry, GeneratorExit)) else left)
        bar.put_off(
            f"will be tried again {_when(retval.when)}" + (f": {told(reason)}" if reason else "")
        )
    elif state == states.REJECTED and getattr(retval, "requeue", False):
        bar.put_off("will be tried again")
    elif state == states.IGNORED:
        bar.cancel()
    elif state is None:  # nothing has become of it
        task._terminate(bar)
    elif isinstance(left, GeneratorExit) and isinstance(retval, Exception):
        bar.leave(retval)
    else:
        bar.leave(left)


def _when(when: object) -> str:
    if isinstance(when, datetime):
        zoned = when if when.tzinfo else when.replace(tzinfo=UTC)
        when = max(0.0, (zoned - datetime.now(UTC)).total_seconds())
    return f"in {when:.0f} s" if isinstance(when, (int, float)) else "soon"


@signals.task_revoked.connect  # type: ignore[untyped-decorator]
def _show_revoked(sender: Any, request: Any, expired: bool = False, **_more: Any) -> None:
    """Show that a task was revoked: before it began, or while it ran, whatever has ended it.

    Called in the worker's main process, which knows the session if the task was sent with it.
    """
    headers = request.headers or {}
    if isinstance(sender, ProgressTask) and SID in headers and RUN in headers:
        run = _attempt(headers[RUN], request)
        text = "expired" if expired else "revoked"
        sender._post(State.CANCELLED, headers[SID], run, text=text)


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _end_process(**_more: Any) -> None:
    """Send what waits: a child of Celery's ends on the spot, without Python's own ending."""
    for publisher in list(_used):
        publisher.close(timeout_s=FLUSH_TIMEOUT_S)


def _flush() -> None:
    for publisher in list(_used):
        publisher.flush(timeout_s=FLUSH_TIMEOUT_S)
