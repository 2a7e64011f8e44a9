"""What a publisher still has to send, and what it sent without having heard of it since."""

from collections import OrderedDict, deque
from itertools import accumulate

import msgspec

from progress_ws.core import codec
from progress_ws.core.apart import MAX_DEPTH
from progress_ws.core.batch import MEMBER_BYTES, POST_BYTES, Batch, Entry, Post, entry_of, size_of
from progress_ws.core.message import Draft, supersedes
from progress_ws.errors import InvalidMessage, ProgressError, PublishError

BATCH_BYTES = 256 * 1024
SHORT_BYTES = 2 * MAX_DEPTH
"""Up to this size of its value a plain message that is posted waits among its like."""
SIDS_MAX = 10_000
"""So many sids are known to be sids."""
ALONE = 16
"""So many posts go to the wire without others; fewer join what waits behind them."""
RESERVE = 8
"""The part of a buffer's bound that only some messages may use beyond it: see `Backlog`."""
_NO_VALUE = msgspec.Raw()


def bound_of(draft: Draft, max_bytes: int) -> int:
    """Return how many bytes a buffer may hold with this posted message: see `Backlog`."""
    return max_bytes + max_bytes // RESERVE * ((draft.key is not None) + bool(draft.final))


class Posts:
    """Plain messages that were posted one after the other, without anything between them.

    Nobody awaits or replaces them: so no more is kept of each than a tuple. There is room for
    `limit` of them, whatever their sizes.
    """

    __slots__ = ("items", "limit")

    def __init__(self, first: Post, *, limit: int) -> None:
        self.items = [first]
        self.limit = limit


