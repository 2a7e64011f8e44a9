"""Cancel requests: whom to ask, what waits for workers that publish over HTTP, what was taken.

A request goes to the publisher of the newest message of its key. One that listens at the broker is
asked there. For those who publish over HTTP a node is the publisher: then every node keeps the
request, until a publish request of that key comes to one of them.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Annotated, NamedTuple

import msgspec

from progress_ws.core import codec
from progress_ws.core.cluster import Cluster
from progress_ws.core.memory import Memory
from progress_ws.core.message import Draft, Key, Message, Sid
from progress_ws.errors import InvalidMessage

CANCEL = "progress-ws.cancel"
"""The AMQP `type` of a request, on its way to a publisher or to all nodes."""
TAKEN = "progress-ws.taken"
"""Whoever takes a request says so to all nodes."""

KEPT_S = 60.0
KEPT_MAX = 10_000
ASKED_MAX = 1000
"""Requests of this node that are underway at one time."""
NAMES_MAX = 8
"""Requests for one key that are told to be taken; there may have been more."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Slot = tuple[str, str]
"""A sid and a key."""


class CancelRequest(msgspec.Struct, frozen=True):
    """Somebody wants the publisher of a key to stop.

    Attributes:
        request: a random name.
        sid: the session.
        key: its key there.
    """

    request: Name
    sid: Sid
    key: Key


class Taken(msgspec.Struct, frozen=True):
    """Somebody listens to that: what it publishes next is the answer."""

    request: Name


class Route(NamedTuple):
    """Whom to ask.

    Attributes:
        publisher: the one that listens at the broker; None: it publishes over HTTP, ask all nodes.
        is_sure: it said itself that it listens. Over HTTP its word is enough, or a promise of news;
            at the broker it may be about to listen, or be connecting anew.
    """

    publisher: str | None
    is_sure: bool = False


class Nobody(NamedTuple):
    """Nobody listens; `reason` is for people."""

    reason: str


class _Update(msgspec.Struct):
    kind: object = None
    cancellable: object = None


class _Kept:
    """A request for a key: `run` is the one it is meant for."""

    __slots__ = ("names", "run", "until_s")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.run: str | None = None
        self.until_s = 0.0


class Cancels:
    """The requests that this node knows of. Time is its own monotonic clock, in seconds.

    Attributes:
        taken: requests of this node's browsers that somebody took.
        refused: those that nobody did.
    """

    def __init__(self, memory: Memory, cluster: Cluster, *, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._cluster = cluster
        self._clock = clock
        self._kept: OrderedDict[Slot, _Kept] = OrderedDict()
        self._slots: dict[str, Slot] = {}
        self._asked: dict[str, Callable[[], None]] = {}
        self.taken = self.refused = 0

    def __len__(self) -> int:
        """Count the keys for which a request waits for a worker."""
        return len(self._kept)

    # -- asking -----------------------------------------------------------------------------------

    def route(self, sid: str, key: str) -> Route | Nobody:
        """Tell whom to ask, by the newest message of the key."""
        entry = self._memory.history.current(sid, key)
        message = None if entry is None else entry.message
        if entry is None or message is None:
            return Nobody("nothing is known of this key")
        if message.final:
            return Nobody("it has ended")
        if self._memory.silence.is_stalled(sid, key):
            return Nobody("its publisher has fallen silent")
        is_cancellable = _is_cancellable(message)
        if is_cancellable is False:
            return Nobody("it cannot be cancelled")
        if entry.number is None:
            return Nobody("its publisher has no name")
        if not self._cluster.has_published(entry.number.publisher):
            return Route(entry.number.publisher, is_sure=bool(is_cancellable))
        return Route(None, is_sure=bool(is_cancellable) or message.stall_s is not None)

    def ask(self, sid: str, key: str, on_taken: Callable[[], None]) -> CancelRequest | None:
        """Begin a request; `on_taken` is called when somebody takes it. None: too many underway."""
        if len(self._asked) >= ASKED_MAX:
            return None
        request = CancelRequest(secrets.token_hex(8), sid, key)
        self._asked[request.request] = on_taken
        return request

    def settle(self, request: CancelRequest, *, taken: bool) -> None:
        """End a request of this node."""
        self._asked.pop(request.request, None)
        self.taken += taken
        self.refused += not taken

    # -- what is heard ----------------------------------------------------------------------------

    def hear(self, request: CancelRequest) -> None:
        """Keep a request for a worker over HTTP, which may come to this node."""
        self._expire()
        if request.request in self._slots:
            return  # known
        slot = request.sid, request.key
        entry = self._memory.history.current(*slot)
        message = None if entry is None else entry.message
        kept = self._kept.pop(slot, None) or _Kept()
        kept.run = None if message is None else message.run
        kept.until_s = self._clock() + KEPT_S
        if len(kept.names) < NAMES_MAX:
            kept.names.append(request.request)
            self._slots[request.request] = slot
        self._kept[slot] = kept
        if len(self._kept) > KEPT_MAX:
            self._forget(next(iter(self._kept)))

    def hear_taken(self, request: str) -> None:
        """Note that somebody has taken a request: it is kept no more."""
        if (slot := self._slots.get(request)) is not None:
            self._forget(slot)
        if (on_taken := self._asked.get(request)) is not None:
            on_taken()

    def hand_over(self, drafts: Iterable[Draft]) -> tuple[list[Slot], list[str]]:
        """Hand over what waits for the keys of a publish request; it is kept no more.

        Returns:
            the keys that somebody wants to stop, and the names of those requests.
        """
        if not self._kept:
            return [], []
        self._expire()
        latest = {(draft.sid, draft.key): draft for draft in drafts if draft.key is not None}
        slots: list[Slot] = []
        names: list[str] = []
        for slot, draft in latest.items():
            kept = self._kept.get(slot)
            if kept is None or _is_earlier(draft.run, kept.run):
                continue
            if not draft.final and not _is_earlier(kept.run, draft.run):
                slots.append(slot)
                names += kept.names
            self._forget(slot)
        return slots, names

    def _expire(self) -> None:
        now_s = self._clock()
        while self._kept:
            slot, kept = next(iter(self._kept.items()))
            if kept.until_s > now_s:
                return
            self._forget(slot)

    def _forget(self, slot: Slot) -> None:
        for name in self._kept.pop(slot).names:
            del self._slots[name]


def _is_cancellable(message: Message) -> bool | None:
    """Tell whether a progress update listens to a cancel; None: it is of another shape."""
    try:
        update = codec.decode(bytes(message.message), _Update)
    except InvalidMessage:
        return None
    return update.cancellable is True if update.kind == "progress" else None


def _is_earlier(run: str | None, other: str | None) -> bool:
    return run is not None and other is not None and run < other
