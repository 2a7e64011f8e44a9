"""rich's progress display that is also seen in the browser.

from progress_ws.rich import Progress

with Progress(sid=sid) as progress:
    for row in progress.track(rows, description="Import"): ...
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from operator import length_hint
from types import TracebackType
from typing import Any, Self, TypeVar

from rich import progress as rich_progress
from rich.errors import MarkupError
from rich.markup import render
from rich.progress import ProgressColumn, Task, TaskID

from progress_ws.core.progress import State
from progress_ws.errors import Cancelled
from progress_ws.publish.bar import KEY, STALL_S, Bar
from progress_ws.publish.place import Tracker, find_progress

__all__ = ["Progress"]

T = TypeVar("T")


class Progress(rich_progress.Progress):
    """A drop-in for rich's: draws in the terminal as always, and each task is a bar in the browser.

    A task is shown once it is visible and started. Its description is the title, a later one the
    phase. Finished it is `done`, also if its total is not known; stopped, removed or left
    before its total `cancelled`; `failed` if an exception leaves the block. Reset, or given a
    greater total, it begins anew.

    Args:
        sid: the session that sees it; by default `PROGRESS_WS_SID`. Without any it is rich alone.
        publisher: by default one of this process, as for `track`.
        key: the first task's name in the session; the others are "<key>/1", "<key>/2" and so on.
        cancellable: browsers may ask to stop; the next step of any task then raises `Cancelled`.
        on_cancel: likewise, and this is called when they do.
        stall_s: see `Publisher.progress`.
    """

    def __init__(
        self,
        *columns: str | ProgressColumn,
        sid: str | None = None,
        publisher: Tracker | None = None,
        key: str = KEY,
        cancellable: bool = False,
        on_cancel: Callable[[], object] | None = None,
        stall_s: float = STALL_S,
        **options: Any,
    ) -> None:
        super().__init__(*columns, **options)
        self._begin = None if self.disable else find_progress(sid, publisher)
        self._key = key
        self._keys: dict[TaskID, str | None] = {}
        self._options = {
            "cancellable": cancellable,
            "raise_cancelled": cancellable,
            "on_cancel": on_cancel,
            "stall_s": stall_s,
        }
        self._bars: dict[TaskID, Bar] = {}
        self._descriptions: dict[TaskID, str] = {}
        self._tracked: set[TaskID] = set()
        self._is_block = False

    def add_task(
        self, description: str, *args: Any, key: str | None = None, **options: Any
    ) -> TaskID:
        """Add a task as rich does; `key` is its name in the session."""
        task_id = super().add_task(description, *args, **options)
        self._keys[task_id] = key
        self._tell(task_id)
        return task_id

    def start_task(self, task_id: TaskID) -> None:
        """Start it as rich does."""
        super().start_task(task_id)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Count as rich does.

        Raises:
            Cancelled: a browser has asked to stop, and it was made with `cancellable`.
        """
        super().advance(task_id, advance)
        self._step(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task as rich does.

        Raises:
            Cancelled: see `advance`.
        """
        super().update(task_id, **changes)
        self._step(task_id)

    def reset(self, task_id: TaskID, **changes: Any) -> None:
        """Begin a task anew as rich does: as a new run, for within a run no count goes back."""
        task = self._tasks[task_id]
        before = task.completed
        super().reset(task_id, **changes)
        is_shown_anew = task.completed < before and task.visible and task.started
        bar = self._bars.get(task_id)
        if bar is not None and (bar.has_ended or (is_shown_anew and not bar.cancelled)):
            del self._bars[task_id]
        self._tell(task_id)

    def stop_task(self, task_id: TaskID) -> None:
        """Stop a task as rich does: it ends."""
        super().stop_task(task_id)
        self._end(task_id)

    def remove_task(self, task_id: TaskID) -> None:
        """Remove a task as rich does: it ends."""
        self._end(task_id)
        self._bars.pop(task_id, None)
        super().remove_task(task_id)

    def stop(self) -> None:
        """Stop as rich does: all tasks end."""
        super().stop()
        for task_id in list(self._bars):
            self._end(task_id)

    def track(
        self,
        sequence: Iterable[T],
        total: float | None = None,
        completed: int = 0,
        task_id: TaskID | None = None,
        description: str = "Working...",
        update_period: float = 0.1,
    ) -> Iterable[T]:
        """Loop as rich does.

        Raises:
            Cancelled: see `advance`.
        """
        if task_id is None:
            total = total if total is not None else float(length_hint(sequence)) or None
            task_id = self.add_task(description, total=total, completed=completed)
        more: dict[str, Any] = {"completed": completed} if completed else {}
        drawn = super().track(
            sequence, total=total, task_id=task_id, update_period=update_period, **more
        )
        return drawn if self._begin is None else self._shown(task_id, iter(drawn))

    def __enter__(self) -> Self:
        self._is_block = True
        super().__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for bar in self._bars.values() if exc is not None else ():
            if not bar.has_ended:
                bar.leave(exc)
        super().__exit__(exc_type, exc, traceback)

    def _shown(self, task_id: TaskID, drawn: Any) -> Iterator[T]:
        """Loop, and see how the loop ends; rich may count in a thread, where nothing is raised."""
        self._tracked.add(task_id)
        left: BaseException | None = None
        try:
            for item in drawn:
                yield item
                if (bar := self._bars.get(task_id)) is not None:
                    bar.advance(0)
        except BaseException as exc:
            left = exc
            raise
        finally:
            drawn.close()  # its thread tells the count
            self._tracked.discard(task_id)
            bar = self._bars.get(task_id)
            is_of_block = self._is_block and isinstance(left, GeneratorExit)  # which knows more
            if bar is not None and not bar.has_ended and not is_of_block:
                bar.leave(left)

    def _step(self, task_id: TaskID) -> None:
        self._tell(task_id)
        if task_id not in self._tracked and (bar := self._bars.get(task_id)) is not None:
            bar.advance(0)

    def _tell(self, task_id: TaskID) -> None:
        """Say how a task stands now."""
        if self._begin is None or task_id not in self._keys:  # just being added
            return
        with self._lock:
            task = self._tasks[task_id]
            bar = self._bars.get(task_id)
            if bar is None or (bar.state is State.DONE and not task.finished):
                if not (task.visible and task.started):
                    return
                bar = self._bars[task_id] = self._new_bar(task)
            if self._descriptions[task_id] != task.description:
                self._descriptions[task_id] = task.description
                bar.phase(_plain(task.description))
            bar.total = task.total
            with suppress(Cancelled):
                bar.set(task.completed)
            if task.finished and not bar.has_ended:
                bar.done()

    def _new_bar(self, task: Task) -> Bar:
        assert self._begin is not None
        self._descriptions[task.id] = task.description
        key = self._keys.get(task.id) or (f"{self._key}/{task.id}" if task.id else self._key)
        return self._begin(
            key=key, title=_plain(task.description), total=task.total, **self._options
        )

    def _end(self, task_id: TaskID) -> None:
        """End a task that has been left where it is."""
        bar = self._bars.get(task_id)
        if bar is not None and not bar.has_ended:
            bar.leave(None if bar.total is None else GeneratorExit())


def _plain(description: str) -> str:
    """Take the colours out of a text."""
    with suppress(MarkupError):
        return render(description).plain
    return description
