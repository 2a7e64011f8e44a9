"""What a bar says: the progress update, its states, and which of a job's words it may repeat."""

import re
import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from math import isfinite
from typing import Any

from progress_ws.errors import Cancelled

Update = dict[str, Any]
"""A message of kind "progress"; without what is not known."""

TEXT_MAX_CHARS = 500
"""Of titles, units, phases, lines of detail and errors: the rest of a longer one is left out."""

_HALVES = re.compile("[\ud800-\udfff]")
"""Half surrogate pairs, as file names have them that are no UTF-8; no JSON holds them."""


class State(StrEnum):
    """Where a bar stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing of the run comes after it."""
        return self not in (State.QUEUED, State.RUNNING)


_latest = (0, 0)


def new_run() -> str:
    """Name a run so that it follows all that began before it, here or in an earlier millisecond."""
    global _latest
    latest_ms, count = _latest
    now_ms = time.time_ns() // 1_000_000
    # Short loops inside of another begin many runs of one key in a millisecond.
    _latest = (now_ms, 0) if now_ms > latest_ms else (latest_ms, count + 1)
    return f"{_latest[0]:013d}-{_latest[1]:04x}{secrets.token_hex(4)}"


def clipped(text: object) -> str:
    """Return it as a text that fits into an update; what is no UTF-8 in it shows as U+FFFD."""
    shown = str(text)
    if len(shown) > TEXT_MAX_CHARS:
        shown = shown[: TEXT_MAX_CHARS - 1] + "…"
    return readable(shown)


def readable(text: str) -> str:
    """Return it as JSON can hold it: what is no UTF-8 in it shows as U+FFFD."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def told(exc: BaseException) -> str:
    """Say in a line what went wrong: kind and first line, never a traceback with a job's data."""
    first, *_ = str(exc).strip().splitlines() or [""]
    name = type(exc).__name__
    return clipped(f"{name}: {first}" if first else name)


def plain(number: float) -> float | None:
    """Turn a number of any library into one that JSON has; None for NaN and the infinities."""
    if type(number) is not int and type(number) is not float:
        number = int(number) if hasattr(number, "__index__") else float(number)
    return number if type(number) is int or isfinite(number) else None


def update(state: State, **fields: Any) -> Update:
    """Make an update of what is known."""
    known = {name: value for name, value in fields.items() if value is not None}
    return {"kind": "progress", "state": state.value, **known}


class Request:
    """A browser's wish to stop, which a bar shares with its children.

    Attributes:
        made: it has been made.
        stop: what the next step raises.
    """

    __slots__ = ("made", "on_cancel", "raises", "stop", "wanted")

    def __init__(
        self, *, wanted: bool, raises: bool, on_cancel: Callable[[], object] | None
    ) -> None:
        self.wanted = wanted or raises or on_cancel is not None
        self.raises = raises
        self.on_cancel = on_cancel
        self.made = False
        self.stop: Cancelled | None = None

    def make(self) -> None:
        """Ask the job to stop."""
        if self.made:
            return
        self.made = True
        if self.raises:
            self.stop = Cancelled("a browser asked to stop")
        if self.on_cancel is not None:
            self.on_cancel()
