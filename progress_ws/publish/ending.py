"""The end of a process by SIGTERM: what waits is sent before, in a bounded time.

A handler is set only where the default action, death on the spot, would have been taken, and ends
in that very action, so that the exit status is the usual one. A handler of somebody else's, set
before or after, is never touched.
"""

import _thread
import asyncio
import atexit
import concurrent.futures
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

TERMINATED = "terminated (SIGTERM)"
TIMEOUT_S = 2.0

End = Callable[[str], Coroutine[Any, Any, None]]
"""Ends what is running, for a reason, and sends what waits."""

_watched: dict[End, asyncio.AbstractEventLoop] = {}
_is_settled = False
_terminating: list["concurrent.futures.Future[None]"] | None = None


def watch(end: End, loop: asyncio.AbstractEventLoop) -> None:
    """Have `end` run in its loop before SIGTERM ends the process."""
    for older in [e for e, its in list(_watched.items()) if its.is_closed()]:
        _watched.pop(older, None)
    _watched[end] = loop
    settle()


def forget(end: End) -> None:
    """There is nothing to lose any more."""
    _watched.pop(end, None)


def settle() -> None:
    """Decide, once and in the main thread, whether SIGTERM is ours to handle."""
    global _is_settled
    if _is_settled or threading.current_thread() is not threading.main_thread():
        return
    _is_settled = True
    with suppress(ValueError):  # the main thread of another interpreter may not
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    """Ask all loops to send what they have, and return.

    The main thread goes on meanwhile, for a few milliseconds mostly: its own loop must run, and
    locks that it holds must be let go.
    """
    global _terminating
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    _terminating = list(_ask(list(_watched.items())))
    atexit.register(_terminate)  # a program that ends by itself in these moments ends likewise
    try:
        # Not `threading`, whose locks the interrupted thread may hold.
        _thread.start_new_thread(_terminate, ())
    except RuntimeError:
        _terminate()


def _ask(
    watched: Iterable[tuple[End, asyncio.AbstractEventLoop]],
) -> Iterable["concurrent.futures.Future[None]"]:
    for end, loop in watched:
        coroutine = end(TERMINATED)
        try:
            yield asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # its loop is closed
            coroutine.close()


def _terminate() -> None:
    concurrent.futures.wait(_terminating or (), timeout=TIMEOUT_S)
    os.kill(os.getpid(), signal.SIGTERM)
    if os.getpid() == 1:
        os._exit(128 + signal.SIGTERM)  # the first process of a container has no default action


def _in_child() -> None:
    """Leave the parent's publishers to the parent; a child that uses none has no handler."""
    global _is_settled, _terminating
    _watched.clear()
    _is_settled, _terminating = False, None
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_in_child)
