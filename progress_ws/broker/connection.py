"""One plain connection to RabbitMQ, and what its many errors mean.

Plain on purpose (`aio_pika.connect`, not `connect_robust`): there is one reconnect loop, and it
is ours, in `feed.py` and `sender.py`.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from traceback import walk_tb
from typing import Any
from urllib.parse import unquote

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq import TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ConnectionNotAllowed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from pamqp.commands import Connection
from pamqp.exceptions import PAMQPException
from yarl import URL

from progress_ws.broker.seam import LinkLost, LinkRefused, NoVhost, Unroutable, is_ending
from progress_ws.broker.tls import load_context

AMQP_HEARTBEAT_S = 5
"""A half-open connection is noticed after (this + 1) × 3 seconds; the library's default of 60
would take three minutes. `?heartbeat=` in the URL says otherwise."""
CLOSE_TIMEOUT_S = 2.0
BLOCKED_CLOSE_TIMEOUT_S = 0.1
"""A broker in an alarm does not read what it blocks: it would not answer the good-bye."""
OPEN_GRACE_S = 0.05
_OF_THE_VHOST = re.compile(r"^$|not found|refused for user '[^']*'$")
"""How a virtual host is refused that is not there, or where a user has no permission."""

LOSSES = (AMQPError, ChannelInvalidStateError, PAMQPException, OSError, asyncio.InvalidStateError)
"""Whatever the library raises when a connection or a channel is gone."""


class Tally:
    """How many connections this process has had, or tried to have."""

    begun = 0


_is_ours: ContextVar[bool] = ContextVar("is_ours", default=False)
"""Set in the context of our connections, which the library's tasks inherit."""


def _is_others(_record: logging.LogRecord) -> bool:
    return not _is_ours.get()


# The library logs each failed attempt, and each lost connection with a traceback. Whoever owns one
# of ours is told by `LinkLost` and says it once, in words; other users of the library keep its log.
for _name in ("aiormq.connection", "aiormq.channel"):
    logging.getLogger(_name).addFilter(_is_others)


@asynccontextmanager
async def connect(
    url: str, *, name: str, transport_factory: TransportFactory | None = None
) -> AsyncIterator[AbstractConnection]:
    """Open a connection that the management UI shows under `name`; closed at the end.

    What opens its transport may be given: the library's own hook for those who do more with it.

    Raises:
        LinkLost: on opening, and for whatever AMQP or network error the body raises.
        LinkRefused: the same, where the broker refuses login, virtual host or a right.
    """
    target = URL(url)
    if "heartbeat" not in target.query:
        target = target.update_query(heartbeat=str(AMQP_HEARTBEAT_S))
    _is_ours.set(True)
    Tally.begun += 1
    with explained(url):
        context = await load_context(target)
        connection = await _open(target, name, context, transport_factory)
        try:
            yield connection
        except RuntimeError as exc:  # what the library raises of a connection that is closed
            if _is_closed(connection):
                raise LinkLost(f"the connection to RabbitMQ was closed: {exc}") from exc
            raise
        finally:
            await _close(connection)


def _is_closed(connection: AbstractConnection) -> bool:
    """Tell whether it is gone: the layer below knows it first, and refuses then."""
    transport = connection.transport
    return connection.is_closed or transport is None or transport.connection.is_closed


def is_blocked(connection: AbstractConnection) -> bool:
    """Tell whether the broker takes nothing from this connection: its memory or disk is short.

    The library tells of it by `ready` alone, which waits for just so long: one step of it says it.
    """
    if connection.transport is None or _is_closed(connection):
        return False
    ready = connection.transport.connection.ready()
    try:
        ready.send(None)
    except StopIteration:
        return False
    finally:
        ready.close()
    return True


