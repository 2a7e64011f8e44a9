"""The asyncio publisher."""

import asyncio
import logging
import os
import re
import socket
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from progress_ws.broker.seam import LinkLost, OpenLink
from progress_ws.broker.sender import Sender
from progress_ws.broker.urls import censored, check_amqp_url, check_node_url
from progress_ws.core import codec
from progress_ws.core.message import Draft
from progress_ws.errors import ProgressError, SettingsError

log = logging.getLogger("progress_ws")

SEND_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
MAX_MESSAGE_BYTES = 65536
MAX_BUFFER_BYTES = 16 * 1024 * 1024


class Publisher:
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
        prefix: str = "progress-ws",
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
    ) -> None:
        """Prepare; nothing is opened before `start` or `async with`.

        Args:
            url: `amqp://` or `amqps://` of RabbitMQ, or `http://` or `https://` of a node.
            token: the publish token of the node; only with a node's URL.
            prefix: the name of the exchange, `PROGRESS_WS_PREFIX` of the nodes.
            max_message_bytes: as configured on the nodes, which would drop anything larger.
            max_buffer_bytes: what may wait while the broker is away.

        Raises:
            SettingsError: the URL is of no known kind, or it is a node's and there is no token.
        """
        self._open_link = _opener(url, token=token, prefix=prefix)
        self._max_message_bytes = max_message_bytes
        self._max_buffer_bytes = max_buffer_bytes
        self._sender: Sender | None = None
        self._running: asyncio.Task[None] | None = None
        self._warned = False
        self.dropped = 0
        """Posted messages that found the buffer full."""

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
        if self._sender is None:
            self._sender = Sender(self._open_link, max_buffer_bytes=self._max_buffer_bytes)
            self._running = asyncio.create_task(self._sender.run(), name="progress-ws publisher")

    async def close(self, *, timeout_s: float = CLOSE_TIMEOUT_S) -> int:
        """Send what still waits, for at most `timeout_s` seconds, and end the connection.

        Returns:
            how many messages could not be confirmed; never raises for the broker's sake.
        """
        if self._sender is None or self._running is None:
            return 0
        sender, running = self._sender, self._running
        self._sender = self._running = None
        try:
            async with asyncio.timeout(timeout_s):
                await sender.flush()
                with suppress(LinkLost):
                    await sender.say_last()
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
        (id_,) = await self._started().send([draft], timeout_s=timeout_s)
        return id_

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
        is dropped, counted in `dropped`, and a warning is logged once.

        Raises:
            InvalidMessage: no node would accept it; the text names the field.
        """
        draft = self._draft(
            sid, message, key=key, run=run, final=final, stall_s=stall_s, dedupe=dedupe
        )
        if not self._started().post(draft):
            self.dropped += 1
            if not self._warned:
                self._warned = True
                log.warning("the buffer is full, posted messages are dropped from now on")

    def _started(self) -> Sender:
        if self._sender is None or self._running is None:
            raise ProgressError("the publisher is not started: use it in `async with Publisher(…)`")
        if self._running.done():
            cause = None if self._running.cancelled() else self._running.exception()
            raise ProgressError("the publisher has ended") from cause
        return self._sender

    def _draft(self, sid: str, message: Any, **fields: Any) -> Draft:
        return codec.new_draft(sid, message, max_message_bytes=self._max_message_bytes, **fields)


def _opener(url: str, *, token: str | None, prefix: str) -> OpenLink:
    """Choose the link by the URL; its libraries are loaded when it is first opened."""
    try:
        if not url.startswith("http"):
            return partial(_open_amqp, check_amqp_url(url), prefix)
        node = check_node_url(url)
    except ValueError as exc:
        raise SettingsError(f"cannot publish to {censored(url)!r}: it must be {exc}") from None
    if token is None:
        raise SettingsError("a node's URL needs token=, its PROGRESS_WS_PUBLISH_TOKEN")
    if not re.fullmatch(r"[!-~]+", token):
        raise SettingsError("token= is wrong: it must be printable ASCII without blanks")
    return partial(_open_http, node, token)


def _open_amqp(url: str, prefix: str) -> Any:
    from progress_ws.broker.link import open_link
    from progress_ws.broker.topology import Names

    return open_link(url, Names(prefix), name=f"progress-ws publisher {_process()}")


def _open_http(url: str, token: str) -> Any:
    from progress_ws.publish.http import open_link

    return open_link(url, token=token)


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
