"""The same contract inside one process: publishing is a plain call. For one node, and for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from progress_ws.broker.seam import (
    NOT_YET,
    Deliver,
    LinkLost,
    OnCancel,
    OnSubscribed,
    Unroutable,
    ignore,
)
from progress_ws.core.batch import Batch
from progress_ws.core.intake import Delivery


class EmbeddedBroker:
    """Feed and link in one: what is put is delivered to whoever runs, in order, before `put` ends.

    No imitation of RabbitMQ: it has no queues, and keeps nothing beyond its process.
    """

    def __init__(self) -> None:
        self.reconnects = 0
        self.last_loss = ""
        self._nodes: list[Deliver] = []

    @property
    def trouble(self) -> str | None:
        """See `Feed.trouble`."""
        return None if self._nodes else NOT_YET

    async def run(self, deliver: Deliver, *, on_subscribed: OnSubscribed = ignore) -> None:
        """See `Feed.run`."""
        on_subscribed()
        self._nodes.append(deliver)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._nodes.remove(deliver)

    def resubscribe(self, reason: str) -> None:
        """See `Feed.resubscribe`; a plain call cannot go deaf."""

    @asynccontextmanager
    async def open_link(self) -> AsyncIterator["EmbeddedLink"]:
        """Open a link to this broker."""
        if not self._nodes:
            raise LinkLost(NOT_YET)
        yield EmbeddedLink(self._nodes)


class EmbeddedLink:
    """See `Link`."""

    trouble = None

    def __init__(self, nodes: list[Deliver]) -> None:
        self._nodes = nodes

    async def put(self, batch: Batch) -> list[str]:
        """See `Link.put`."""
        self._deliver(Delivery(batch.body()))
        return batch.ids

    async def announce(self, type: str, body: bytes) -> None:
        """See `Link.announce`."""
        self._deliver(Delivery(body, type))

    async def listen(self, publisher: str, on_cancel: OnCancel) -> None:
        """See `Link.listen`; here publishers come over HTTP, and are told in its answers."""

    async def ask(self, type: str, body: bytes, *, to: str) -> None:
        """See `Link.ask`; inside one process all publish through its node."""
        raise Unroutable("nobody listens at the embedded broker")

    async def lost(self) -> None:
        """See `Link.lost`; it never is."""
        await asyncio.get_running_loop().create_future()

    def _deliver(self, delivery: Delivery) -> None:
        if not self._nodes:
            raise LinkLost("the embedded broker has ended")
        for deliver in self._nodes:
            deliver(delivery)
