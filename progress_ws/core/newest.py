"""The newest message of each key where nothing is retained: runs, finals and cancels go by it."""

from collections import OrderedDict

from progress_ws.core.lanes import Entry
from progress_ws.core.message import Message, Number, supersedes

KEPT_S = 300.0
"""So long a key is known that is not heard of; no promise of news counts for longer."""
KEPT_BYTES = 8 * 1024 * 1024
"""Beyond it, the key that has not been heard of for longest is forgotten."""


class Newest:
    """Bounded by age and by measured bytes; what it knows is never replayed.

    Times are the node's own monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Count the keys that are known."""
        return len(self._entries)

    def get(self, sid: str, key: str, *, now_s: float) -> Entry | None:
        """Return the message of a key, if it is known."""
        entry = self._entries.get((sid, key))
        return None if entry is None or entry.arrived_s < now_s - KEPT_S else entry

    def admits(self, message: Message, *, now_s: float) -> bool:
        """Tell whether a message is news; not if a later run of its key began, or its own ended."""
        if message.key is None:
            return True
        entry = self.get(message.sid, message.key, now_s=now_s)
        current = None if entry is None else entry.message
        return current is None or supersedes(message, current)

    def note(self, message: Message, *, number: Number | None, arrived_s: float, size: int) -> None:
        """Know a message of a key that is news, in the place of the older one.

        `size`: its measured bytes.
        """
        assert message.key is not None
        slot = message.sid, message.key
        if slot in self._entries:
            self._forget(slot)
        publisher, seq = (None, 0) if number is None else (number.publisher, number.seq)
        self._entries[slot] = Entry(message, publisher, seq, 0, arrived_s, size)
        self._size += size
        while self._size > KEPT_BYTES:
            self._forget(next(iter(self._entries)))

    def expire(self, *, now_s: float) -> None:
        """Forget what has not been heard of for too long."""
        while self._entries:
            slot, entry = next(iter(self._entries.items()))
            if entry.arrived_s >= now_s - KEPT_S:
                return
            self._forget(slot)

    def _forget(self, slot: tuple[str, str]) -> None:
        self._size -= self._entries.pop(slot).size
