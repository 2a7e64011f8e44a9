"""Celery tasks that are seen in the browser: waiting, running, tried again, revoked, at their end.

from progress_ws.celery import ProgressTask

@app.task(bind=True, base=ProgressTask)
def report(self, rows):
    with self.progress(total=rows) as bar: ...

report.apply_async((500,), sid=sid)
"""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from celery import Task, signals, states
from celery.exceptions import Ignore, Retry

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
FLUSH_TIMEOUT_S = 2.0
"""What the end of a task, or of its process, may wait for the broker."""


class ProgressTask(Task):
    """A base for tasks: `@app.task(bind=True, base=ProgressTask, title="Report")`.

    Each attempt is a greater run of the key. An attempt that will be repeated is shown as `queued`
    and says when and why; the last failure as `failed`; a task that was revoked as `cancelled`.

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
        """
        headers = {RUN: new_run()} | (options.pop("headers", None) or {})
        if sid is not None:
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
                bar.cancel("revoked")
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
        return _attempt(begun, request.retries) + (f"-{before:04d}" if before else "")

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

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        self.left: BaseException | None = None


_used: dict[BlockingPublisher, None] = {}
"""Those that this process has shown something with."""


def _attempt(begun: str, retries: int) -> str:
    return f"{begun}.{retries + 1:04d}"


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def _end_attempt(task: Any, retval: Any = None, state: Any = None, **_more: Any) -> None:
    """Say what has become of an attempt, and see that it is told before the next task begins."""
    if not isinstance(task, ProgressTask) or not (all_shown := task._all_shown()):
        return
    for shown in all_shown:
        if not shown.bar.has_ended:
            _end(shown, state, retval)
    _flush()


def _end(shown: _Shown, state: str | None, retval: Any) -> None:
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
        bar.cancel("revoked")
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
        run = _attempt(headers[RUN], request.retries or 0)
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
