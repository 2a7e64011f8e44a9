"""A node's heartbeat: says that it is there, and proves to itself that it hears."""

import asyncio
from contextlib import suppress

import msgspec
import structlog

from progress_ws.broker.seam import NOT_YET, Feed, LinkLost, Unroutable
from progress_ws.broker.sender import Sender
from progress_ws.core import codec
from progress_ws.core.cluster import HEARTBEAT_INTERVAL_S, Cluster, Heartbeat
from progress_ws.core.hub import Hub
from progress_ws.core.intake import HEARTBEAT
from progress_ws.core.memory import Memory
from progress_ws.node.online import Sockets

log = structlog.get_logger(__name__)

EAGER_INTERVAL_S = 0.2
"""While it has not come back, live and in the stream: ready soon after a start or a reconnect."""
LEAVE_TIMEOUT_S = 1.0


class Pulse:
    """Sends heartbeats through the exchange and has a deaf feed subscribe anew.

    Attributes:
        beat: counts what was sent.
    """

    def __init__(
        self,
        *,
        node: str,
        instance: str,
        version: str,
        broker: str,
        cluster: Cluster,
        feed: Feed,
        sender: Sender,
        hub: Hub,
        sockets: Sockets,
        memory: Memory,
    ) -> None:
        """`broker`: which one it is, for the log."""
        self._node, self._instance, self._version = node, instance, version
        self._broker = broker
        self._cluster, self._feed, self._sender = cluster, feed, sender
        self._hub, self._sockets, self._memory = hub, sockets, memory
        self._nudged = asyncio.Event()
        self.beat = 0
        self._beat: asyncio.Task[None] | None = None
        self._trouble: str | None = NOT_YET
        self._lost = [0, 0]

    async def run(self) -> None:
        """Beat until cancelled."""
        try:
            while True:
                self._tell_trouble()
                if self._beat is None or self._beat.done():
                    self._beat = asyncio.create_task(self._announce())
                if self._sender.obstacle is not None:
                    self._cluster.unsent()
                elif self._cluster.is_deaf():
                    log.warning("deaf: heartbeats go out and do not come back; subscribing anew")
                    self._feed.resubscribe("heartbeats went out and did not come back")
                hears = self._cluster.hears_itself(self._feed.reconnects)
                settled = hears and self._memory.is_current
                with suppress(TimeoutError):
                    interval_s = HEARTBEAT_INTERVAL_S if settled else EAGER_INTERVAL_S
                    async with asyncio.timeout(interval_s):
                        await self._nudged.wait()
                self._nudged.clear()
        finally:
            if self._beat is not None:
                self._beat.cancel()

    def now(self) -> Heartbeat:
        """Return what this node says of itself, as it is now."""
        return Heartbeat(
            node=self._node,
            instance=self._instance,
            version=self._version,
            connections=len(self._sockets),
            sessions=self._hub.sessions,
            subscription=self._feed.reconnects,
            beat=self.beat,
            publisher=self._sender.publisher,
        )

    def nudge(self) -> None:
        """Send the next heartbeat now."""
        self._nudged.set()

    async def leave(self) -> None:
        """Tell the others that this node goes, if the broker takes it at once."""
        with suppress(LinkLost, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._sender.announce(HEARTBEAT, self._encoded(leaving=True))

    async def _announce(self) -> None:
        """One at a time and never cancelled on the way: a broker in an alarm keeps it waiting."""
        try:
            await self._sender.announce(HEARTBEAT, self._encoded())
        except Unroutable:
            pass  # not even this node's own queue is bound: it will not come back
        except LinkLost:
            return
        self._cluster.confirmed()

    def _encoded(self, *, leaving: bool = False) -> bytes:
        self.beat += 1
        self._cluster.sent(self.beat)
        last = self._memory.fallen_silent()
        return codec.encode(msgspec.structs.replace(self.now(), leaving=leaving, last=last))

    def _tell_trouble(self) -> None:
        """Log what keeps this node from its broker once, and when it is over."""
        trouble = self._feed.trouble or self._sender.obstacle
        sides: tuple[Feed | Sender, ...] = (self._feed, self._sender)
        before, self._lost = self._lost, [side.reconnects for side in sides]
        if trouble == self._trouble:
            lost = [s.last_loss for s, n in zip(sides, before, strict=True) if s.reconnects > n]
            if trouble is None and lost:
                log.info(
                    "connections to the broker were lost and made anew",
                    count=sum(self._lost) - sum(before),
                    reason=lost[0],
                )
            return
        self._trouble = trouble
        if trouble is None:
            log.info("connected to the broker", broker=self._broker)
        elif self._feed.trouble or self._sender.trouble:
            log.warning("not connected to the broker", broker=self._broker, reason=trouble)
        else:
            log.warning("the broker takes no messages", broker=self._broker, reason=trouble)
