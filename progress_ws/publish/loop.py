"""The event loop of a background thread: it outlives the default executor, and survives forks.

A fork copies the loop while its thread does not exist in the child: what it was just doing stays
half done there for ever, a lock it held stays locked. So a fork waits until the loop rests in its
selector, and nobody looks up a name for it: the C library has locks for that. The child's copies
are then closed by number and never touched again: its epoll is the parent's, and so would be
whatever is unregistered from it.
"""

import asyncio

# Must be loaded before the interpreter begins to end: later its import fails, and with it what
# asyncio loads by itself.
import concurrent.futures.thread  # noqa: F401

# A look-up of a name loads it, in a thread of its own: a child that was forked just then would wait
# for ever for the end of that.
import encodings.idna  # noqa: F401
import os
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HOLD_S = 5.0
"""What a fork waits for the loop at most: to look up a name takes longest."""
YIELD_S = 0.001
"""A lock is not fair: a busy loop would take it again at once."""


class _Selector(selectors.DefaultSelector):
    """Lets others hold the loop still while it waits, and knows what belongs to it.

    Attributes:
        turn: held by the loop's thread whenever it does not wait.
        is_wanted: whether somebody else wants it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turn = threading.RLock()
        self.is_wanted = False
        self._opened: dict[int, os.stat_result] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._opened[key.fd] = os.fstat(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turn.release()
        try:
            if self.is_wanted:
                time.sleep(YIELD_S)
            return super().select(timeout)
        finally:
            self.turn.acquire()

    def close_copies(self) -> None:
        """Close, in a child, the copies of all that is open here, and of the selector itself."""
        for fd, opened in self._opened.items():
            with suppress(OSError):
                if os.path.samestat(os.fstat(fd), opened):
                    os.close(fd)
        with suppress(OSError):
            os.close(self.fileno())


class BackgroundLoop(asyncio.SelectorEventLoop):
    """To be run in a thread that holds its `turn`."""

    def __init__(self) -> None:
        self._waiting = _Selector()
        self.turn = self._waiting.turn
        self._looking_up = threading.RLock()
        super().__init__(self._waiting)

    def hold(self) -> bool:
        """Wait until the loop rests, and keep it there until it is released; False: in vain."""
        until_s = time.monotonic() + HOLD_S
        if not self._looking_up.acquire(timeout=HOLD_S):
            return False
        self._waiting.is_wanted = True
        try:
            held = self.turn.acquire(timeout=max(0.0, until_s - time.monotonic()))
        finally:
            self._waiting.is_wanted = False
        if not held:
            self._looking_up.release()
        return held

    def release(self) -> None:
        """Let it go on, from the thread that holds it."""
        self.turn.release()
        self._looking_up.release()

    def close_copies(self) -> None:
        """Close, in a child, all that the loop has open in its parent; the child keeps the rest."""
        self._waiting.close_copies()
        waker = getattr(self, "_csock", None)  # the end of the pair that no selector knows
        if waker is not None:
            with suppress(OSError):
                os.close(waker.fileno())

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run the rare blocking call, a look-up of a host's name mostly, in a thread of its own.

        The default executor takes nothing once the interpreter has begun to end; at the very end
        there are no new threads either, and nothing else that the loop could keep waiting.
        """
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        answer: asyncio.Future[T] = self.create_future()
        work = partial(self._work, answer, partial(func, *args))
        try:
            threading.Thread(target=work, name="progress-ws look-up", daemon=True).start()
        except RuntimeError:
            work()
        return answer

    def _work(self, answer: "asyncio.Future[T]", call: Callable[[], T]) -> None:
        try:
            with self._looking_up:
                tell = partial(answer.set_result, call())
        except Exception as exc:  # noqa: BLE001 - whatever it is belongs to who waits for it
            tell = partial(answer.set_exception, exc)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.call_soon_threadsafe(lambda: None if answer.done() else tell())
