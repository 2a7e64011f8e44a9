"""Whether this node may get traffic, and if not, why."""

from collections.abc import Callable

from progress_ws.broker.seam import Feed
from progress_ws.broker.sender import Sender
from progress_ws.core.cluster import Cluster
from progress_ws.core.memory import Memory
from progress_ws.node.online import Sockets


class Readiness:
    """Ready is what is proved: heartbeats sent through the exchange come back to this node.

    Attributes:
        failed: which part died, where one did.
        on_failure: called then; the process ends itself, so that whoever keeps it starts it anew.
    """

    def __init__(
        self, *, cluster: Cluster, feed: Feed, sender: Sender, sockets: Sockets, memory: Memory
    ) -> None:
        self._cluster = cluster
        self._feed = feed
        self._sender = sender
        self._sockets = sockets
        self._memory = memory
        self.failed: str | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def fail(self, reason: str) -> None:
        """Note that a part of the node died: never ready again, and whoever runs it is told."""
        self.failed = self.failed or reason
        self.on_failure()

    def obstacle(self) -> str | None:
        """Return why this node is not ready; None when it is."""
        if self.failed is not None:
            return self.failed
        if self._sockets.draining:
            return "draining: this node shuts down"
        if self._feed.trouble is not None:
            return f"cannot receive: {self._feed.trouble}"
        if self._cluster.hears_itself(self._feed.reconnects):
            return None if self._memory.is_current else "catching up with what it missed"
        if (trouble := self._sender.obstacle) is not None:
            return f"cannot publish: {trouble}"
        return (
            "no heartbeat of this node comes back through the exchange: its queue or binding is "
            "gone (it will subscribe anew), or the broker confirms nothing"
        )
