"""What comes off the exchange: told apart, checked, counted, and handed on."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from progress_ws.core import codec
from progress_ws.core.cancels import CANCEL, TAKEN, CancelRequest, Cancels, Taken
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.memory import Memory
from progress_ws.core.message import Message, Number, Numbered, is_number, parse_id
from progress_ws.core.series import decode_series
from progress_ws.errors import InvalidMessage

OWN_TYPES = "progress-ws."
"""AMQP messages whose `type` begins so are the nodes' own."""
HEARTBEAT = "progress-ws.heartbeat"
LAST = "progress-ws.last"
"""A publisher says its latest number once more, shortly after it fell silent."""


class Last(msgspec.Struct):
    """The body of that."""

    publisher: str
    seq: int


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

    @property
    def is_own(self) -> bool:
        """Tell whether it is one of the nodes' own."""
        return self.type is not None and self.type.startswith(OWN_TYPES)


OnReject = Callable[[InvalidMessage, Delivery], None]


class Intake:
    """The callback of a feed: one plain call from the bytes of a delivery to every outbox.

    Attributes:
        hold: takes the live deliveries while the node catches up; None: they are read at once.
        own_beat: the count of this node's latest heartbeat that came back live.
        received: messages that were well formed.
        rejected: members of bodies that were no messages, by reason.
    """

    def __init__(
        self,
        memory: Memory,
        cluster: Cluster,
        cancels: Cancels,
        *,
        max_message_bytes: int,
        on_reject: OnReject,
        wall_clock: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._cluster = cluster
        self._cancels = cancels
        self._max_message_bytes = max_message_bytes
        self._on_reject = on_reject
        self._wall_clock = wall_clock
        self.hold: Callable[[Delivery], None] | None = None
        self.own_beat = 0
        self.received = 0
        self.rejected: Counter[str] = Counter()

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery; nothing in it, however malformed, makes this raise."""
        self._cluster.deliveries += 1
        if delivery.is_own:
            self._hear(delivery)
        elif self.hold is not None:
            self.hold(delivery)
        elif not self.take_series(delivery):
            self._memory.receive_all(self.read(delivery))

    def take_series(self, delivery: Delivery) -> bool:
        """Take a live delivery at once if it is a series; False: it is not, and has to be read."""
        limit = self._max_message_bytes
        series = decode_series(delivery.body, known=self._memory.sids, max_message_bytes=limit)
        if series is None:
            return False
        self.received += len(series.messages)
        self._memory.receive_series(series)
        return True

    def read(self, delivery: Delivery, *, live: bool = True) -> list[Numbered | Message]:
        """Give what a delivery carries: what has a number, and messages that have none.

        What is not `live` was counted when it came, or is another node's to count.
        """
        items = codec.decode_body(delivery.body, max_message_bytes=self._max_message_bytes)
        several = len(items) > 1
        found: list[Numbered | Message] = []
        for index, item in enumerate(items):
            if isinstance(item, InvalidMessage):
                if live:
                    self._reject(item, delivery)
                if item.id is not None and (number := parse_id(item.id)) is not None:
                    found.append(Numbered(number))
                continue
            message = item if isinstance(item, Message) else item.message
            if message is not None:
                self.received += live
                self._complete(message, delivery, index if several else None)
            found.append(item)
        return found

    def own_heartbeat(self, delivery: Delivery) -> Heartbeat | None:
        """Return the heartbeat of this very node that a delivery of the stream is, or None.

        Of other nodes the stream tells who published for their workers, before this node was there.
        """
        if delivery.type != HEARTBEAT:
            return None
        try:
            beat = codec.decode(delivery.body, Heartbeat)
        except InvalidMessage:
            return None
        self._cluster.recall(beat)
        return beat if self._cluster.is_own(beat) else None

    def _complete(self, message: Message, delivery: Delivery, index: int | None) -> None:
        """Fill in what the AMQP properties say, and let go of the body it came in."""
        message.message = message.message.copy()
        if message.ts is None:
            message.ts = delivery.timestamp or round(self._wall_clock(), 3)
        if message.dedupe is not None:
            message.dedupe = message.dedupe or None
        if message.id is None and message.dedupe is None and delivery.message_id:
            place = "" if index is None else f"#{index}"
            message.dedupe = f"{delivery.message_id}{place}"

    def _hear(self, delivery: Delivery) -> None:
        try:
            if delivery.type == HEARTBEAT:
                self._hear_beat(codec.decode(delivery.body, Heartbeat))
            elif delivery.type == LAST:
                said = codec.decode(delivery.body, Last)
                self._expect(Number(said.publisher, said.seq))
            elif delivery.type == CANCEL:
                self._cancels.hear(codec.decode(delivery.body, CancelRequest))
            elif delivery.type == TAKEN:
                self._cancels.hear_taken(codec.decode(delivery.body, Taken).request)
            # else of a later version
        except InvalidMessage as exc:
            exc.reason = f"bad_{(delivery.type or '').removeprefix(OWN_TYPES)}"
            self._reject(exc, delivery)

    def _hear_beat(self, beat: Heartbeat) -> None:
        self._cluster.hear(beat)
        if self._cluster.is_own(beat):
            self.own_beat = beat.beat
        for number in beat.last:
            self._expect(number)

    def _expect(self, number: Number) -> None:
        if is_number(number):
            self._memory.expect(number)

    def _reject(self, flaw: InvalidMessage, delivery: Delivery) -> None:
        self.rejected[flaw.reason] += 1
        self._on_reject(flaw, delivery)
