"""Waiting for conditions, never for durations."""

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, overload

T = TypeVar("T")
POLL_S = 0.02
TICK_S = 0.01
PAUSE_S = 0.05


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], timeout_s: float = ..., *, what: str = ...
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], timeout_s: float = ..., *, what: str = ...
) -> T: ...


async def eventually(
    condition: Callable[[], object], timeout_s: float = 10, *, what: str = ""
) -> object:
    """Return the first true result of `condition`, a function or a coroutine function.

    A `condition` that asserts, or asks somebody who is away, is tried again; the last such error is
    the cause of the final one.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        error: Exception | None = None
        result: object = None
        try:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
        except (AssertionError, OSError) as exc:
            error = exc
        if result:
            return result
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {timeout_s:g} s: {name}; last: {result!r}") from error
        await asyncio.sleep(POLL_S)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yields a function that tells the seconds since then, without those of a machine that stood.

    For upper bounds: what was in time on a machine that works is in time on one that pauses. A
    thread that does nothing but sleep for an instant, again and again, finds out: if it slept far
    too long, nobody else here had the machine either.
    """
    end, seconds = threading.Event(), 0.0

    def count() -> None:
        nonlocal seconds
        before = time.monotonic()
        while not end.wait(TICK_S):
            now = time.monotonic()
            seconds += min(now - before, PAUSE_S)
            before = now

    thread = threading.Thread(target=count, name="stopwatch", daemon=True)
    thread.start()
    try:
        yield lambda: seconds
    finally:
        end.set()
        thread.join()
