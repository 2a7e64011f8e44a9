"""Messages on their way out, and what goes to the wire of them in one piece."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from progress_ws.core import codec
from progress_ws.core.message import Draft, Message, Void, milliseconds, stamped
from progress_ws.core.series import Plain
from progress_ws.errors import ProgressError

ENTRY_BYTES, POST_BYTES = 640, 220
"""What Python needs for a message besides its text, as measured."""
MEMBER_BYTES = 250
"""The names of all fields, id, time and punctuation take so much at the most."""
_ESCAPED_BYTES = 6
"""Likewise any character of a text."""

Settle = Callable[[str | ProgressError], None]
"""Called once: with the message's id when the broker has it, or with the reason why not."""

Post = tuple[str, bytes, float]
"""A sid, the text of a value, and the Unix time: a plain message that nobody awaits or replaces."""


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
        self.size = len(draft.message) + ENTRY_BYTES

    @property
    def text_bytes(self) -> int:
        """At most so long is the text that goes to the wire."""
        draft = self.draft
        size = len(draft.message) + len(draft.sid) + MEMBER_BYTES
        if draft.key is None and draft.dedupe is None:
            return size
        names = (draft.key, draft.run, draft.dedupe)
        return size + sum(_ESCAPED_BYTES * len(name) for name in names if name is not None)


def entry_of(post: Post) -> Entry:
    """Return the same as an entry; it counts as much."""
    sid, text, ts = post
    entry = Entry(Draft(sid, msgspec.Raw(text)), ts=ts)
    entry.size = len(text) + POST_BYTES
    return entry


class Batch:
    """What goes to the wire as one AMQP message, under consecutive numbers.

    Attributes:
        publisher: whose numbers they are.
        first_seq: the first one.
        ids: of the messages, in order.
    """

    __slots__ = ("_entries", "_posts", "first_seq", "ids", "publisher")

    def __init__(
        self,
        entries: list[Entry] | None = None,
        *,
        publisher: str,
        first_seq: int,
        posts: list[Post] | None = None,
    ) -> None:
        """Either of entries or of posts."""
        self._entries = entries
        self._posts = posts
        self.publisher = publisher
        self.first_seq = first_seq
        count = len(posts or entries or ())
        self.ids = [f"{publisher}-{seq}" for seq in range(first_seq, first_seq + count)]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def entries(self) -> list[Entry]:
        """The messages, in order."""
        if self._entries is None:
            self._entries = [entry_of(post) for post in self._posts or ()]
        return self._entries

    @property
    def awaited(self) -> list[Entry]:
        """Those for which somebody may wait, and others."""
        return [] if self._posts is not None else self.entries

    @property
    def size(self) -> int:
        """Measured bytes of what it holds."""
        if self._posts is not None:
            return size_of(self._posts)
        return sum(entry.size for entry in self.entries)

    @property
    def single(self) -> tuple[str, str | None] | None:
        """The sid and the key of the only message; None: there are several."""
        if len(self) > 1:
            return None
        if self._posts is not None:
            return self._posts[0][0], None
        draft = self.entries[0].draft
        return draft.sid, draft.key

    def body(self) -> bytes:
        """Encode as one message, or as an array of several."""
        members: Sequence[Plain | Message | Void]
        if self._posts is not None:
            posts = zip(self._posts, self.ids, strict=True)
            members = [Plain(s, msgspec.Raw(t), i, milliseconds(ts)) for (s, t, ts), i in posts]
        else:
            members = [
                Void(i) if e.is_given_up else stamped(e.draft, ts=e.ts, id=i)
                for e, i in zip(self.entries, self.ids, strict=True)
            ]
        return codec.encode(members[0] if len(members) == 1 else members)

    def singles(self) -> Iterator["Batch"]:
        """Take the batch apart; every message keeps its number."""
        for i, entry in enumerate(self.entries):
            yield Batch([entry], publisher=self.publisher, first_seq=self.first_seq + i)


def size_of(posts: list[Post]) -> int:
    """Return the measured bytes of some posts."""
    return POST_BYTES * len(posts) + sum(len(text) for _, text, _ in posts)
