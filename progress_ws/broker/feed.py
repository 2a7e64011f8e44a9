"""What brings every message to a node: its own queue on RabbitMQ, and the one reconnect loop."""

import asyncio
from contextlib import AsyncExitStack

from aio_pika.abc import AbstractConnection

from progress_ws.broker import tolerance
from progress_ws.broker.bulk import Delivered
from progress_ws.broker.connection import connect, explained
from progress_ws.broker.consumers import Consumer
from progress_ws.broker.seam import NOT_YET, Deliver, LinkLost, OnSubscribed, ignore, is_ending
from progress_ws.broker.topology import PREFETCH, Names, declare_exchange, declare_node_queue
from progress_ws.core.backoff import Backoff

SUBSCRIBE_TIMEOUT_S = 10.0


class AmqpFeed:
    """A supervised subscription: whatever ends it, everything is made anew.

    An exception, a closed connection or channel, a consumer that the broker cancelled (its queue
    was deleted), and a word from outside that this node is deaf (`resubscribe`) all end up in one
    place: a pause with full jitter, then a new connection and a queue under a fresh name.
    """

    def __init__(self, url: str, names: Names, *, node: str, plain: bool = False) -> None:
        """`plain`: the library reads the deliveries; see `Consumer`."""
        tolerance.install()
        self.trouble: str | None = NOT_YET
        self.reconnects = 0
        self.last_loss = ""
        self._url = url
        self._names = names
        self._node = node
        self._plain = plain
        self._consumer: Consumer | None = None

    async def run(self, deliver: Deliver, *, on_subscribed: OnSubscribed = ignore) -> None:
        """See `Feed.run`."""

        def deliver_all(delivered: list[Delivered]) -> None:
            for each in delivered:
                deliver(each.delivery)

        backoff = Backoff(first_s=0.1, cap_s=1.0)
        while True:
            try:
                consumer = Consumer(deliver_all, plain=self._plain)
                await self._run_once(consumer, on_subscribed, backoff)
            except LinkLost as exc:
                if is_ending():
                    raise asyncio.CancelledError from exc
                if self.trouble is None:
                    self.reconnects += 1
                    self.last_loss = str(exc)
                self.trouble = str(exc)
            finally:
                self._consumer = None
            await asyncio.sleep(backoff.next_s())

    def resubscribe(self, reason: str) -> None:
        """See `Feed.resubscribe`."""
        if self._consumer is not None:
            self._consumer.end(LinkLost(reason))

    async def _run_once(
        self, consumer: Consumer, on_subscribed: OnSubscribed, backoff: Backoff
    ) -> None:
        name = f"progress-ws node {self._node}: consuming"
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                    opened = connect(self._url, name=name, transport_factory=consumer.tap)
                    connection = await stack.enter_async_context(opened)
                    self._consumer = consumer
                    await self._subscribe(consumer, connection, on_subscribed)
            except TimeoutError as exc:
                detail = f"RabbitMQ does not answer within {SUBSCRIBE_TIMEOUT_S:g} s"
                raise LinkLost(detail) from exc
            self.trouble = None
            backoff.reset()
            with explained(self._url):
                await consumer.ended

    async def _subscribe(
        self, consumer: Consumer, connection: AbstractConnection, on_subscribed: OnSubscribed
    ) -> None:
        exchange = await declare_exchange(connection, self._names)
        channel = await consumer.open(connection, prefetch=PREFETCH)
        queue = await declare_node_queue(channel, exchange, self._names, self._node)
        on_subscribed()
        await consumer.start(queue.name, tag=self._node)
