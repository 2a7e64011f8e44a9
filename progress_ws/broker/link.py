"""The link of a publisher to RabbitMQ: every batch one AMQP message, every message confirmed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version

from aio_pika import DeliveryMode, Message
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    HeadersType,
)
from pamqp.commands import Basic

from progress_ws.broker.connection import connect, end_of, explained, is_blocked, place
from progress_ws.broker.seam import LinkLost, OnCancel
from progress_ws.broker.topology import (
    Names,
    await_history,
    declare_control,
    declare_exchange,
    declare_publisher_queue,
    find_control,
    find_exchange,
)
from progress_ws.core import codec
from progress_ws.core.batch import Batch
from progress_ws.core.cancels import TAKEN, CancelRequest, Taken
from progress_ws.core.message import new_sid
from progress_ws.errors import InvalidMessage

log = logging.getLogger("progress_ws")

CONTENT_TYPE = "application/json"
APP_ID = f"progress-ws/{version('progress-ws')}"
MESSAGE_TYPE, ARRAY_TYPE = "message", "messages"
"""The AMQP property `type`, for whoever looks into a queue."""


@asynccontextmanager
async def open_link(
    url: str, names: Names, *, name: str, declare: bool = False
) -> AsyncIterator["AmqpLink"]:
    """Open a connection of its own for publishing; the management UI shows it under `name`.

    Nodes `declare` the exchange, as their users may; publishers only find it.

    Publishing has a connection of its own because the broker, in an alarm, stops reading those
    that publish (https://www.rabbitmq.com/docs/alarms).

    Raises:
        LinkLost: it cannot be had.
    """
    async with connect(url, name=name) as connection:
        if declare:
            await declare_exchange(connection, names)
            await declare_control(connection, names)
        # A broker that has just started confirms what its stream does not get yet. One whose stream
        # does not come back must not silence everybody for that: then it is published without, and
        # so it is by a user who may not look it up.
        with suppress(LinkLost):
            await await_history(connection, names)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await find_exchange(channel, names)
        link = AmqpLink(connection, channel, names, url=url)
        connection.close_callbacks.add(link.end)
        channel.close_callbacks.add(link.end)
        yield link


class AmqpLink:
    """One connection and one confirming channel."""

    def __init__(
        self,
        connection: AbstractConnection,
        channel: AbstractChannel,
        names: Names,
        *,
        url: str,
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._names = names
        self._url = url
        self._asking: AbstractChannel | None = None
        self._control: AbstractExchange | None = None
        self._finding = asyncio.Lock()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def trouble(self) -> str | None:
        """See `Link.trouble`."""
        if not is_blocked(self._connection):
            return None
        return f"{place(self._url)} takes no messages: it has an alarm (memory or disk)"

    async def put(self, batch: Batch) -> list[str]:
        """See `Link.put`. Properties and headers are for people who debug in the management UI."""
        ids = batch.ids
        single = batch.single
        headers: HeadersType = {}
        if single is None:
            headers["count"] = len(batch)
        else:
            headers["sid"], key = single
            if key is not None:
                headers["key"] = key
        await self._publish(
            batch.body(),
            type=MESSAGE_TYPE if single is not None else ARRAY_TYPE,
            routing_key=single[0] if single is not None else "",
            message_id=ids[0],
            headers=headers,
        )
        return ids

    async def announce(self, type: str, body: bytes) -> None:
        """See `Link.announce`. The time lets clocks be compared; nothing is decided by it."""
        # A key like a message's: where it does not come back, messages would not arrive either.
        await self._publish(body, type=type, routing_key=new_sid())

    async def listen(self, publisher: str, on_cancel: OnCancel) -> None:
        """See `Link.listen`."""

        async def take(message: AbstractIncomingMessage) -> None:
            try:
                request = codec.decode(message.body, CancelRequest)
            except InvalidMessage as exc:
                log.warning("a cancel request that is none: %s", exc)
                return
            if on_cancel(request.sid, request.key):
                with suppress(LinkLost):  # then the browser is told that nobody listens
                    await self.announce(TAKEN, codec.encode(Taken(request.request)))

        with explained(self._url):
            queue = await declare_publisher_queue(self._connection, self._names, publisher)
            await queue.consume(take, no_ack=True)

    async def ask(self, type: str, body: bytes, *, to: str) -> None:
        """See `Link.ask`. On a channel of its own: a missing exchange closes that one only."""
        message = Message(body, content_type=CONTENT_TYPE, type=type, app_id=APP_ID)
        with explained(self._url):
            async with self._finding:
                if self._asking is None or self._asking.is_closed:
                    self._control = None
                    self._asking = await self._connection.channel(on_return_raises=True)
                if self._control is None:
                    self._control = await find_control(self._asking, self._names)
                control = self._control
            await control.publish(message, to, mandatory=True)

    async def lost(self) -> None:
        """See `Link.lost`."""
        with explained(self._url):
            await self._lost

    async def _publish(
        self,
        body: bytes,
        *,
        type: str,
        routing_key: str,
        message_id: str | None = None,
        headers: HeadersType | None = None,
    ) -> None:
        """Publish as `Exchange.publish` would, but without its `Message`, whose making is a
        seventh of what publishing takes.
        """
        properties = Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=DeliveryMode.NOT_PERSISTENT,
            message_id=message_id,
            timestamp=datetime.now(UTC),
            app_id=APP_ID,
            message_type=type,
            headers=headers,
        )
        with explained(self._url):
            channel = await self._channel.get_underlay_channel()
            await channel.basic_publish(
                body,
                exchange=self._names.exchange,
                routing_key=routing_key,
                properties=properties,
                mandatory=True,  # a fanout without any queue confirms what nobody will ever get
            )

    def end(self, _sender: object, exc: BaseException | None) -> None:
        """Note that the connection or the channel has been closed, and why."""
        if not self._lost.done():
            self._lost.set_exception(end_of(exc))
            self._lost.exception()  # retrieved: at a planned close nobody waits for it
