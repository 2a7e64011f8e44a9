"""What there is on RabbitMQ and whether it works, found out without changing it.

The one thing made is the exclusive queue that listens; it is gone with its connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)

from progress_ws.broker import tolerance
from progress_ws.broker.connection import connect, explained
from progress_ws.broker.consumers import as_delivery
from progress_ws.broker.questions import ANSWER_TIMEOUT_S, NAME, consume_new, open_channel
from progress_ws.broker.seam import Deliver, LinkLost, NoStream
from progress_ws.broker.topology import (
    Names,
    another_kind,
    await_history,
    declare_exchange,
    declare_node_queue,
    find_exchange,
    missing_rights,
)


class Missing(NoStream):
    """There is no queue of the stream's name at all."""


@asynccontextmanager
async def open_probe(url: str, names: Names) -> AsyncIterator["Probe"]:
    """Open a connection for questions.

    Raises:
        LinkLost: it cannot be had; the cause is what the network or the broker said.
        NoVhost: the virtual host is refused.
    """
    tolerance.install()
    async with connect(url, name="progress-ws doctor") as connection:
        yield Probe(connection, names, url=url)


class Probe:
    """One connection, and the questions that are asked on it; each raises `LinkLost`.

    One at a time: the library may give a new channel the number of one that was closed a moment
    ago, and forget the new one with the old. What is asked at the same time has its own connection.
    """

    def __init__(self, connection: AbstractConnection, names: Names, *, url: str) -> None:
        self._connection = connection
        self._names = names
        self._url = url

    @property
    def version(self) -> str:
        """The version that the broker says it has; empty where it says none."""
        transport = self._connection.transport
        properties = getattr(transport and transport.connection, "server_properties", {})
        return str(properties.get("version", ""))

    async def missing(self, exchange: str) -> LinkLost | None:
        """Return what is to be said of an exchange that does not exist; None where it does.

        Whoever has no right on it is not told either, from RabbitMQ 4.2.6 on.
        """
        with explained(self._url):
            try:
                await find_exchange(await self._connection.channel(), Names(exchange))
            except ChannelAccessRefused:
                return None
            except LinkLost as exc:
                if not isinstance(exc.__cause__, ChannelNotFoundEntity):
                    raise
                return exc
        return None

    async def check_kind(self) -> None:
        """Declare the exchange, which must exist, as it is meant to be; this changes nothing.

        Raises:
            LinkRefused: it is of another kind; whoever may not configure it is not told.
        """
        with explained(self._url), suppress(ChannelAccessRefused):
            await declare_exchange(self._connection, self._names)

    async def listen(self, deliver: Deliver, *, for_s: float) -> None:
        """Call `deliver` with what crosses the exchange, for so long.

        Raises:
            LinkRefused: a right is missing; the text says which.
        """

        async def on_message(message: DeliveredMessage) -> None:
            deliver(as_delivery(message))

        with explained(self._url):
            channel = await self._connection.channel()
            exchange = await find_exchange(channel, self._names)
            queue = await declare_node_queue(channel, exchange, self._names, NAME)
            underlay = await channel.get_underlay_channel()
            await underlay.basic_consume(queue.name, on_message, no_ack=True)
            await asyncio.sleep(for_s)


async def follow_history(
    url: str, names: Names, on_begun: Callable[[], None], *, for_s: float
) -> bool:
    """Tell whether anything new comes into the stream within a time, which begins with a call.

    Raises:
        Missing: there is none.
        NoStream: it may not be read, or the name is another queue's.
        LinkLost: it exists, and does not answer.
    """
    arrived = asyncio.Event()

    async def on_message(_message: DeliveredMessage) -> None:
        arrived.set()

    async with connect(url, name="progress-ws doctor: history") as connection:
        if not await await_history(connection, names, ANSWER_TIMEOUT_S):
            raise Missing(f"the stream {names.history!r} does not exist")
        channel = await open_channel(connection)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await consume_new(channel, names.history, on_message)
        except ChannelAccessRefused as exc:
            raise NoStream(missing_rights(names, exc)) from exc
        except ChannelPreconditionFailed as exc:
            raise NoStream(another_kind(names, exc)) from exc
        except TimeoutError as exc:
            raise LinkLost(f"the stream {names.history!r} does not answer") from exc
        on_begun()
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await arrived.wait()
        return arrived.is_set()
