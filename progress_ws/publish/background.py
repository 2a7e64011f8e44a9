"""The asyncio publisher of a process that has no event loop, in a thread of its own."""

import asyncio
import concurrent.futures
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from progress_ws.core.backlog import bound_of
from progress_ws.core.message import Draft
from progress_ws.errors import ProgressError, PublishError
from progress_ws.publish import processes
from progress_ws.publish.bar import Bar
from progress_ws.publish.loop import BackgroundLoop
from progress_ws.publish.publisher import Publisher

T = TypeVar("T")

OVERHEAD_BYTES = 512
CLOSED = "the publisher was closed"


class Background:
    """One thread, one loop, one publisher, from its first use until it is closed.

    What is posted gathers here and is handed over at the loop's next turn. Policy at the bound: as
    in the publisher's own buffer, the new message is dropped and counted; the loop must have been
    kept from running for that.

    Attributes:
        pid: the process that it belongs to; a child has only a copy that it must not use.
        publisher: to be used in its own loop only.
    """

    def __init__(self, publisher: Publisher, *, max_bytes: int, exit_timeout_s: float) -> None:
        """Start the thread.

        Raises:
            RuntimeError: there are no new threads, at the end of the interpreter for example.
        """
        self.pid = os.getpid()
        self.publisher = publisher
        self.exit_timeout_s = exit_timeout_s
        self._max_bytes = max_bytes
        self._posted: deque[Draft] = deque()
        self._posted_bytes = self._overflow = 0
        self._is_scheduled = False
        # Entered again by a signal handler that posts while its thread is posting.
        self._lock = threading.RLock()
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[int] | None = None
        self._loop = BackgroundLoop()
        self._loop.call_soon_threadsafe(publisher.start)
        self._thread = threading.Thread(target=self._run, name="progress-ws publisher", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise
        processes.enter(self)

    @property
    def dropped(self) -> int:
        """Count the posted messages that found no room."""
        return self.publisher.dropped + self._overflow

    @property
    def waiting(self) -> int:
        """Count the messages that are not confirmed yet."""
        return self.publisher.waiting + len(self._posted)

    @property
    def trouble(self) -> str | None:
        """Why nothing gets through at the moment; only its own loop may ask the connection."""

        async def trouble() -> str | None:
            return self.publisher.trouble

        if self.is_current:
            return self.publisher.trouble
        try:
            return self.ask(trouble, timeout_s=0)
        except PublishError as exc:
            return str(exc)

    @property
    def is_current(self) -> bool:
        """Whether this is the thread itself."""
        return threading.get_ident() == self._thread.ident

    def post(self, draft: Draft) -> None:
        """Take what has been checked; return at once."""
        size = len(draft.message) + OVERHEAD_BYTES
        with self._lock:
            if self._posted and self._posted_bytes + size > bound_of(draft, self._max_bytes):
                self._overflow += 1
                return
            self._posted_bytes += size
            self._posted.append(draft)
            if self._is_scheduled:
                return
            self._is_scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._hand_over)
        except RuntimeError:  # closed by another thread in this moment
            self._overflow += 1

    def ask(self, call: Callable[[], Coroutine[Any, Any, T]], *, timeout_s: float) -> T:
        """Await it in the loop, after all that was posted before, and return its result.

        Raises:
            PublishError: there was none within `timeout_s` and some grace.
        """
        self.check_thread()
        answer = self._begin(call)
        if answer is None:
            raise PublishError("the publisher was closed")
        try:
            return answer.result(timeout_s + processes.GRACE_S)
        except concurrent.futures.CancelledError:
            raise PublishError("the publisher was closed; it may still arrive") from None
        except TimeoutError:
            detail = "the publisher's thread did not answer in time; it may still arrive"
            raise PublishError(detail) from None
        finally:
            answer.cancel()

    def check_thread(self) -> None:
        """Refuse to let the thread wait for itself.

        Raises:
            ProgressError: this is it.
        """
        if self.is_current:
            raise ProgressError("the publisher's own thread would wait for itself here: use post")

    def report(self, bar: Bar) -> None:
        """Send what a bar of this process says now."""
        if self.is_current:
            self.publisher.report(bar)
        elif self.pid == os.getpid():
            with suppress(RuntimeError):  # closed: its bars have ended
                self._loop.call_soon_threadsafe(self.publisher.report, bar)

    def flush(self, *, timeout_s: float) -> int:
        """Wait until what was posted is confirmed, if it is not known that nothing gets through."""
        if self.pid != os.getpid():
            return self.waiting
        try:
            return self.ask(lambda: self.publisher.flush(timeout_s=timeout_s), timeout_s=timeout_s)
        except PublishError:
            return self.waiting

    def close(self, *, timeout_s: float) -> int:
        """Send what waits, for at most `timeout_s` seconds, and end the thread."""
        try:
            unsent = self.ask(lambda: self._close(timeout_s), timeout_s=timeout_s)
        except PublishError:
            return self.waiting  # it ends by itself, when its farewells are through
        self.join(processes.GRACE_S)
        return unsent

    def leave(
        self, *, timeout_s: float, error: str = CLOSED
    ) -> "concurrent.futures.Future[int] | None":
        """See `processes.Tenant.leave`."""
        if self.pid != os.getpid():
            return None
        return self._begin(lambda: self._close(timeout_s, error=error))

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout_s)

    def hold(self) -> bool:
        """See `processes.Tenant.hold`."""
        return self._loop.hold()

    def release(self) -> None:
        """See `processes.Tenant.release`."""
        self._loop.release()

    def disown(self) -> None:
        """See `processes.Tenant.disown`."""
        self._loop.close_copies()

    def _begin(
        self, call: Callable[[], Coroutine[Any, Any, T]]
    ) -> "concurrent.futures.Future[T] | None":
        # Nothing is awaited before the loop comes to it, since it may be closed instead.
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, answer, call)
        except RuntimeError:  # the loop is closed
            return None
        return answer

    def _answer(
        self,
        answer: "concurrent.futures.Future[T]",
        call: Callable[[], Coroutine[Any, Any, T]],
    ) -> None:
        """Begin to answer, in the loop; whoever asked may give up at any time."""
        if self._ended.is_set():
            answer.cancel()
            return
        self._hand_over()
        task = self._loop.create_task(call())

        def pass_on(_: "asyncio.Task[T]") -> None:
            with suppress(concurrent.futures.InvalidStateError):  # nobody waits any more
                if task.cancelled():
                    answer.cancel()
                elif (exc := task.exception()) is not None:
                    answer.set_exception(exc)
                else:
                    answer.set_result(task.result())

        def give_up(_: "concurrent.futures.Future[T]") -> None:
            if answer.cancelled():
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(task.cancel)

        task.add_done_callback(pass_on)
        answer.add_done_callback(give_up)

    def _run(self) -> None:
        # In a child this frame lives on, without its thread: it keeps all that it refers to.
        try:
            with self._loop.turn, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            processes.depart(self)

    async def _live(self) -> None:
        await self._ended.wait()

    async def _close(self, timeout_s: float, *, error: str = CLOSED) -> int:
        if self._closing is None:
            self.publisher.end_bars(error)
            self._closing = asyncio.ensure_future(self.publisher.close(timeout_s=timeout_s))
            self._closing.add_done_callback(lambda _: self._ended.set())
        return await asyncio.shield(self._closing)

    def _hand_over(self) -> None:
        with self._lock:
            posted, self._posted = self._posted, deque()
            self._posted_bytes, self._is_scheduled = 0, False
        for draft in posted:
            try:
                self.publisher.post_draft(draft)
            except ProgressError:  # it has ended
                self._overflow += 1
