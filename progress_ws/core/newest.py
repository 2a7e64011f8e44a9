"""The newest message of each key where nothing is retained: runs, finals and cancels go by it."""

from collections import OrderedDict

from progress_ws.core.lanes import Entry

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

    def note(self, slot: tuple[str, str], entry: Entry) -> None:
        """Know the message of a sid and a key that is news, in the place of the older one."""
        if slot in self._entries:
            self._forget(slot)
        self._entries[slot] = entry
        self._size += entry.size
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
