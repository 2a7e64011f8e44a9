"""The event loop that a node runs in: uvloop where it is installed (the extra `fast`)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """Do what `asyncio.run` does."""
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(main)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a faster loop; None: asyncio's own is all there is."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
