"""One consumer of one queue: what is delivered, acknowledged many at a time, and how it ended.

Deliveries are read in bulk out of the connection's bytes (`tap.py`); everything else on the
connection stays the library's. `plain` leaves the deliveries to the library, too: a callback for
each. Both are the same to whoever consumes, but for the price.
"""

import asyncio
from collections.abc import Callable

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldTable

from progress_ws.broker.bulk import NO_OFFSET, OFFSET_HEADER, Delivered, ack
from progress_ws.broker.connection import LOSSES, end_of
from progress_ws.broker.seam import LinkLost
from progress_ws.broker.tap import Tap
from progress_ws.core.intake import Delivery

ACK_EVERY = 100
"""Of a prefetch of some hundreds: the broker never waits for it."""
ACK_AFTER_S = 0.2

OnDelivered = Callable[[list[Delivered]], None]


class Consumer:
    """Calls `on_delivered` with some deliveries at a time, in order, and acknowledges them after.

    Made before its connection, which is opened with its `tap` as the transport factory.

    Attributes:
        tap: where the bytes are read; None: the library reads them.
        ended: done once nothing more comes: an error for what ended it, None after `end(None)`.
    """

    def __init__(self, on_delivered: OnDelivered, *, plain: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self.tap = None if plain else Tap()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._on_delivered = on_delivered
        self._heard_at = self._loop.time()
        self._channel: UnderlayChannel | None = None
        self._number = 0
        self._unacknowledged = 0
        self._last_tag = 0
        self._ack_timer: asyncio.TimerHandle | None = None
        self._ack: asyncio.Task[None] | None = None

    @property
    def heard_at(self) -> float:
        """When anything came last, by the loop's clock."""
        return self._heard_at if self.tap is None else self.tap.heard_at

    async def open(self, connection: AbstractConnection, *, prefetch: int) -> AbstractChannel:
        """Open the channel to consume on; from here on its end is this consumer's."""
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=prefetch)
        connection.close_callbacks.add(self._on_close)
        channel.close_callbacks.add(self._on_close)
        self._channel = await channel.get_underlay_channel()
        self._channel.on_consumer_cancel_callbacks.add(self._on_cancel)
        self._number = self._channel.number
        return channel

    async def start(
        self, queue: str, *, tag: str | None = None, arguments: FieldTable | None = None
    ) -> None:
        """Consume; the first deliveries may have been taken when this returns."""
        assert self._channel is not None
        if self.tap is not None:
            is_stream = arguments is not None and "x-stream-offset" in arguments
            self.tap.take(self._number, self._take, with_offsets=is_stream)
        await self._channel.basic_consume(
            queue, self._on_message, consumer_tag=tag, arguments=arguments
        )

    def end(self, exc: Exception | None) -> None:
        """End it, the first reason counts: what is still delivered is forgotten."""
        if self.tap is not None:
            self.tap.drop()
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if self.ended.done():
            return
        if exc is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(exc)
            self.ended.exception()  # retrieved: at a planned end nobody waits for it

    def _take(self, delivered: list[Delivered]) -> None:
        if self.ended.done():
            return
        try:
            self._on_delivered(delivered)
        except Exception as exc:  # noqa: BLE001  # it is raised by whoever waits for the end
            self.end(exc)
            return
        if self.ended.done():
            return
        self._last_tag = delivered[-1].tag
        self._unacknowledged += len(delivered)
        if self._unacknowledged >= ACK_EVERY:
            self._acknowledge()
        elif self._ack_timer is None:
            self._ack_timer = self._loop.call_later(ACK_AFTER_S, self._acknowledge)

    def _acknowledge(self) -> None:
        """Acknowledge all so far at once."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if not self._unacknowledged or self.ended.done():
            return
        if self.tap is not None:
            self._unacknowledged = 0
            self.tap.write(ack(self._number, self._last_tag))
        elif self._ack is None or self._ack.done():  # else it is still being written
            self._unacknowledged = 0
            self._ack = asyncio.create_task(self._write_ack(self._last_tag))

    async def _write_ack(self, tag: int) -> None:
        assert self._channel is not None
        try:
            await self._channel.basic_ack(tag, multiple=True, wait=False)
        except LOSSES as exc:
            self.end(exc)

    async def _on_message(self, message: DeliveredMessage) -> None:
        assert self.tap is None, "what is delivered is taken before the library sees it"
        self._heard_at = self._loop.time()
        headers = message.header.properties.headers or {}
        offset = headers.get(OFFSET_HEADER.decode())
        place = offset if isinstance(offset, int) else NO_OFFSET
        self._take([Delivered(as_delivery(message), place, message.delivery_tag or 0)])

    def _on_close(self, _sender: object, exc: BaseException | None) -> None:
        self.end(end_of(exc))

    def _on_cancel(self, _frame: object) -> None:
        self.end(LinkLost("the broker cancelled the consumer: its queue was deleted"))


def as_delivery(message: DeliveredMessage) -> Delivery:
    """Take out of the library's message what a delivery is."""
    properties = message.header.properties
    timestamp = properties.timestamp
    return Delivery(
        message.body,
        properties.message_type,
        properties.message_id,
        timestamp.timestamp() if timestamp is not None else None,
    )
