"""Two ways to read the stream: to catch up after a gap, and to repair holes in numbers.

Both end at a heartbeat of this very node: what precedes it in the stream has been read then, and
what follows it comes live.
"""

from collections import deque
from collections.abc import Callable

from progress_ws.core.intake import Delivery, Intake
from progress_ws.core.memory import Memory
from progress_ws.core.message import Message, Number, Numbered, supersedes

Slot = tuple[str, str]
"""A sid and a key."""

HELD_BYTES = 16 * 1024 * 1024
"""What comes live during one reading; all of it is delivered in one go at its end."""
DELIVERY_BYTES = 330
"""What Python needs for each delivery besides its body, as measured: see
`tests/core/test_recall.py`."""

NOTICED_AFTER_S = 5.0
"""So much later than it was published, a lost message shows as a hole."""


class Catchup:
    """Everything since before a gap, in the stream's order; what comes live meanwhile waits."""

    def __init__(
        self,
        intake: Intake,
        memory: Memory,
        *,
        clock: Callable[[], float],
        latest_beat: Callable[[], int],
    ) -> None:
        """To be made when the new subscription is there, before anything comes through it.

        Args:
            intake: whose live deliveries wait.
            memory: what is received goes there.
            clock: the node's own.
            latest_beat: returns the count of the latest heartbeat that was sent.
        """
        self._intake = intake
        self._memory = memory
        self._clock = clock
        self._latest_beat = latest_beat
        self._beyond_beat = latest_beat()
        self._held: deque[tuple[Delivery, bool]] = deque()
        self._held_bytes = 0
        self._known: set[int] = set()
        memory.interrupted()
        intake.hold = self._hold

    def take(self, delivery: Delivery, age_s: float, began_s: float) -> bool:
        """Take a delivery of the stream; true when there is no need to read on.

        Args:
            delivery: as it stands there.
            age_s: how old it was, at the most, when the reading began; inf: not known.
            began_s: when that was.
        """
        if delivery.is_own:
            return self._is_end(delivery)
        arrived_s = began_s - age_s
        for item in self._intake.read(delivery, live=False):
            if isinstance(item, Numbered):
                self._memory.recall(item, arrived_s)
            else:
                self._memory.recall_unnumbered(item, arrived_s, self._known)
        return False

    def finish(self, since_s: float) -> None:
        """Deliver what came live meanwhile; from now on the node is current.

        Args:
            since_s: from when on everything has been read.
        """
        opened_s = self._memory.holes.opened_s()
        self._release()
        self._memory.caught_up(since_s)
        if opened_s - NOTICED_AFTER_S < since_s:
            self._memory.missed()

    def give_up(self) -> None:
        """Go on without: what was missed cannot be had."""
        self._release()
        self._memory.missed()

    def _is_end(self, delivery: Delivery) -> bool:
        beat = self._intake.own_heartbeat(delivery)
        return beat is not None and beat.beat > self._beyond_beat

    def _is_known(self, message: Message) -> bool:
        """Tell whether what came live was found in the stream as well, each once."""
        for entry in self._memory.history.same(message):
            if entry.place in self._known:
                self._known.remove(entry.place)
                return True
        return False

    def _hold(self, delivery: Delivery) -> None:
        """Keep a live delivery. Past the bound all go, and the stream is read further instead.

        What comes before the heartbeat at which the reading ends will be read as well.
        """
        self._held.append((delivery, self._intake.own_beat <= self._beyond_beat))
        self._held_bytes += DELIVERY_BYTES + len(delivery.body)
        if self._held_bytes > HELD_BYTES:
            self._held.clear()
            self._held_bytes = 0
            self._beyond_beat = self._latest_beat()

    def _release(self) -> None:
        """Deliver what was held back behind holes before the gap, and what came live since."""
        self._intake.hold = None
        for publisher in self._memory.holes.publishers():
            self._memory.mend(publisher, {}, upto=self._memory.holes.upto(publisher))
        for delivery, was_read in self._held:
            if self._intake.take_series(delivery):
                continue
            for item in self._intake.read(delivery):
                if isinstance(item, Numbered):
                    self._memory.receive(item)
                elif not (was_read and self._is_known(item)):
                    self._memory.take(item)
        self._held.clear()


class Repair:
    """The missing numbers of some publishers, delivered when all of the reading is done.

    In the stream's order a repaired message may be outdated by one that has long been delivered:
    it never replaces one that follows it there.
    """

    def __init__(
        self, intake: Intake, memory: Memory, *, publishers: list[str], beyond_beat: int
    ) -> None:
        self._intake = intake
        self._memory = memory
        self._beyond_beat = beyond_beat
        self._place = memory.history.latest
        self._found: dict[str, dict[int, Numbered]] = {name: {} for name in publishers}
        self._upto = {name: memory.holes.upto(name) for name in publishers}
        self._newest: dict[Slot, Number] = {}
        self._passed: dict[Slot, str | None] = {}

    def take(self, delivery: Delivery) -> bool:
        """Take a delivery of the stream; true when there is no need to read on."""
        if delivery.is_own:
            beat = self._intake.own_heartbeat(delivery)
            return beat is not None and beat.beat > self._beyond_beat
        for item in self._intake.read(delivery, live=False):
            number = item.number if isinstance(item, Numbered) else None
            message = item.message if isinstance(item, Numbered) else item
            if number is not None and number.seq in self._found.get(number.publisher, ()):
                continue  # its publisher sent it twice
            is_missing = number is not None and self._is_missing(number)
            if number is not None and is_missing:
                self._found[number.publisher][number.seq] = Numbered(number, message)
            if message is not None and message.key is not None:
                self._compare((message.sid, message.key), message, number if is_missing else None)
        return False

    def _compare(self, slot: Slot, message: Message, missing: Number | None) -> None:
        """Note what the stream says of a key: of what is missing only the newest will count."""
        before = self._newest.get(slot)
        older = None if before is None else self._found[before.publisher][before.seq].message
        if before is not None and older is not None and supersedes(message, older):
            self._drop(before)
            del self._newest[slot]
        if missing is None:
            self._passed[slot] = message.id
        elif slot not in self._newest:
            self._newest[slot] = missing

    def finish(self) -> None:
        """Deliver what was found, and what was held back behind it."""
        for number in self._newest.values():
            if self._came_later(self._found[number.publisher][number.seq].message):
                self._drop(number)
        for publisher, found in self._found.items():
            self._memory.mend(publisher, found, upto=self._upto[publisher])

    def _drop(self, number: Number) -> None:
        """Keep the number and not its message, which is outdated."""
        self._found[number.publisher][number.seq] = Numbered(number)

    def _is_missing(self, number: Number) -> bool:
        if number.publisher not in self._found:
            return False
        hole = self._memory.holes.get(number.publisher)
        if hole is None:
            return False
        last = self._memory.numbers.last(number.publisher)
        if number.seq > last:
            return number.seq not in hole.held
        return hole.has_skipped(number.seq)

    def _came_later(self, message: Message | None) -> bool:
        """Tell whether the message of the same key came live after what was read."""
        if message is None or message.key is None:
            return False
        current = self._memory.history.current(message.sid, message.key)
        return (
            current is not None
            and current.place > self._place
            and current.message is not None
            and current.message.id != self._passed.get((message.sid, message.key), "")
            and supersedes(current.message, message)
        )
