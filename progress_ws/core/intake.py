"""What comes off the exchange: told apart, checked, counted, and handed on."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from progress_ws.core import codec
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.hub import Hub
from progress_ws.core.message import Message, parse_id
from progress_ws.core.numbers import Numbers
from progress_ws.errors import InvalidMessage

OWN_TYPES = "progress-ws."
"""AMQP messages whose `type` begins so are the nodes' own."""
HEARTBEAT = "progress-ws.heartbeat"


class Delivery(NamedTuple):
    """One AMQP message as a feed hands it over.

    Attributes:
        body: as it came.
        type: the AMQP property of that name.
        message_id: likewise.
        timestamp: likewise, in Unix seconds.
    """

    body: bytes
    type: str | None = None
    message_id: str | None = None
    timestamp: float | None = None


OnReject = Callable[[InvalidMessage, Delivery], None]


class Intake:
    """The callback of a feed: one plain call from the bytes of a delivery to every outbox.

    Attributes:
        received: messages that were well formed.
        repeated: messages dropped because their number had been received before.
        rejected: members of bodies that were no messages, by reason.
    """

    def __init__(
        self,
        hub: Hub,
        cluster: Cluster,
        *,
        max_message_bytes: int,
        on_reject: OnReject,
        wall_clock: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._cluster = cluster
        self._numbers = Numbers()
        self._max_message_bytes = max_message_bytes
        self._on_reject = on_reject
        self._wall_clock = wall_clock
        self.received = 0
        self.repeated = 0
        self.rejected: Counter[str] = Counter()

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery; nothing in it, however malformed, makes this raise."""
        if delivery.type is not None and delivery.type.startswith(OWN_TYPES):
            self._hear(delivery)
            return
        for item in codec.decode_body(delivery.body, max_message_bytes=self._max_message_bytes):
            if isinstance(item, Message):
                self._accept(item, delivery)
            else:
                self._reject(item, delivery)

    def _accept(self, message: Message, delivery: Delivery) -> None:
        self.received += 1
        if message.id is not None:
            number = parse_id(message.id)
            assert number is not None  # the codec has checked it
            if not self._numbers.receive(number):
                self.repeated += 1
                return
        if message.ts is None:
            message.ts = delivery.timestamp or round(self._wall_clock(), 3)
        self._hub.deliver(message)

    def _hear(self, delivery: Delivery) -> None:
        if delivery.type != HEARTBEAT:
            return  # of a later version
        try:
            self._cluster.hear(codec.decode(delivery.body, Heartbeat))
        except InvalidMessage as exc:
            exc.reason = "bad_heartbeat"
            self._reject(exc, delivery)

    def _reject(self, flaw: InvalidMessage, delivery: Delivery) -> None:
        self.rejected[flaw.reason] += 1
        self._on_reject(flaw, delivery)
