"""What a publisher still has to send, and what it sent without having heard of it since."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from operator import attrgetter

import msgspec

from progress_ws.core import codec
from progress_ws.core.message import Draft, Void, stamped, supersedes
from progress_ws.errors import InvalidMessage, ProgressError, PublishError

BATCH_BYTES = 256 * 1024
_ENTRY_OVERHEAD_BYTES = 640
_NO_VALUE = msgspec.Raw()
_MEMBER_BYTES, _ESCAPED_BYTES = 250, 6
"""What the names of all fields, id, time and punctuation take; and any character of a text."""

_size = attrgetter("size")

Settle = Callable[[str | ProgressError], None]
"""Called once: with the message's id when the broker has it, or with the reason why not."""


class Entry:
    """A message on its way out. `settle` is None for a posted one: nobody waits for it.

    It is encoded when it goes to the wire, all of a batch at once: whoever publishes does not wait
    for that. Once it is given up its value is gone: sent again, it is a void under its number.
    """

    __slots__ = ("draft", "is_given_up", "is_sent", "settle", "size", "ts")

    def __init__(self, draft: Draft, *, ts: float, settle: Settle | None = None) -> None:
        self.draft = draft
        self.ts = ts
        self.settle = settle
        self.is_given_up = self.is_sent = False
        self.size = len(draft.message) + _ENTRY_OVERHEAD_BYTES

    @property
    def text_bytes(self) -> int:
        """At most so long is the text that goes to the wire."""
        draft = self.draft
        size = len(draft.message) + len(draft.sid) + _MEMBER_BYTES
        if draft.key is None and draft.dedupe is None:
            return size
        names = (draft.key, draft.run, draft.dedupe)
        return size + sum(_ESCAPED_BYTES * len(name) for name in names if name is not None)


class Batch:
    """Entries that go to the wire as one AMQP message, under consecutive numbers.

    Attributes:
        entries: in order.
        publisher: whose numbers they are.
        first_seq: the first one.
        ids: of the entries.
    """

    __slots__ = ("entries", "first_seq", "ids", "publisher")

    def __init__(self, entries: list[Entry], *, publisher: str, first_seq: int) -> None:
        self.entries = entries
        self.publisher = publisher
        self.first_seq = first_seq
        self.ids = [f"{publisher}-{seq}" for seq in range(first_seq, first_seq + len(entries))]

    def body(self) -> bytes:
        """Encode as one message, or as an array of several."""
        members = [
            Void(i) if e.is_given_up else stamped(e.draft, ts=e.ts, id=i)
            for e, i in zip(self.entries, self.ids, strict=True)
        ]
        return codec.encode(members[0] if len(members) == 1 else members)

    def singles(self) -> Iterator["Batch"]:
        """Take the batch apart; every message keeps its number."""
        for i, entry in enumerate(self.entries):
            yield Batch([entry], publisher=self.publisher, first_seq=self.first_seq + i)


