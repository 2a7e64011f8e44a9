"""Where a bar is shown if nobody says so: the one rule of `track` and the adapters."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from progress_ws.core.progress import Request
from progress_ws.publish.bar import KEY, Bar


class Tracker(Protocol):
    """A publisher, of either kind."""

    @property
    def progress(self) -> Callable[..., Bar]:
        """See `Publisher.progress`."""


def find_sid(sid: str | None) -> str | None:
    """Return the session, by default that of the environment; None: there is none."""
    return sid or os.environ.get("PROGRESS_WS_SID") or None


def find_progress(sid: str | None, publisher: Tracker | None) -> Callable[..., Bar] | None:
    """Return what begins a bar; None without any sid.

    Raises:
        SettingsError: there is a sid, and no publisher to be found.
    """
    found = find_sid(sid)
    return None if found is None else partial((publisher or _default()).progress, found)


def unseen(*, key: str = KEY, **options: Any) -> Bar:
    """Make a bar that nobody sees, for a job that runs without a session."""
    request = Request(wanted=False, raises=False, on_cancel=None)
    known = {"total", "title", "unit", "run", "attempt"} & options.keys()
    return Bar(_NOBODY, "", key=key, request=request, **{name: options[name] for name in known})


def _default() -> Tracker:
    from progress_ws.publish.default import default_publisher

    publisher: Tracker = default_publisher()
    return publisher


class _Nobody:
    """The owner of bars that nobody sees."""

    def report(self, bar: Bar) -> None:
        pass

    def settle(self) -> None:
        pass

    async def asettle(self) -> None:
        pass


_NOBODY = _Nobody()
