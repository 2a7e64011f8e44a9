"""The asyncio publisher."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from progress_ws.broker.seam import LinkLost
from progress_ws.broker.sender import Sender
from progress_ws.core.message import Draft
from progress_ws.core.progress import Request, Update
from progress_ws.errors import ProgressError
from progress_ws.publish import ending
from progress_ws.publish.bar import KEY, STALL_S, Bar
from progress_ws.publish.opening import opener
from progress_ws.publish.posting import NOT_STARTED, Posting
from progress_ws.publish.reporter import Reporter

log = logging.getLogger("progress_ws")

SEND_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 5.0
SETTLE_TIMEOUT_S = 2.0
"""What the end of a bar waits for the broker, if that is there."""
MAX_MESSAGE_BYTES = 65536
MAX_BUFFER_BYTES = 16 * 1024 * 1024


class Publisher(Posting):
    """Sends progress to browsers, by sid, from any process.

        async with Publisher("amqp://user:password@rabbitmq/") as publisher:
            await publisher.send(sid, {"rows": 10})           # returns once the broker has it
            publisher.post(sid, "50 %", key="report")         # returns at once

    One connection, opened in the background and opened again whenever it is lost. Belongs to the
    event loop that it was started in.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        prefix: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        handle_sigterm: bool = True,
    ) -> None:
        """Prepare; nothing is opened before `start` or `async with`.

        Args:
            url: `amqp://` or `amqps://` of RabbitMQ, or `http://` or `https://` of a node.
            token: the publish token of the node; only with a node's URL.
            prefix: the name of the exchange, `PROGRESS_WS_PREFIX` of the nodes; by default what
                that variable says here, else `progress-ws`.
            max_message_bytes: as configured on the nodes, which would drop anything larger.
            max_buffer_bytes: what may wait while the broker is away.
            handle_sigterm: send what waits before SIGTERM ends the process, for at most 2 s;
                only where nothing else handles SIGTERM.

        Raises:
            SettingsError: the URL is of no known kind, or it is a node's and there is no token,
                or the prefix is none.
        """
        super().__init__(max_message_bytes=max_message_bytes)
        self._open_link = opener(url, token=token, prefix=prefix)
        self._max_buffer_bytes = max_buffer_bytes
        self._handle_sigterm = handle_sigterm
        self._reporter = Reporter(self._post_update)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to connect, in the background of the running event loop."""
        if self._loop is not None and self._loop.is_closed():  # it has not been closed before that
            ending.forget(self._end)
            if self._sender is not None and (unsent := len(self._sender)):
                log.warning("%d messages could not be sent: the event loop has ended", unsent)
            self._sender = None
        if self._sender is None:
            self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
            self._outage.start()
            self._sender = Sender(
                self._open_link,
                max_buffer_bytes=self._max_buffer_bytes,
                max_message_bytes=self._max_message_bytes,
                on_outage=self._outage.tell,
            )
            self._backlog = self._sender.backlog
            self._running = asyncio.create_task(self._sender.run(), name="progress-ws publisher")
            if self._handle_sigterm:
                ending.watch(self._end, self._loop)

    async def close(self, *, timeout_s: float = CLOSE_TIMEOUT_S) -> int:
        """Send what still waits, for at most `timeout_s` seconds, and end the connection.

        Returns:
            how many messages could not be confirmed; never raises for the broker's sake.
        """
        if self._sender is None or self._running is None:
            return 0
        self._reporter.end("the publisher was closed")
        self._reporter.stop()
        sender, running = self._sender, self._running
        self._sender = self._running = self._backlog = None
        self._outage.close()
        ending.forget(self._end)
        try:
            async with asyncio.timeout(timeout_s):
                await _finish(sender)
        except TimeoutError:
            pass  # told below
        finally:
            reason = sender.reason()
            running.cancel()
            await asyncio.wait([running])
        if unsent := len(sender):
            log.warning("%d messages could not be sent: %s", unsent, reason)
        sender.abandon()
        return unsent

    async def flush(self, *, timeout_s: float = FLUSH_TIMEOUT_S) -> int:
        """Wait until what was posted is confirmed, and at most `timeout_s` seconds.

        Not while it is known that nothing gets through: see `trouble`.

        Returns:
            how many messages are not confirmed yet; they are still being sent.
        """
        sender = self._sender
        if sender is None:
            return 0
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await sender.flush(patient=False)
        return len(sender)

    @property
    def trouble(self) -> str | None:
        """Why nothing gets through at the moment, as far as that is known; None otherwise."""
        return None if self._sender is None else self._sender.cut_off

    @property
    def waiting(self) -> int:
        """Count the messages that are not confirmed yet."""
        return 0 if self._sender is None else len(self._sender)

    async def send(
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
        """Send a message; return its id once the broker has it.

        Args:
            sid: the session it is for.
            message: any value that JSON can carry; a string arrives as that very string.
            key: the name of the value that it updates; only the newest of a key matters.
            run: which run of the key it belongs to, with a key.
            final: it is the last message of its run.
            stall_s: seconds within which there will be news of the key, with a key.
            dedupe: a name under which a repetition of this message is recognised.
            timeout_s: seconds to wait for the broker.

        Raises:
            PublishError: not confirmed in time, or refused; it may still arrive, once.
            InvalidMessage: no node would accept it; the text names the field.
        """
        draft = self._draft(
            sid, message, key=key, run=run, final=final, stall_s=stall_s, dedupe=dedupe
        )
        return await self.send_draft(draft, timeout_s=timeout_s)

    async def send_draft(self, draft: Draft, *, timeout_s: float) -> str:
        """Do as `send` with what has been checked already."""
        if self._loop not in (None, asyncio.get_running_loop()):
            raise ProgressError(
                "the publisher belongs to another event loop: use BlockingPublisher"
            )
        (id_,) = await self._started().send([draft], timeout_s=timeout_s)
        return id_

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

            async with publisher.progress(sid, total=500, title="Report", unit="rows") as bar:
                bar.advance()

        Args:
            sid: the session that sees it.
            key: its name there: one session may have several.
            total: how many there are to do; None: not known.
            title: what it is, for people.
            unit: of what.
            run: which run of the key it is; by default a new one, greater than all before it.
            attempt: 1, 2 …: how often the job has been tried.
            stall_s: seconds of silence after which browsers are told that the job may be dead. A
                bar that runs speaks three times as often, though nothing advances.
            cancellable: browsers may ask to stop, and the job looks at `bar.cancelled`.
            raise_cancelled: likewise, and the next step of the bar raises `Cancelled`.
            on_cancel: likewise, and this is called when they do.

        Raises:
            InvalidMessage: no node would accept it; the text names the field.
            ProgressError: the publisher is not started, or was closed.
        """
        if self._sender is None:
            raise ProgressError(NOT_STARTED)
        request = Request(wanted=cancellable, raises=raise_cancelled, on_cancel=on_cancel)
        self._draft(sid, "", key=key, run=run, stall_s=stall_s)
        bar = Bar(
            self,
            sid,
            key=key,
            request=request,
            total=total,
            title=title,
            unit=unit,
            run=run,
            attempt=attempt,
            stall_s=stall_s,
        )
        self.report(bar)
        return bar

    def end_bars(self, error: str) -> None:
        """Let all that still run fail: whoever would have ended them is gone."""
        self._reporter.end(error)

    def report(self, bar: Bar) -> None:
        """See `Owner.report`."""
        if threading.get_ident() == self._thread:
            self._report(bar)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, bar)

    def settle(self) -> None:
        """See `Owner.settle`; in an event loop's own thread nobody may wait."""

    async def asettle(self) -> None:
        """See `Owner.asettle`."""
        await self.flush(timeout_s=SETTLE_TIMEOUT_S)

    def _report(self, bar: Bar) -> None:
        if bar.request.wanted and self._sender is not None:
            self._sender.listen(self._reporter.cancel)
        self._reporter.report(bar)

    def _post_update(self, bar: Bar, update: Update) -> None:
        stall_s = None if bar.has_ended else bar.stall_s
        final = bar.state.is_final
        self.post(bar.sid, update, key=bar.key, run=bar.run, final=final, stall_s=stall_s)

    async def _end(self, error: str) -> None:
        """Let what runs fail, and send what waits; not while nothing gets through."""
        self.end_bars(error)
        if self._sender is not None and not self._sender.cut_off:
            await _finish(self._sender)


async def _finish(sender: Sender) -> None:
    await sender.flush()
    with suppress(LinkLost):
        await sender.say_last()
