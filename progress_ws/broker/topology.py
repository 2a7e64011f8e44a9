"""Names and kinds of everything on RabbitMQ, written once."""

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractQueue,
)
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotImplemented,
)
from pamqp.common import FieldTable

from progress_ws.broker.prefix import DEFAULT_PREFIX
from progress_ws.broker.seam import LinkLost, LinkRefused, NoStream, Unroutable

NODE_QUEUE_BYTES = 64 * 1024 * 1024
"""What may wait on the broker for a node that does not read; beyond it the oldest go first."""
PREFETCH = 500
PUBLISHER_QUEUE_LENGTH = 1000
"""Cancel requests that may wait for a publisher that stands still."""

SEGMENTS = 16
MIN_SEGMENT_BYTES = 1024 * 1024
"""A stream forgets whole segments, and only when it begins a new one: with so many of them it keeps
at most a sixteenth more than its bounds say. Smaller ones gain little, and each is two files that
the broker keeps open and looks through for a time."""
HISTORY_TIMEOUT_S = 5.0
HISTORY_PAUSE_S = 0.1
NO_QUEUE = "no queue"
"""In a 404: there is none. Other ones name the queue, and say that its node is not there yet."""
OF_A_LIMIT = "limit"
"""In a 406: the virtual host has as many queues as it may have."""
MAX_DIFFERENCES = 10
_DIFFERENCE = re.compile(
    r"inequivalent arg '(?P<name>[^']+)'.*"
    r" but current is (?:(?:the value )?'(?P<value>[^']*)'|none)"
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names on the broker, all from one prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def exchange(self) -> str:
        """The fanout exchange that everything crosses."""
        return self.prefix

    @property
    def history(self) -> str:
        """The stream that remembers what crosses the exchange."""
        return f"{self.prefix}.history"

    @property
    def control(self) -> str:
        """The direct exchange of cancel requests; the routing key is the publisher's name."""
        return f"{self.prefix}.control"

    def publisher_queue(self) -> str:
        """A fresh name for each connection; see `node_queue`."""
        return f"{self.prefix}.pub.{secrets.token_hex(8)}"

    def node_queue(self, node: str) -> str:
        """A fresh name for each connection.

        A name used again would be refused (RESOURCE_LOCKED) for as long as the broker has not
        noticed that the connection of its former owner is gone.
        """
        return f"{self.prefix}.node.{node}.{secrets.token_hex(4)}"


async def declare_exchange(connection: AbstractConnection, names: Names) -> AbstractExchange:
    """Declare the exchange, on a channel of its own; return it for binding and publishing.

    A user without the right to configure it may still use one that exists.

    Raises:
        LinkRefused: it exists and is of another kind, or is missing and may not be declared.
    """
    try:
        channel = await connection.channel()
        return await channel.declare_exchange(names.exchange, ExchangeType.FANOUT, durable=True)
    except ChannelPreconditionFailed as exc:
        raise LinkRefused(
            f"the exchange {names.exchange!r} exists, but is not a durable fanout exchange: delete "
            f"it, or set PROGRESS_WS_PREFIX to another name ({exc})"
        ) from exc
    except ChannelAccessRefused:
        return await find_exchange(await connection.channel(), names)


async def find_exchange(channel: AbstractChannel, names: Names) -> AbstractExchange:
    """Look an exchange up without the right to declare it.

    Raises:
        LinkLost: it does not exist yet; the first node that may declare it will do so.
    """
    try:
        return await channel.declare_exchange(names.exchange, passive=True)
    except ChannelNotFoundEntity as exc:
        raise LinkLost(_no_exchange(names.exchange, "fanout")) from exc


async def declare_control(connection: AbstractConnection, names: Names) -> None:
    """Declare the exchange for requests to publishers; where it cannot be, nobody can be asked."""
    with suppress(ChannelAccessRefused, ChannelPreconditionFailed):
        channel = await connection.channel()
        await channel.declare_exchange(names.control, ExchangeType.DIRECT, durable=True)
        await channel.close()


async def find_control(channel: AbstractChannel, names: Names) -> AbstractExchange:
    """Look that exchange up; whoever may not declare it finds it.

    Raises:
        Unroutable: it does not exist, so nobody listens.
    """
    try:
        return await channel.declare_exchange(names.control, passive=True)
    except ChannelNotFoundEntity as exc:
        raise Unroutable(f"the exchange {names.control!r} does not exist") from exc


async def declare_node_queue(
    channel: AbstractChannel, exchange: AbstractExchange, names: Names, node: str
) -> AbstractQueue:
    """Declare a node's own queue under a fresh name and bind it.

    Raises:
        LinkRefused: the user lacks a right; the text says which.
        LinkLost: there may be no more queues.
    """
    name, any_name = names.node_queue(node), f"{names.prefix}.node.*"
    try:
        return await _own_queue(
            channel,
            name,
            exchange=exchange,
            routing_key="",
            bound={"x-max-length-bytes": NODE_QUEUE_BYTES},
        )
    except ChannelAccessRefused as exc:
        told = str(exc).replace(name, any_name)  # the same at every attempt
        raise LinkRefused(_no_right("a node", any_name, names.exchange, told)) from exc
    except ChannelPreconditionFailed as exc:
        raise LinkLost(_no_queue(str(exc).replace(name, any_name))) from exc


async def declare_publisher_queue(
    connection: AbstractConnection, names: Names, publisher: str
) -> AbstractQueue:
    """Declare a publisher's own queue under a fresh name and bind it to the cancel requests.

    Raises:
        LinkRefused: the user lacks a right, there may be no more queues, or no node has made the
            exchange.
    """
    name, any_name = names.publisher_queue(), f"{names.prefix}.pub.*"
    try:
        return await _own_queue(
            await connection.channel(publisher_confirms=False),
            name,
            exchange=names.control,
            routing_key=publisher,
            bound={"x-max-length": PUBLISHER_QUEUE_LENGTH},
        )
    except ChannelAccessRefused as exc:
        told = str(exc).replace(name, any_name)
        who = "to be cancelled a publisher"
        raise LinkRefused(_no_right(who, any_name, names.control, told)) from exc
    except ChannelPreconditionFailed as exc:
        raise LinkRefused(_no_queue(str(exc).replace(name, any_name))) from exc
    except ChannelNotFoundEntity as exc:
        raise LinkRefused(_no_exchange(names.control, "direct")) from exc


async def _own_queue(
    channel: AbstractChannel,
    name: str,
    *,
    exchange: AbstractExchange | str,
    routing_key: str,
    bound: dict[str, int],
) -> AbstractQueue:
    """Declare a queue that goes with its connection, and at its bound drops its oldest; bind it."""
    queue = await channel.declare_queue(
        name, exclusive=True, auto_delete=True, arguments={**bound, "x-overflow": "drop-head"}
    )
    await queue.bind(exchange, routing_key=routing_key)
    return queue


async def declare_history(
    connection: AbstractConnection, names: Names, *, max_age_s: int, max_bytes: int
) -> None:
    """Declare the stream that remembers what crosses the exchange, and bind it.

    One that another node has made with other bounds will do.

    Raises:
        NoStream: it cannot be had here; the text says the mend.
        LinkLost: not now: the broker is still starting, or another node is just declaring it.
    """
    arguments = _history_arguments(max_age_s=max_age_s, max_bytes=max_bytes)
    if await await_history(connection, names):
        await _check_kind(connection, names, arguments)
    else:
        try:
            channel = await connection.channel()
            await channel.declare_queue(names.history, durable=True, arguments=arguments)
        except ChannelAccessRefused as exc:
            raise NoStream(missing_rights(names, exc)) from exc
        except (ChannelPreconditionFailed, ConnectionNotImplemented) as exc:
            if OF_A_LIMIT in str(exc):
                raise NoStream(_no_queue(str(exc))) from exc
            raise NoStream(
                f"this broker makes no stream {names.history!r}: it takes RabbitMQ 3.9 or later "
                f"with the feature flag stream_queue ({exc})"
            ) from exc
    try:
        channel = await connection.channel()
        queue = await channel.declare_queue(names.history, passive=True)
        await queue.bind(names.exchange, routing_key="")
    except ChannelAccessRefused as exc:
        raise NoStream(missing_rights(names, exc)) from exc


async def await_history(
    connection: AbstractConnection, names: Names, timeout_s: float = HISTORY_TIMEOUT_S
) -> bool:
    """Wait until the stream answers; False if there is none.

    Just after its start a broker confirms messages that the stream never gets, until it answers.
    Looking it up takes no right before RabbitMQ 4.2.6, and from there on any one on the stream.

    Raises:
        NoStream: the user may not look it up.
        LinkLost: it exists, and does not answer in time.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                channel = await connection.channel()
                await channel.declare_queue(names.history, passive=True)
                await channel.close()
            return True
        except ChannelAccessRefused as exc:
            raise NoStream(missing_rights(names, exc)) from exc
        except ChannelNotFoundEntity as exc:
            if NO_QUEUE in str(exc):
                return False
            trouble: Exception = exc  # its home node is down or inaccessible
        except ChannelPreconditionFailed as exc:
            trouble = exc  # it has no running replica
        except TimeoutError as exc:
            raise LinkLost(f"the stream {names.history!r} does not answer") from exc
        if asyncio.get_running_loop().time() + HISTORY_PAUSE_S > deadline:
            raise LinkLost(f"the stream {names.history!r} is not there yet: {trouble}") from trouble
        await asyncio.sleep(HISTORY_PAUSE_S)


def _history_arguments(*, max_age_s: int, max_bytes: int) -> FieldTable:
    return {
        "x-queue-type": "stream",
        "x-max-age": f"{max_age_s}s",
        "x-max-length-bytes": max_bytes,
        "x-stream-max-segment-size-bytes": max(max_bytes // SEGMENTS, MIN_SEGMENT_BYTES),
    }


async def _check_kind(connection: AbstractConnection, names: Names, arguments: FieldTable) -> None:
    """Make sure that the queue of this name is a stream, whatever its other arguments.

    A passive declaration does not tell, and an active one names the first argument that differs:
    what is said of the others is taken over until it is the kind's turn.
    """
    for _ in range(MAX_DIFFERENCES):
        try:
            channel = await connection.channel()
            await channel.declare_queue(names.history, durable=True, arguments=arguments)
            return
        except ChannelAccessRefused:
            return  # whoever may not configure it takes it as it is
        except ChannelPreconditionFailed as exc:
            difference = _DIFFERENCE.search(str(exc))
            if difference is None:
                return
            name, value = difference["name"], difference["value"]
            if not name.startswith("x-") or name == "x-queue-type":
                raise NoStream(another_kind(names, exc)) from exc
            arguments.pop(name, None)
            if value is not None:
                arguments[name] = int(value) if value.isdecimal() else value


def another_kind(names: Names, exc: Exception) -> str:
    """Say that the stream's name is taken."""
    return (
        f"the queue {names.history!r} exists, but is not a durable stream: delete it, or set "
        f"PROGRESS_WS_PREFIX to another name ({exc})"
    )


def missing_rights(names: Names, exc: Exception) -> str:
    """Say what a node needs for the stream."""
    return _no_right("a node", names.history, names.exchange, str(exc))


def _no_right(who: str, queue: str, exchange: str, told: str) -> str:
    return (
        f"a right is missing: {who} needs configure, write and read on {queue!r} and "
        f"read on {exchange!r} ({told})"
    )


def _no_queue(told: str) -> str:
    """Say what to do about a queue that is not made, though the user may."""
    told = told.replace(": ", ", ")
    return f"no more queues ({told}): raise that limit (rabbitmqctl set_vhost_limits)"


def _no_exchange(name: str, kind: str) -> str:
    return (
        f"the exchange {name!r} does not exist: start a node whose user has the right to configure "
        f"it, or declare it ({kind}, durable)"
    )
