"""The publisher for programs without an event loop: threads, Celery, gunicorn, scripts."""

import asyncio
import os
import weakref
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self

from progress_ws.broker.prefix import find_prefix
from progress_ws.core import codec
from progress_ws.core.message import Draft
from progress_ws.core.progress import Request
from progress_ws.errors import PublishError
from progress_ws.publish import ending, processes
from progress_ws.publish.background import Background
from progress_ws.publish.bar import KEY, STALL_S, Bar
from progress_ws.publish.publisher import (
    CLOSE_TIMEOUT_S,
    FLUSH_TIMEOUT_S,
    MAX_BUFFER_BYTES,
    MAX_MESSAGE_BYTES,
    SEND_TIMEOUT_S,
    SETTLE_TIMEOUT_S,
    Publisher,
)

EXIT_TIMEOUT_S = 2.0


class BlockingPublisher:
    """Sends progress to browsers, by sid, from any thread of any process.

        publisher = BlockingPublisher("amqp://user:password@rabbitmq/")
        publisher.send(sid, {"rows": 10})                 # returns once the broker has it
        publisher.post(sid, "50 %", key="report")         # returns at once

    One for the whole program, made where modules are loaded: it opens nothing before it is used.
    Then a background thread keeps one connection, in each process of its own: a child that was
    forked begins anew. At the end of the process what was posted is sent, in a bounded time.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        prefix: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        exit_timeout_s: float = EXIT_TIMEOUT_S,
        handle_sigterm: bool = True,
    ) -> None:
        """Prepare; nothing is opened, and no thread started, before the first use.

        Args:
            url: `amqp://` or `amqps://` of RabbitMQ, or `http://` or `https://` of a node.
            token: the publish token of the node; only with a node's URL.
            prefix: the name of the exchange, `PROGRESS_WS_PREFIX` of the nodes; by default what
                that variable says here, else `progress-ws`.
            max_message_bytes: as configured on the nodes, which would drop anything larger.
            max_buffer_bytes: what may wait while the broker is away.
            exit_timeout_s: what the end of the process may wait for what was posted.
            handle_sigterm: send what waits before SIGTERM ends the process, for at most 2 s;
                only where nothing else handles SIGTERM.

        Raises:
            SettingsError: the URL is of no known kind, or it is a node's and there is no token,
                or the prefix is none.
        """
        if prefix is None:
            prefix = find_prefix(os.environ)  # once, and told here if it is wrong
        self._new = partial(
            Publisher,
            url,
            token=token,
            prefix=prefix,
            max_message_bytes=max_message_bytes,
            max_buffer_bytes=max_buffer_bytes,
            handle_sigterm=handle_sigterm,
        )
        self._new()
        self._draft = partial(codec.new_draft, max_message_bytes=max_message_bytes)
        self._max_buffer_bytes = max_buffer_bytes
        self._exit_timeout_s = exit_timeout_s
        self._handle_sigterm = handle_sigterm
        self._background: Background | None = None
        self._finalizer: weakref.finalize[..., BlockingPublisher] | None = None
        self._is_starting = False
        self._early: deque[Draft] = deque()
        """What a signal handler posts while its own thread is starting the other one."""
        self._dropped: Counter[int] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a publisher and its bars belong to their process: make them in each")

    def send(
        self,
        sid: str,
        message: Any,
        *,
        key: str | None = None,
        run: str | None = None,
        final: bool = False,
        stall_s: float | None = None,
        dedupe: str | None = None,
        timeout_s: float = SEND_TIMEOUT_S,
    ) -> str:
        """Send a message; wait until the broker has it, and return its id.

        The arguments are those of `Publisher.send`.

        Raises:
            PublishError: not confirmed in time, or refused; it may still arrive, once.
            InvalidMessage: no node would accept it; the text names the field.
            ProgressError: called in the publisher's own thread.
        """
        draft = self._draft(
            sid, message, key=key, run=run, final=final, stall_s=stall_s, dedupe=dedupe
        )
        background = self._started_if_possible()
        if background is None:
            raise PublishError("not sent: the publisher cannot be started just now")
        publisher = background.publisher
        return background.ask(
            lambda: publisher.send_draft(draft, timeout_s=timeout_s), timeout_s=timeout_s
        )

    def post(
        self,
        sid: str,
        message: Any,
        *,
        key: str | None = None,
        run: str | None = None,
        final: bool = False,
        stall_s: float | None = None,
        dedupe: str | None = None,
    ) -> None:
        """Take a message to be sent soon; return at once, whatever the broker does.

        While the broker is away the newest of each key waits. With the buffer full, the message
        is dropped, counted in `dropped`, and a warning is logged once; what has a key still finds
        room then, an eighth of the buffer, and what is final another eighth.

        Raises:
            InvalidMessage: no node would accept it; the text names the field.
        """
        draft = self._draft(
            sid, message, key=key, run=run, final=final, stall_s=stall_s, dedupe=dedupe
        )
        background = self._started_if_possible()
        if background is not None:
            background.post(draft)
        elif self._is_starting:
            self._early.append(draft)
        else:
            self._dropped[os.getpid()] += 1

    def progress(
        self,
        sid: str,
        *,
        key: str = KEY,
        total: float | None = None,
        title: str | None = None,
        unit: str | None = None,
        run: str | None = None,
        attempt: int | None = None,
        stall_s: float = STALL_S,
        cancellable: bool = False,
        raise_cancelled: bool = False,
        on_cancel: Callable[[], object] | None = None,
    ) -> Bar:
        """Begin a bar; as a context manager it ends with its block.

            with publisher.progress(sid, total=500, title="Report", unit="rows") as bar:
                bar.advance()

        The arguments are those of `Publisher.progress`; `on_cancel` is called in the publisher's
        own thread. A bar belongs to the process that it was begun in.

        Raises:
            InvalidMessage: no node would accept it; the text names the field.
        """
        self._draft(sid, "", key=key, run=run, stall_s=stall_s)
        owner = _BarOwner(self, self._started_if_possible())
        bar = Bar(
            owner,
            sid,
            key=key,
            request=Request(wanted=cancellable, raises=raise_cancelled, on_cancel=on_cancel),
            total=total,
            title=title,
            unit=unit,
            run=run,
            attempt=attempt,
            stall_s=stall_s,
        )
        owner.report(bar)
        return bar

    def flush(self, *, timeout_s: float = FLUSH_TIMEOUT_S) -> int:
        """Wait until what was posted is confirmed, and at most `timeout_s` seconds.

        Not while it is known that nothing gets through: see `trouble`.

        Returns:
            how many messages are not confirmed yet; they are still being sent.
        """
        background = self._existing()
        return 0 if background is None else background.flush(timeout_s=timeout_s)

    def close(self, *, timeout_s: float = CLOSE_TIMEOUT_S) -> int:
        """Send what still waits, for at most `timeout_s` seconds, and end thread and connection.

        Used again, it starts again.

        Returns:
            how many messages could not be confirmed; never raises for the broker's sake.
        """
        with processes.starting:
            background = self._existing()
            if background is None:
                return 0
            background.check_thread()
            self._background = None
        unsent = background.close(timeout_s=timeout_s)
        self._dropped[background.pid] += background.dropped
        return unsent

    @property
    def trouble(self) -> str | None:
        """Why nothing gets through at the moment, as far as that is known; None otherwise."""
        background = self._existing()
        return None if background is None else background.trouble

    @property
    def waiting(self) -> int:
        """Count the messages that are not confirmed yet, in this process."""
        background = self._existing()
        return 0 if background is None else background.waiting

    @property
    def dropped(self) -> int:
        """Count the posted messages that found the buffer full, in this process."""
        background = self._existing()
        return self._dropped[os.getpid()] + (0 if background is None else background.dropped)

    def _existing(self) -> Background | None:
        """Return what runs in this process, if it does; what it has of its parent is no more."""
        background = self._background
        if background is not None and background.pid != os.getpid():
            return None
        return background

    def _started_if_possible(self) -> Background | None:
        """Return what runs in this process; None at its very end, or while it is being started."""
        background = self._existing()
        if background is None:
            try:
                background = self._start()
            except RuntimeError:
                return None
        if self._handle_sigterm:
            ending.settle()
        return background

    def _start(self) -> Background:
        """Start it, in one thread of those that may come at once.

        Raises:
            RuntimeError: there are no new threads, or a signal handler has come in between.
        """
        with processes.starting:
            background = self._existing()
            if background is not None:
                return background
            if self._is_starting:
                raise RuntimeError("being started")
            self._is_starting = True
            try:
                background = self._background = Background(
                    self._new(),
                    max_bytes=self._max_buffer_bytes,
                    exit_timeout_s=self._exit_timeout_s,
                )
            finally:
                self._is_starting = False
            self._close_when_forgotten(background)
        while self._early:
            background.post(self._early.popleft())
        return background

    def _close_when_forgotten(self, background: Background) -> None:
        """Whoever makes one for each request and lets it go leaves no thread and no connection."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._finalizer = weakref.finalize(self, background.leave, timeout_s=CLOSE_TIMEOUT_S)
        self._finalizer.atexit = False


class _BarOwner:
    """What a bar knows of its publisher: it keeps it alive, and uses the thread of its process."""

    def __init__(self, publisher: BlockingPublisher, background: Background | None) -> None:
        self._publisher = publisher
        self._background = background

    def report(self, bar: Bar) -> None:
        """See `Owner.report`."""
        if self._background is not None:
            self._background.report(bar)

    def settle(self) -> None:
        """See `Owner.settle`."""
        if self._background is not None and not self._background.is_current:
            self._background.flush(timeout_s=SETTLE_TIMEOUT_S)

    async def asettle(self) -> None:
        """See `Owner.asettle`."""
        await asyncio.to_thread(self.settle)
