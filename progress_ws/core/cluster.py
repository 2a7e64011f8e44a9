"""Who is there, as their heartbeats tell; and whether this node still hears its own."""

import math
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from progress_ws.core.message import Number

HEARTBEAT_INTERVAL_S = 2.0
UNREADY_AFTER_S = 5.0
"""Two heartbeats missed: send the traffic to other nodes."""
DEAF_AFTER_S = 8.0
"""Four heartbeats that the broker confirmed did not come back: subscribe anew."""
BEHIND_AFTER_S = 30.0
"""While anything else comes, they may be on their way behind it: whoever is behind is not deaf, and
to subscribe anew would throw away what waits."""
GONE_AFTER_S = 10.0
MAX_NODES = 4096
"""Against a flood of forged heartbeats."""
SENT_MAX = 1024
"""Own heartbeats that have not come back; of more, the oldest are forgotten."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself, through the exchange.

    Attributes:
        node: its name.
        instance: random, of this process: two nodes may be given one name by mistake.
        version: of progress-ws.
        connections: open sockets.
        sessions: sids with at least one socket there.
        subscription: counts the node's subscriptions; only what comes back through the
            present one proves that it hears.
        beat: counts the heartbeats of the instance.
        leaving: the last heartbeat of a node that shuts down.
        last: the last numbers of publishers that fell silent a moment ago.
        publisher: the name under which it sends what comes in over HTTP.
    """

    node: str
    instance: str
    version: str
    connections: int
    sessions: int
    subscription: int = 0
    beat: int = 0
    leaving: bool = False
    last: list[Number] = []
    publisher: str = ""


class Cluster:
    """The nodes heard lately. Time is this node's own monotonic clock, in seconds.

    Attributes:
        deliveries: counts whatever comes through the exchange.
        heard_until_s: all that was published before this has come; None: nothing is known. It is
            when the latest of its own heartbeats that came back was sent: a node may be behind, and
            when that one came says nothing of what waits on the broker.
    """

    def __init__(self, *, instance: str, clock: Callable[[], float]) -> None:
        self._instance = instance
        self._clock = clock
        self.deliveries = 0
        self._deliveries_seen = 0
        self._quiet_since = -math.inf
        self._heard: dict[str, tuple[float, Heartbeat]] = {}
        self._unheard_since: float | None = None
        self.heard_until_s: float | None = None
        self._sent: deque[tuple[int, float]] = deque(maxlen=SENT_MAX)
        self._publishers: OrderedDict[str, None] = OrderedDict()

    def is_own(self, heartbeat: Heartbeat) -> bool:
        """Tell whether a heartbeat is this very node's."""
        return heartbeat.instance == self._instance

    def hear(self, heartbeat: Heartbeat) -> None:
        """Note a heartbeat of another node, or this node's own coming back."""
        is_own = self.is_own(heartbeat)
        if is_own:
            self._unheard_since = None
            self._note_heard(heartbeat.beat)
        if len(self._heard) >= MAX_NODES:
            self._forget_silent()
        self.recall(heartbeat)
        if heartbeat.leaving:
            self._heard.pop(heartbeat.instance, None)
        elif is_own or heartbeat.instance in self._heard or len(self._heard) < MAX_NODES:
            self._heard[heartbeat.instance] = (self._clock(), heartbeat)

    def recall(self, heartbeat: Heartbeat) -> None:
        """Note under which name a node publishes; it may have gone since."""
        self._publishers[heartbeat.publisher] = None
        self._publishers.move_to_end(heartbeat.publisher)
        if len(self._publishers) > MAX_NODES:
            self._publishers.popitem(last=False)

    def has_published(self, publisher: str) -> bool:
        """Tell whether a publisher is a node, or was one: its workers are heard through others."""
        return publisher in self._publishers

    def sent(self, beat: int) -> None:
        """Note that a heartbeat of this node goes out now."""
        self._sent.append((beat, self._clock()))

    def confirmed(self) -> None:
        """The broker has taken a heartbeat of this node: now it should come back."""
        if self._unheard_since is None:
            self._unheard_since = self._clock()

    def unsent(self) -> None:
        """Nothing can be sent at the moment: that nothing comes back says nothing."""
        self._unheard_since = None

    def hears_itself(self, subscription: int) -> bool:
        """Tell whether a heartbeat came back lately through this subscription: ready."""
        heard_s, own = self._heard.get(self._instance, (0.0, None))
        return (
            own is not None
            and own.subscription == subscription
            and self._clock() - heard_s < UNREADY_AFTER_S
        )

    def is_deaf(self) -> bool:
        """Tell whether heartbeats go out and do not come back; asked once per finding."""
        if self.deliveries != self._deliveries_seen:
            self._deliveries_seen = self.deliveries
            self._quiet_since = self._clock()
        since = self._unheard_since
        if since is None:
            return False
        now = self._clock()
        if now - max(since, self._quiet_since) < DEAF_AFTER_S and now - since < BEHIND_AFTER_S:
            return False
        self._unheard_since = None  # the new subscription gets as long to prove itself
        return True

    def nodes(self) -> list[Heartbeat]:
        """Return the latest heartbeat of every live node, by name."""
        self._forget_silent()
        return sorted((beat for _, beat in self._heard.values()), key=lambda beat: beat.node)

    def _note_heard(self, beat: int) -> None:
        while self._sent and self._sent[0][0] <= beat:
            number, sent_s = self._sent.popleft()
            if number == beat:
                self.heard_until_s = sent_s

    def _forget_silent(self) -> None:
        now = self._clock()
        self._heard = {
            instance: heard
            for instance, heard in self._heard.items()
            if now - heard[0] < GONE_AFTER_S
        }