class Backlog:
    """A bounded buffer between those who publish and the wire.

    - Waiting messages have no number yet. Of posted ones with one sid and key only the newest
      waits. What somebody awaits is never replaced: its caller was promised that the broker has it.
    - A number is given when a message is taken for the wire, and never changes: after a lost
      connection all that is unconfirmed goes out again, in order, before anything new.
    - Policy at the bound: `add` answers False, and the message is not taken.

    Attributes:
        last_confirmed: the highest number that the broker has confirmed; 0 before the first.
    """

    def __init__(self, *, publisher: str, max_bytes: int) -> None:
        self._publisher = publisher
        self._max_bytes = max_bytes
        self.last_confirmed = 0
        self._next_seq = 1
        self._waiting: OrderedDict[object, Entry] = OrderedDict()
        self._again: deque[Batch] = deque()
        self._flight: deque[Batch] = deque()
        self._bytes = 0
        self._unconfirmed = 0
        self._given_up = 0

    @property
    def wanted(self) -> int:
        """Count the messages that are not confirmed yet and not given up by who sent them."""
        return len(self) - self._given_up

    def __len__(self) -> int:
        """Count the messages that are not confirmed yet."""
        return len(self._waiting) + self._unconfirmed

    @property
    def has_more(self) -> bool:
        """Tell whether `take` would give something."""
        return bool(self._waiting or self._again)

    def add(self, entry: Entry) -> bool:
        """Take in a message; False when there is no room.

        An empty backlog takes a message of any size, so that nothing is refused for ever.
        """
        draft = entry.draft
        slot = None if draft.key is None else (draft.sid, draft.key)
        older = self._waiting.get(slot)
        if older is not None and not supersedes(draft, older.draft):
            if entry.settle is None:
                return True  # it came too late to matter
            older = None
        freed = 0 if older is None else older.size
        if self._bytes and self._bytes - freed + entry.size > self._max_bytes:
            return False
        if older is not None:
            self._drop(slot, older)
        self._bytes += entry.size
        self._waiting[entry if slot is None or entry.settle is not None else slot] = entry
        return True

    def give_up(self, entry: Entry) -> bool:
        """Take back an awaited message; False when it has been on the wire and may still arrive."""
        if entry in self._waiting:
            self._drop(entry, entry)
            entry.settle = None
            return True
        self._forsake(entry)
        return False

    def take(self) -> Batch | None:
        """Take what goes to the wire next: what must be repeated, else the oldest that waits."""
        if self._again:
            batch = self._again.popleft()
        elif self._waiting:
            batch = Batch(self._pop(), publisher=self._publisher, first_seq=self._next_seq)
            self._next_seq += len(batch.entries)
            self._unconfirmed += len(batch.entries)
        else:
            return None
        self._flight.append(batch)
        return batch

    def confirm(self, batch: Batch, ids: list[str]) -> None:
        """The broker has the batch; `ids` are what its messages are called there, one each."""
        self._land(batch)
        last_seq = batch.first_seq + len(batch.entries) - 1
        self.last_confirmed = max(self.last_confirmed, last_seq)
        for entry, id_ in zip(batch.entries, ids, strict=True):
            if entry.settle is not None:
                _tell(entry, id_)

    def refuse(self, batch: Batch, flaw: InvalidMessage) -> None:
        """The other side will never take this batch: find the culprit, drop it, keep the rest."""
        if len(batch.entries) > 1:
            self._flight.remove(batch)
            self._repeat(*batch.singles(), *self._again)
            return
        self._land(batch)
        (entry,) = batch.entries
        _tell(entry, flaw)

    def rewind(self) -> None:
        """The connection is lost: what is unconfirmed must go out again."""
        self._repeat(*self._flight, *self._again)
        self._flight.clear()

    def fail_awaited(self, reason: PublishError) -> None:
        """Tell all who wait that it is of no use; posted messages stay."""
        for entry in [e for slot, e in self._waiting.items() if slot is e]:
            if entry.settle is not None:
                entry.settle(reason)
                self.give_up(entry)
        for batch in (*self._again, *self._flight):
            for entry in batch.entries:
                if entry.settle is not None:
                    entry.settle(reason)
                    self._forsake(entry)

    def _repeat(self, *batches: Batch) -> None:
        """Let these go out before anything new, in the order of their numbers."""
        self._again = deque(sorted(batches, key=lambda batch: batch.first_seq))

    def _pop(self) -> list[Entry]:
        entries: list[Entry] = []
        room = BATCH_BYTES
        while self._waiting and len(entries) < codec.MAX_MEMBERS:
            slot, entry = next(iter(self._waiting.items()))
            size = entry.text_bytes
            if entries and size > room:
                break
            self._waiting.pop(slot)
            entry.is_sent = True
            room -= size
            entries.append(entry)
        return entries

    def _forsake(self, entry: Entry) -> None:
        """Note that nobody waits any more for what is on its way; it may still arrive, once."""
        if entry.settle is not None and entry.is_sent:
            entry.settle = None
            entry.is_given_up = True
            self._given_up += 1
            self._bytes -= len(entry.draft.message)
            entry.size -= len(entry.draft.message)
            entry.draft = msgspec.structs.replace(entry.draft, message=_NO_VALUE)

    def _drop(self, slot: object, entry: Entry) -> None:
        del self._waiting[slot]
        self._bytes -= entry.size

    def _land(self, batch: Batch) -> None:
        self._flight.remove(batch)
        self._unconfirmed -= len(batch.entries)
        if self._given_up:
            self._given_up -= sum(entry.is_given_up for entry in batch.entries)
        self._bytes -= sum(map(_size, batch.entries))


def _tell(entry: Entry, outcome: str | ProgressError) -> None:
    """Tell whoever waits, once."""
    settle, entry.settle = entry.settle, None
    if settle is not None:
        settle(outcome)