class Backlog:
    """A bounded buffer between those who publish and the wire.

    - Waiting messages have no number yet. Of posted ones with one sid and key only the newest
      waits. What somebody awaits is never replaced: its caller was promised that the broker has it.
      Nor does it replace what was posted, which would be lost with it where it is given up.
    - A number is given when a message is taken for the wire, and never changes: after a lost
      connection all that is unconfirmed goes out again, in order, before anything new.
    - Policy at the bound: `add` and `post` answer False, and the message is not taken. Of what is
      posted, what has a key may go an eighth beyond it, and what is final another eighth: a flood
      of others keeps no last state from going out. What replaces something as large always fits.

    Attributes:
        open: what the latest posts wait in, where more may join; whoever posts may append to it.
        short_bytes: to be appended, a value's text may be so long, which is too short to be nested
            too deeply.
        sids: what has been found to be a sid.
        last_confirmed: the highest number that the broker has confirmed; 0 before the first.
    """

    def __init__(
        self, *, publisher: str, max_bytes: int, max_message_bytes: int = SHORT_BYTES
    ) -> None:
        """Be empty.

        Args:
            publisher: what ids begin with.
            max_bytes: see above.
            max_message_bytes: of a value.
        """
        self._publisher = publisher
        self._max_bytes = max_bytes
        self.last_confirmed = 0
        self._next_seq = 1
        self._waiting: OrderedDict[object, Entry | Posts] = OrderedDict()
        self._joined = 0
        self.open: Posts | None = None
        self.sids: dict[str, str] = {}
        self.short_bytes = min(SHORT_BYTES, max_message_bytes)
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
        joining = 0 if self.open is None else len(self.open.items) - 1
        return len(self._waiting) + self._joined + joining + self._unconfirmed

    @property
    def has_more(self) -> bool:
        """Tell whether `take` would give something."""
        return bool(self._waiting or self._again)

    def add(self, entry: Entry) -> bool:
        """Take in a message; False when there is no room.

        An empty backlog takes a message of any size, so that nothing is refused for ever.
        """
        self.seal()
        draft = entry.draft
        # What is awaited may be taken back again: it has a place of its own, and replaces nothing.
        stands_alone = draft.key is None or entry.settle is not None
        slot = entry if stands_alone else (draft.sid, draft.key)
        older = self._waiting.get(slot)
        assert not isinstance(older, Posts)
        if older is not None and not supersedes(draft, older.draft):
            return True  # it came too late to matter
        more = entry.size - (0 if older is None else older.size)
        bound = self._max_bytes if entry.settle is not None else bound_of(draft, self._max_bytes)
        if self._bytes and more > 0 and self._bytes + more > bound:
            return False
        if older is not None:
            self._drop(slot, older)
        self._bytes += entry.size
        self._waiting[slot] = entry
        return True

    def post(self, draft: Draft, *, ts: float) -> bool:
        """Take in a message that nobody awaits; False when there is no room. See `add`."""
        size = len(draft.message)
        if draft.key is not None or draft.dedupe is not None or draft.final or size > SHORT_BYTES:
            return self.add(Entry(draft, ts=ts))
        if len(self.sids) >= SIDS_MAX:
            self.sids.clear()
        self.sids[draft.sid] = draft.sid
        post = draft.sid, bytes(draft.message), ts
        if self.open is not None and len(self.open.items) < self.open.limit:
            self.open.items.append(post)
            return True
        self.seal()
        room = self._max_bytes - self._bytes
        if self._bytes and size + POST_BYTES > room:
            return False
        limit = max(1, min(codec.MAX_MEMBERS, room // (SHORT_BYTES + POST_BYTES)))
        self.open = Posts(post, limit=limit)
        self._waiting[self.open] = self.open
        return True

    def seal(self) -> None:
        """Let no more posts join those that wait together."""
        if self.open is not None:
            self._bytes += size_of(self.open.items)
            self._joined += len(self.open.items) - 1
            self.open = None

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
            self.seal()
            posts = self._pop_posts()
            entries = None if posts else self._pop()
            first_seq = self._next_seq
            batch = Batch(entries, posts=posts, publisher=self._publisher, first_seq=first_seq)
            self._next_seq += len(batch)
            self._unconfirmed += len(batch)
        else:
            return None
        self._flight.append(batch)
        return batch

    def confirm(self, batch: Batch, ids: list[str]) -> None:
        """The broker has the batch; `ids` are what its messages are called there, one each."""
        self._land(batch)
        last_seq = batch.first_seq + len(batch) - 1
        self.last_confirmed = max(self.last_confirmed, last_seq)
        for entry, id_ in zip(batch.awaited, ids, strict=False):
            if entry.settle is not None:
                _tell(entry, id_)

    def refuse(self, batch: Batch, flaw: InvalidMessage) -> Draft | None:
        """The other side will never take this batch: find the culprit, drop it, keep the rest.

        Returns:
            the culprit if it was posted: nobody hears of it otherwise.
        """
        if len(batch) > 1:
            self._flight.remove(batch)
            self._repeat(*batch.singles(), *self._again)
            return None
        self._land(batch)
        (entry,) = batch.entries
        is_posted = entry.settle is None and not entry.is_given_up
        _tell(entry, flaw)
        return entry.draft if is_posted else None

    def rewind(self) -> None:
        """The connection is lost: what is unconfirmed must go out again."""
        self._repeat(*self._flight, *self._again)
        self._flight.clear()

    def fail_awaited(self, reason: PublishError) -> None:
        """Tell all who wait that it is of no use; posted messages stay."""
        for entry in [e for e in self._waiting.values() if isinstance(e, Entry)]:
            if entry.settle is not None:
                entry.settle(reason)
                self.give_up(entry)
        for batch in (*self._again, *self._flight):
            for entry in batch.awaited:
                if entry.settle is not None:
                    entry.settle(reason)
                    self._forsake(entry)

    def _repeat(self, *batches: Batch) -> None:
        """Let these go out before anything new, in the order of their numbers."""
        self._again = deque(sorted(batches, key=lambda batch: batch.first_seq))

    def _pop_posts(self) -> list[Post] | None:
        """Take the posts at the front, as many as go to the wire at once; None: not by itself."""
        slot, posts = next(iter(self._waiting.items()))
        if not isinstance(posts, Posts):
            return None
        items = posts.items
        if len(items) < ALONE and len(self._waiting) > 1:
            return None
        ends = accumulate(len(sid) + len(text) + MEMBER_BYTES for sid, text, _ in items)
        count = sum(1 for end in ends if end <= BATCH_BYTES)
        posts.items = items[count:]
        if posts.items:
            self._joined -= count
        else:
            del self._waiting[slot]
            self._joined -= count - 1
        return items[:count]

    def _pop(self) -> list[Entry]:
        entries: list[Entry] = []
        room = BATCH_BYTES
        while self._waiting and len(entries) < codec.MAX_MEMBERS:
            slot, item = next(iter(self._waiting.items()))
            if isinstance(item, Posts):
                if len(item.items) >= ALONE:
                    break
                found = [entry_of(post) for post in item.items]
            else:
                found = [item]
            size = sum(entry.text_bytes for entry in found)
            if entries and (size > room or len(entries) + len(found) > codec.MAX_MEMBERS):
                break
            del self._waiting[slot]
            self._joined -= len(found) - 1
            for entry in found:
                entry.is_sent = True
            room -= size
            entries += found
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
        self._unconfirmed -= len(batch)
        if self._given_up:
            self._given_up -= sum(entry.is_given_up for entry in batch.awaited)
        self._bytes -= batch.size


def _tell(entry: Entry, outcome: str | ProgressError) -> None:
    """Tell whoever waits, once."""
    settle, entry.settle = entry.settle, None
    if settle is not None:
        settle(outcome)