class _Opening(TransportFactory):
    """One attempt to connect. It knows what the library has made for it, so that nothing is left.

    What has been opened and is not handed out yet, as the attempt is cancelled in its last steps,
    nobody else could close. And a connection that was never opened the library would close when it
    is collected, and says so on standard error where that happens in a thread without a loop.
    """

    def __init__(self, url: URL, factory: TransportFactory | None) -> None:
        plain = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        self._factory = factory or plain
        self._connection: aio_pika.Connection | None = None
        self._writer: asyncio.StreamWriter | None = None

    def connection(self, *args: Any, **kwargs: Any) -> aio_pika.Connection:
        """Make one; the library takes this for its class."""
        self._connection = connection = aio_pika.Connection(*args, **kwargs)
        # What aio-pika hands on to aiormq, which has the hook; aio-pika has no argument for it.
        connection.kwargs["transport_factory"] = self
        return connection

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `TransportFactory`."""
        reader, self._writer = await self._factory.create(url, **kwargs)
        return reader, self._writer

    async def give_up(self, opening: asyncio.Task[Any]) -> None:
        """Let nothing be left of it; a connection that comes all the same is closed again."""
        await asyncio.wait([opening], timeout=OPEN_GRACE_S)
        opening.cancel()
        await asyncio.wait([opening], timeout=CLOSE_TIMEOUT_S)
        if opening.done() and not opening.cancelled():
            opening.exception()  # seen: else it would be logged as if nobody knew of it
        if self._connection is not None and not self._connection.is_closed:
            await _close(self._connection)
        if self._writer is not None:
            self._writer.transport.abort()


async def _open(
    url: URL,
    name: str,
    context: ssl.SSLContext | None,
    transport_factory: TransportFactory | None,
) -> AbstractConnection:
    """Open a connection, and leave nothing open where that fails or is cancelled."""
    attempt = _Opening(url, transport_factory)
    opening = asyncio.ensure_future(
        aio_pika.connect(
            url,
            client_properties={"connection_name": name},
            ssl_context=context,
            connection_class=attempt.connection,
        )
    )
    try:
        # Not `shield`: from Python 3.14 on it logs what becomes of it once nobody waits any more.
        await asyncio.wait([opening])
        return opening.result()
    except BaseException:
        # To its end, though this be cancelled again meanwhile: by its end, after its timeout.
        await asyncio.shield(asyncio.create_task(attempt.give_up(opening)))
        raise
    finally:
        del opening  # it holds its error, whose traceback holds this frame


async def _close(connection: AbstractConnection) -> None:
    """Say good-bye, in a bounded time: cancelled once, the library waits for its end for ever."""
    limit_s = BLOCKED_CLOSE_TIMEOUT_S if is_blocked(connection) else CLOSE_TIMEOUT_S
    with suppress(TimeoutError, *LOSSES):
        async with asyncio.timeout(limit_s):
            await connection.close()


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn whatever AMQP or network error the body raises into a `LinkLost` that a person reads."""
    try:
        yield
    except LinkLost:
        raise
    except asyncio.CancelledError as exc:
        if is_ending():
            raise
        # What is on its way when a broker falls silent is cancelled by the library, not by us.
        raise end_of(exc) from exc
    except LOSSES as exc:
        raise _explain(exc, URL(url)) from exc
    except Exception as exc:
        # Cut off in the middle of a call, the library raises the bare class, and nothing else does.
        if type(exc) is Exception:
            raise _explain(exc, URL(url)) from exc
        raise


def end_of(exc: BaseException | None) -> Exception:
    """Return why a connection or channel ended, from what the library tells its close callbacks.

    It tells `CancelledError` of a connection on which the broker fell silent; as the result of a
    future that would look like a cancellation of whoever waits for it.
    """
    if exc is None:
        return LinkLost("the connection was closed")
    if isinstance(exc, Exception):
        return exc
    return LinkLost("RabbitMQ fell silent: its heartbeats stayed away")


def place(url: URL | str) -> str:
    """Name a broker for people, without the login."""
    url = URL(url)
    return f"RabbitMQ at {url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"


def _reply(exc: BaseException) -> str:
    """Return with which words a connection was refused: the library keeps them in a variable."""
    for frame, _ in walk_tb(exc.__traceback__):
        close = frame.f_locals.get("frame")
        if isinstance(close, Connection.Close):
            return str(close.reply_text)
    return ""


def _explain(exc: Exception, url: URL) -> LinkLost:
    where = place(url)
    vhost = unquote(url.raw_path[1:]) or "/"
    match exc:
        case ProbableAuthenticationError() | AuthenticationError():
            return LinkRefused(
                f"{where} refused the login of user {url.user or 'guest'!r}: check user and "
                "password in the AMQP URL (user guest may log in from the broker's own host only)"
            )
        case ConnectionNotAllowed() | InvalidFrameError():
            told = str(exc) if isinstance(exc, ConnectionNotAllowed) else _reply(exc)
            if not _OF_THE_VHOST.search(told):
                told = told.replace(": ", ", ")
                return LinkRefused(
                    f"{where} refused the connection ({told}): if that is a limit, raise it "
                    "(rabbitmqctl set_vhost_limits or set_user_limits), or stop what is not needed"
                )
            return NoVhost(
                f"{where} refused the virtual host {vhost!r}: does it exist, and does user "
                f"{url.user or 'guest'!r} have a permission there?"
            )
        case ChannelAccessRefused():
            return LinkRefused(f"{where}: user {url.user or 'guest'!r} lacks a right: {exc}")
        case PublishError():
            return Unroutable(f"{where} has no queue to put the message into: is no node running?")
        case DeliveryError():
            return LinkLost(f"{where} could not take the message (nack)")
        case _:
            return LinkLost(f"{where}: {str(exc) or type(exc).__name__}")
