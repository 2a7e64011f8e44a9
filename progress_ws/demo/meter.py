"""How far a job is, as the progress updates that browsers get."""

import time
from collections.abc import Callable
from math import exp
from typing import Any

Update = dict[str, Any]
"""A progress update: a JSON object of kind "progress"."""

INTERVAL_S = 0.1
RATE_MEMORY_S = 4.0
"""The rate is that of the last seconds, so that the time left follows a change of pace."""

ETA_AFTER_S = 1.0


class Meter:
    """Turns "so many rows so far" into updates, ten a second at most.

    Args:
        emit: takes an update that is worth showing.
        title: what the job is, for people.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        emit: Callable[[Update], None],
        *,
        title: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._emit = emit
        self._title = title
        self._clock = clock
        self._started = clock()
        self.begin("Starting")

    def begin(
        self, phase: str, *, total: float | None = None, unit: str | None = None, text: str = ""
    ) -> None:
        """Enter a phase of the job.

        Args:
            phase: its name.
            total: how much there is to do, if known.
            unit: of what.
            text: a line of detail.
        """
        self._phase = {"phase": phase, "unit": unit, "text": text or None}
        self._total = total
        self._current = 0.0
        self._rate = 0.0
        self._begun = self._shown = self._clock()
        self._emit(self._update())

    def advance(self, current: float, total: float | None = None) -> None:
        """Say how much of the phase is done, and how much there is if that is better known now."""
        now = self._clock()
        passed = now - self._shown
        if passed < INTERVAL_S:
            return
        # At first the mean rate of the phase, later more and more that of the last seconds.
        pace = (current - self._current) / passed
        weight = max(1 - exp(-passed / RATE_MEMORY_S), passed / (now - self._begun))
        self._rate += (pace - self._rate) * weight
        self._current = current
        self._total = total or self._total
        self._shown = now
        self._emit(self._update())

    def done(self, *, total: float, unit: str, text: str, href: str) -> Update:
        """Return the last update of a job that succeeded.

        Args:
            total: how much was done.
            unit: of what.
            text: the result in a line.
            href: where the result is.
        """
        return self._result("done", current=total, total=total, unit=unit, text=text, href=href)

    def failed(self, error: str) -> Update:
        """Return the last update of a job that did not succeed; error is a sentence for people."""
        return self._result("failed", error=error)

    def _result(self, state: str, **fields: Any) -> Update:
        elapsed_s = round(self._clock() - self._started, 1)
        update = {"kind": "progress", "state": state, "title": self._title}
        return update | fields | {"elapsed_s": elapsed_s}

    def _update(self) -> Update:
        now = self._clock()
        update = {
            "kind": "progress",
            "state": "running",
            "title": self._title,
            **self._phase,
            "current": self._current,
            "total": self._total,
            "elapsed_s": round(now - self._started, 1),
        }
        if self._rate > 0:
            update["rate"] = round(self._rate, 1)
            if self._total is not None and now - self._begun >= ETA_AFTER_S:
                update["eta_s"] = round(max(0.0, self._total - self._current) / self._rate, 1)
        return {name: value for name, value in update.items() if value is not None}
