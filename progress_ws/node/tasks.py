"""Long-lived tasks have one owner that notices their death."""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

log = structlog.get_logger(__name__)


class Owner:
    """Starts tasks that should never end by themselves, and says so when one does."""

    def __init__(self, *, on_death: Callable[[str], None]) -> None:
        self._on_death = on_death
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        """Run a coroutine as a task of this owner."""
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._on_done)
        self._tasks.add(task)

    async def stop(self) -> None:
        """Cancel all of them and wait for their end."""
        for task in self._tasks:
            task.remove_done_callback(self._on_done)
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        # `stop` takes this callback away first, so a cancelled task was cancelled by a bug.
        exc = None if task.cancelled() else task.exception()
        log.critical("task died", task=task.get_name(), exc_info=exc)
        self._on_death(f"the task {task.get_name()!r} died; see the log")
