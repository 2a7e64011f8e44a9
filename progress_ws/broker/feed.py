"""What brings every message to a node: its own queue on RabbitMQ, and the one reconnect loop."""

import asyncio
from contextlib import AsyncExitStack

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import DeliveredMessage

from progress_ws.broker import tolerance
from progress_ws.broker.connection import LOSSES, connect, end_of, explained
from progress_ws.broker.seam import NOT_YET, Deliver, LinkLost, OnSubscribed, ignore, is_ending
from progress_ws.broker.topology import PREFETCH, Names, declare_exchange, declare_node_queue
from progress_ws.core.backoff import Backoff
from progress_ws.core.intake import Delivery

SUBSCRIBE_TIMEOUT_S = 10.0
ACK_EVERY = 100
ACK_AFTER_S = 0.2


class AmqpFeed:
    """A supervised subscription: whatever ends it, everything is made anew.

    An exception, a closed connection or channel, a consumer that the broker cancelled (its queue
    was deleted), and a word from outside that this node is deaf (`resubscribe`) all end up in one
    place: a pause with full jitter, then a new connection and a queue under a fresh name.
    """

    def __init__(self, url: str, names: Names, *, node: str) -> None:
        tolerance.install()
        self.trouble: str | None = NOT_YET
        self.reconnects = 0
        self._url = url
        self._names = names
        self._node = node
        self._subscription: _Subscription | None = None

    async def run(self, deliver: Deliver, *, on_subscribed: OnSubscribed = ignore) -> None:
        """See `Feed.run`."""
        backoff = Backoff(first_s=0.1, cap_s=1.0)
        while True:
            try:
                await self._run_once(_Subscription(deliver, on_subscribed), backoff)
            except LinkLost as exc:
                if is_ending():
                    raise asyncio.CancelledError from exc
                if self.trouble is None:
                    self.reconnects += 1
                self.trouble = str(exc)
            finally:
                self._subscription = None
            await asyncio.sleep(backoff.next_s())

    def resubscribe(self, reason: str) -> None:
        """See `Feed.resubscribe`."""
        if self._subscription is not None:
            self._subscription.end(LinkLost(reason))

    async def _run_once(self, subscription: "_Subscription", backoff: Backoff) -> None:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                    name = f"progress-ws node {self._node}: consuming"
                    connection = await stack.enter_async_context(connect(self._url, name=name))
                    self._subscription = subscription
                    await subscription.start(connection, self._names, self._node)
            except TimeoutError as exc:
                detail = f"RabbitMQ does not answer within {SUBSCRIBE_TIMEOUT_S:g} s"
                raise LinkLost(detail) from exc
            self.trouble = None
            backoff.reset()
            with explained(self._url):
                await subscription.ended


class _Subscription:
    """One consumer on one queue: calls `deliver`, acknowledges many at a time, notices its end."""

    def __init__(self, deliver: Deliver, on_subscribed: OnSubscribed) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deliver = deliver
        self._on_subscribed = on_subscribed
        self._channel: UnderlayChannel | None = None
        self._unacknowledged = 0
        self._last_tag = 0
        self._ack_timer: asyncio.TimerHandle | None = None
        self._ack: asyncio.Task[None] | None = None

    async def start(self, connection: AbstractConnection, names: Names, node: str) -> None:
        exchange = await declare_exchange(connection, names)
        channel: AbstractChannel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await declare_node_queue(channel, exchange, names, node)
        connection.close_callbacks.add(self._on_close)
        channel.close_callbacks.add(self._on_close)
        self._channel = await channel.get_underlay_channel()
        self._channel.on_consumer_cancel_callbacks.add(self._on_cancel)
        self._on_subscribed()
        await self._channel.basic_consume(queue.name, self._on_message, consumer_tag=node)

    def end(self, exc: BaseException) -> None:
        """End it: the first reason counts."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        if not self.ended.done():
            self.ended.set_exception(exc)
            self.ended.exception()  # retrieved: at a planned end nobody waits for it

    async def _on_message(self, message: DeliveredMessage) -> None:
        self._deliver(as_delivery(message))
        self._last_tag = message.delivery_tag or 0
        self._unacknowledged += 1
        if self._unacknowledged >= ACK_EVERY:
            self._acknowledge()
        elif self._ack_timer is None:
            loop = asyncio.get_running_loop()
            self._ack_timer = loop.call_later(ACK_AFTER_S, self._acknowledge)

    def _acknowledge(self) -> None:
        """Acknowledge all so far at once; skipped while the last one is still being written."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if not self._unacknowledged or self.ended.done():
            return
        if self._ack is None or self._ack.done():
            self._unacknowledged = 0
            self._ack = asyncio.create_task(self._write_ack(self._last_tag))

    async def _write_ack(self, tag: int) -> None:
        assert self._channel is not None
        try:
            await self._channel.basic_ack(tag, multiple=True, wait=False)
        except LOSSES as exc:
            self.end(exc)

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
