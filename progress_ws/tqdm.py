"""tqdm that is also seen in the browser.

from progress_ws.tqdm import tqdm

for row in tqdm(rows, desc="Import", sid=sid): ...
"""

import atexit
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from tqdm import tqdm as _tqdm

from progress_ws.errors import Cancelled
from progress_ws.publish.bar import KEY, STALL_S, Bar
from progress_ws.publish.place import Tracker, find_progress

__all__ = ["tqdm", "trange"]


class _Nowhere:
    """A file for a bar that is drawn in the browser alone."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class tqdm(_tqdm):  # noqa: N801  it replaces its namesake
    """A drop-in for tqdm's: draws in the terminal as always, and is a bar in the browser.

    Every argument of tqdm's means what it always does. `desc` is the title, a later description the
    phase, the postfix the text. With `disable=None` it is drawn in the terminal only if there is
    one, and in the browser always; with `disable=True` nowhere.

    It is `done` when the loop or its `with` block ends or `close` is called, `failed` if an
    exception is the reason, and `cancelled` when a loop is left before its end. Reset, it begins
    anew.

    Args:
        sid: the session that sees it; by default `PROGRESS_WS_SID`. Without any it is tqdm alone.
        publisher: by default one of this process, as for `track`.
        key: its name in the session; by default "progress", further ones below it in the terminal
            "progress/1", "progress/2" and so on.
        cancellable: browsers may ask to stop; the next step then raises `Cancelled`.
        on_cancel: likewise, and this is called when they do.
        stall_s: see `Publisher.progress`.
    """

    _bar: Bar | None = None

    def __init__(
        self,
        *args: Any,
        sid: str | None = None,
        publisher: Tracker | None = None,
        key: str | None = None,
        cancellable: bool = False,
        on_cancel: Callable[[], object] | None = None,
        stall_s: float = STALL_S,
        **kwargs: Any,
    ) -> None:
        progress = find_progress(sid, publisher)
        if progress is not None and kwargs.get("disable", False) is None:
            kwargs["disable"] = False
            if not getattr(kwargs.get("file") or sys.stderr, "isatty", bool)():
                kwargs["file"] = _Nowhere()
        super().__init__(*args, **kwargs)
        if progress is None or self.disable:
            return
        self._handled = sys.exc_info()[1]
        self._left: BaseException | None = None
        self._is_loop = self._is_block = False
        scale = self.unit_scale
        self._scale = 1 if isinstance(scale, bool) else scale
        self._untold = (self.desc, None)
        line = abs(self.pos)
        self._begin = partial(
            progress,
            key=key or (f"{KEY}/{line}" if line else KEY),
            title=self.desc.removesuffix(": ") or None,
            unit=None if self.unit == "it" else self.unit,
            cancellable=cancellable,
            raise_cancelled=cancellable,
            on_cancel=on_cancel,
            stall_s=stall_s,
        )
        self._begin_run()

    def update(self, n: float = 1) -> bool | None:
        """Count, as tqdm does.

        Raises:
            Cancelled: a browser has asked to stop, and it was made with `cancellable`.
        """
        drawn: bool | None = super().update(n)
        if self._bar is not None and not self._is_loop:
            self._bar.set(self.n * self._scale)
        return drawn

    def reset(self, total: float | None = None) -> None:
        """Begin anew, as tqdm does: as a new run, for within a run no count goes back."""
        before = self.n
        super().reset(total)
        if self._bar is not None and self.n < before and not (self._is_loop or self.disable):
            self._begin_run(self._bar)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Draw, in the browser too: here tqdm comes by after every change but a mere count."""
        if self._bar is not None:
            self._tell(self._bar)
        return super().refresh(*args, **kwargs)

    def close(self) -> None:
        """End it, as tqdm does; in a `finally` that an exception has come to, as failed."""
        super().close()
        if self._bar is not None and not self._is_loop:
            reason = sys.exc_info()[1]
            self._end(self._bar, None if reason is self._handled else reason)

    def __iter__(self) -> Iterator[Any]:
        drawn: Generator[Any, None, None] = super().__iter__()
        if self._bar is None or self.disable:
            return drawn
        return self._shown(self._bar, drawn)

    def __enter__(self) -> "tqdm":
        self._is_block = True
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        if self._bar is not None:
            self._end(self._bar, exc or self._left)
        super().__exit__(exc_type, exc, traceback)

    def __del__(self) -> None:
        if self._bar is not None:
            self._end(self._bar, GeneratorExit())
        super().__del__()

    def _begin_run(self, before: Bar | None = None) -> None:
        if before is not None and before.cancelled:  # the next step says so
            return
        self._told = self._untold
        self._bar = self._begin()
        self._tell(self._bar)

    def _shown(self, bar: Bar, drawn: Generator[Any, None, None]) -> Iterator[Any]:
        """Count each item, however seldom the terminal is drawn, and see how the loop ends."""
        self._is_loop = True
        try:
            for item in drawn:
                yield item
                bar.advance(self._scale)
        except BaseException as exc:
            self._left = exc
            if not (self._is_block and isinstance(exc, GeneratorExit)):  # the block knows more
                bar.leave(exc)
            raise
        else:
            self._end(bar, None)
        finally:
            drawn.close()
            self._is_loop = False

    def _end(self, bar: Bar, exc: BaseException | None) -> None:
        if not bar.has_ended:
            self._tell(bar)
            bar.leave(exc)

    def _tell(self, bar: Bar) -> None:
        """Say everything that may have changed, also by hand."""
        if self._told != (told := (self.desc, self.postfix)):
            if self._told[0] != self.desc:
                bar.phase(self.desc.removesuffix(": "))
            bar.text(None if self.postfix is None else str(self.postfix))
            self._told = told
        bar.total = None if self.total is None else self.total * self._scale
        if not self._is_loop:  # of which tqdm knows the count only now and then
            with suppress(Cancelled):  # refreshing is no step; the next one raises it
                bar.set(self.n * self._scale)


def trange(*args: int, **kwargs: Any) -> tqdm:
    """Return `tqdm(range(*args), **kwargs)`."""
    return tqdm(range(*args), **kwargs)


@atexit.register
def _end_complete() -> None:
    """At the end of a program see to it that what is complete, though never closed, is done."""
    for each in list(tqdm._instances):
        if isinstance(each, tqdm) and each._bar and each.total and each.n >= each.total:
            each._end(each._bar, None)
