"""Waiting for conditions, never for durations."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
POLL_S = 0.02


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
