"""A bar: how far a job is, told by the job in plain calls that cost next to nothing.

Its methods only change it. The `Reporter` of its publisher looks at it ten times a second and sends
what is new, so that a tight loop pays for a few assignments, whatever the broker does.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from progress_ws.core.pace import Pace
from progress_ws.core.progress import (
    Request,
    State,
    Update,
    clipped,
    new_run,
    plain,
    told,
    update,
)
from progress_ws.errors import Cancelled
from progress_ws.publish.parts import Parts, key_of_part

INTERVAL_S = 0.1
"""Ten updates a second and key: what an eye can follow."""
REPEATS = 3
"""So often within `stall_s` a bar speaks, whatever happens: two of them may be late or lost."""
STALL_S = 15.0
KEY = "progress"
"""The name of a bar that is given none."""

_SAME: Any = object()


class Owner(Protocol):
    """The publisher of a bar, as the bar knows it."""

    def report(self, bar: "Bar") -> None:
        """Send what the bar says now, at once and from any thread."""

    def settle(self) -> None:
        """Wait a little until it has been sent, where one may wait."""

    async def asettle(self) -> None:
        """See `settle`."""


class Bar:
    """One run of one key; made by `progress()` of a publisher. Safe to use from several threads.

    As a context manager it ends with its block: `done`; `failed` when an exception leaves it, with
    its kind and first line; `cancelled` when that is a cancellation, or when a browser has asked to
    stop, or a loop was left, and the bar is not complete. What comes after its end changes nothing.

    Attributes:
        sid: the session that sees it.
        key: its name there.
        run: which run of the key it is; later ones are greater.
        state: where it stands.
    """

    def __init__(
        self,
        owner: Owner,
        sid: str,
        *,
        key: str,
        request: Request,
        total: float | None = None,
        title: str | None = None,
        unit: str | None = None,
        run: str | None = None,
        attempt: int | None = None,
        stall_s: float = STALL_S,
        parent: "Bar | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sid, self.key, self.run = sid, key, run or new_run()
        self.state = State.RUNNING
        self.stall_s = stall_s
        self.request = request
        self._owner, self._parent = owner, parent
        self._title, self._unit, self._attempt = title, unit, attempt
        self._phase: str | None = None
        self._text: str | None = None
        self._error: str | None = None
        self._more: dict[str, Any] = {}
        self._current: float = 0
        self._total = total
        self._parts: Parts[Bar] = Parts()
        self._lock = threading.Lock()
        self._clock = clock
        self._begun_s = clock()
        self._pace = Pace(self._begun_s)
        self._said: tuple[object, ...] = ()
        self._said_s = -INTERVAL_S

    # -- what a job says --------------------------------------------------------------------------

    def advance(self, n: float = 1) -> None:
        """Say that `n` more are done.

        Raises:
            Cancelled: a browser has asked to stop, and the bar was made with `raise_cancelled`.
        """
        with self._lock:
            self._current += n
        if self.request.stop is not None:
            raise self.request.stop

    def set(self, current: float, total: float | None = None) -> None:
        """Say how many are done, and how many there are if that is better known now.

        Raises:
            Cancelled: see `advance`.
        """
        with self._lock:
            self._current = current
            if total is not None:
                self._total = total
        if self.request.stop is not None:
            raise self.request.stop

    @property
    def total(self) -> float | None:
        """How many there are; None: not known. It may change at any time."""
        return self._total

    @total.setter
    def total(self, total: float | None) -> None:
        self._total = total

    def phase(self, name: str, *, total: float | None = _SAME, unit: str | None = _SAME) -> None:
        """Enter a part of the job; with a `total` (None: unknown) nothing before it is counted."""
        with self._lock:
            self._phase, self._text = clipped(name), None
            if unit is not _SAME:
                self._unit = unit
            if total is not _SAME:
                self._total, self._current = total, 0
                self._parts.count_anew()
                self._pace = Pace(self._clock())

    def text(self, line: str | None) -> None:
        """Say a line of detail; None takes it away."""
        self._text = None if line is None else clipped(line)

    def child(
        self,
        name: str,
        *,
        total: float | None = None,
        title: str | None = None,
        unit: str | None = None,
        weight: float = 1.0,
    ) -> "Bar":
        """Begin a part with a bar of its own, under the key `<key>/<name>`.

        Args:
            name: its name among its siblings; one that comes again is shown in place of the former.
            total: how many there are; None: not known, then it counts when it is done.
            title: what it is, for people; by default its name.
            unit: of what.
            weight: how much of this bar it is, in the units of this bar's total. Without a total
                this bar's is the sum of the weights.
        """
        with self._lock:
            run = self._parts.run_of(name, self.run)
        bar = Bar(
            self._owner,
            self.sid,
            key=key_of_part(self.key, name),
            request=self.request,
            total=total,
            title=title or name,
            unit=unit,
            run=run,
            stall_s=self.stall_s,
            parent=self,
            clock=self._clock,
        )
        with self._lock:
            self._parts.add(bar, weight)
        self._owner.report(bar)
        return bar

    def done(self, text: str | None = None, **more: Any) -> None:
        """End it well; `more` are fields of your own for whoever shows it."""
        self._end(State.DONE, text=text, more=more)

    def failed(self, error: str | BaseException) -> None:
        """End it badly, with a short reason for people."""
        reason = told(error) if isinstance(error, BaseException) else clipped(error)
        self._end(State.FAILED, error=reason)

    def cancel(self, text: str | None = None) -> None:
        """End it because somebody asked for it."""
        self._end(State.CANCELLED, text=text)

    def put_off(self, text: str | None = None) -> None:
        """Say that it waits to be tried again, as a greater run; of this one nothing follows."""
        self._end(State.QUEUED, text=text)

    def leave(self, exc: BaseException | None) -> None:
        """End it as its block would, left by this exception or by none."""
        if isinstance(exc, (Cancelled, asyncio.CancelledError, KeyboardInterrupt)):
            self.cancel()
        elif isinstance(exc, SystemExit) and not exc.code:  # the program says that all is well
            self.done()
        elif exc is not None and not isinstance(exc, GeneratorExit):
            self.failed(exc)
        elif (exc or self.cancelled) and not self._is_complete():
            self.cancel()
        else:
            self.done()

    @property
    def has_ended(self) -> bool:
        """Whether it says nothing more."""
        return self.state is not State.RUNNING

    @property
    def cancelled(self) -> bool:
        """Whether a browser has asked to stop."""
        return self.request.made

    # -- what its reporter reads ------------------------------------------------------------------

    def update(self) -> Update | None:
        """Return what is to be sent now; None where there is nothing new, or it is too early."""
        with self._lock:
            now_s = self._clock()
            since_s = now_s - self._said_s
            current, total = self._measure()
            says = (self.state, current, total, self._phase, self._text, self._unit)
            is_new_state = not self._said or says[0] != self._said[0]
            is_due = says != self._said and since_s >= 0.9 * INTERVAL_S
            if not (is_new_state or is_due or since_s >= self.stall_s / REPEATS):
                return None
            self._said, self._said_s = says, now_s
            if current is not None:
                self._pace.sample(now_s, current)
            return self._update(now_s, current, total)

    def strip(self) -> bool:
        """Take from its end, which must be told, what may have kept it from being sent.

        Returns:
            whether there is something left to be sent.
        """
        with self._lock:
            if not self.has_ended or not (self._more or self._text):
                return False
            self._more, self._text, self._said = {}, None, ()
            return True

    def fraction(self) -> float:
        """Return how much of it is done, from 0 to 1; of an unknown total nothing until the end."""
        if self.state is State.DONE:
            return 1.0
        with self._lock:
            current, total = self._measure()
        return min(max(current / total, 0.0), 1.0) if current and total else 0.0

    # -- the rest ---------------------------------------------------------------------------------

    def _measure(self) -> tuple[float | None, float | None]:
        """Return what is done and how much there is, with its children's share; None: unknown."""
        current, total = plain(self._current), None if self._total is None else plain(self._total)
        if self._parts.weight is None:
            return current, total
        share = self._parts.share()
        if total is None:
            total = plain(self._parts.weight)
        return None if current is None else plain(round(current + share, 6)), total

    def _update(self, now_s: float, current: float | None, total: float | None) -> Update:
        rate, left_s = self._pace.rate, self._pace.left_s(total)
        is_running = not self.has_ended
        return (
            update(
                self.state,
                current=current,
                total=total,
                unit=None if self._unit is None else clipped(self._unit),
                title=None if self._title is None else clipped(self._title),
                phase=self._phase if is_running else None,
                text=self._text,
                rate=None if rate is None else round(rate, 2),
                eta_s=round(left_s, 1) if is_running and left_s is not None else None,
                elapsed_s=round(now_s - self._begun_s, 1),
                error=self._error,
                parent=None if self._parent is None else self._parent.key,
                attempt=self._attempt,
                cancellable=True if is_running and self.request.wanted else None,
            )
            | self._more
        )

    def _end(
        self,
        state: State,
        *,
        text: str | None = None,
        error: str | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        with self._lock:
            if self.has_ended:
                return
            children = self._parts.running
        for child in children:
            child._end(State.DONE if state is State.DONE else State.CANCELLED)
        with self._lock:
            self.state, self._error, self._more = state, error, more or {}
            self._text = self._text if text is None else clipped(text)
        self._owner.report(self)

    def _is_complete(self) -> bool:
        with self._lock:
            current, total = self._measure()
        return current is not None and total is not None and current >= total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave(exc)
        self._owner.settle()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave(exc)
        await self._owner.asettle()
