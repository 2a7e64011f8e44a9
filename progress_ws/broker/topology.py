"""Names and kinds of everything on RabbitMQ, written once."""

import secrets
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
)

from progress_ws.broker.seam import LinkLost, LinkRefused

NODE_QUEUE_BYTES = 64 * 1024 * 1024
"""What may wait on the broker for a node that does not read; beyond it the oldest go first."""
PREFETCH = 500


@dataclass(frozen=True, slots=True)
class Names:
    """The names on the broker, all from one prefix."""

    prefix: str = "progress-ws"

    @property
    def exchange(self) -> str:
        """The fanout exchange that everything crosses."""
        return self.prefix

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
        raise LinkLost(
            f"the exchange {names.exchange!r} does not exist: start a node whose user has the "
            "right to configure it, or declare it (fanout, durable)"
        ) from exc


async def declare_node_queue(
    channel: AbstractChannel, exchange: AbstractExchange, names: Names, node: str
) -> AbstractQueue:
    """Declare a node's own queue under a fresh name and bind it.

    Raises:
        LinkRefused: the user lacks a right; the text says which.
    """
    name = names.node_queue(node)
    try:
        queue = await channel.declare_queue(
            name,
            exclusive=True,
            auto_delete=True,
            arguments={"x-max-length-bytes": NODE_QUEUE_BYTES, "x-overflow": "drop-head"},
        )
        await queue.bind(exchange, routing_key="")
    except ChannelAccessRefused as exc:
        raise LinkRefused(
            f"a right is missing: a node needs configure, write and read on "
            f"'{names.prefix}.node.*' and read on {names.exchange!r} ({exc})"
        ) from exc
    return queue
