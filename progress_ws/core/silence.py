"""Which keys promised news (`stall_s`) and fell silent.

Time is the node's own: a promise counts from the moment in which the node took its message, however
old that was, and anew after a gap. And silence is told only when it is proved that this node hears:
once a promise is overdue, a heartbeat of the node's own that was sent after that has to come back
first. Whatever the publisher had said in time has arrived before it.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import NamedTuple

from progress_ws.core.message import Message, Number

PROMISES_MAX = 65_536
"""Beyond it the key that has been silent longest is forgotten."""
PROOF_WITHIN_S = 2.0
"""A heartbeat that took longer proves the opposite: node or broker stood still, and so may the
publisher have been kept from speaking."""
HELD_S = 0.5
"""A publisher behind a hole may have spoken already: it is looked at again so much later."""
_SLACK = 64


class Stall(NamedTuple):
    """A key whose publisher fell silent.

    Attributes:
        sid: its session.
        key: its name there.
        since_s: when the last message of it was taken; tells one silence from the next.
        silent_s: how long ago that was.
    """

    sid: str
    key: str
    since_s: float
    silent_s: float


class _Promise:
    """What is known of one key: `queued_s` is when the queue comes to it."""

    __slots__ = ("heard_s", "is_over", "is_told", "key", "publisher", "queued_s", "sid", "stall_s")

    def __init__(self, sid: str, key: str) -> None:
        self.sid = sid
        self.key = key
        self.publisher = ""
        self.heard_s = self.stall_s = 0.0
        self.queued_s = inf
        self.is_told = self.is_over = False


class _Proof(NamedTuple):
    beat: int
    asked_s: float


class Silence:
    """Every promise of news, and those that were broken.

    A message costs a look-up; the queue is touched only when it comes to a promise.

    Attributes:
        stalls: how many keys fell silent so far.
    """

    def __init__(
        self,
        *,
        longest_s: float,
        clock: Callable[[], float],
        promises_max: int = PROMISES_MAX,
    ) -> None:
        """`longest_s`: a longer promise counts as this, and silence is forgotten after it."""
        self._longest_s = longest_s
        self._clock = clock
        self._promises_max = promises_max
        self._promises: OrderedDict[tuple[str, str], _Promise] = OrderedDict()
        self._told: dict[str, dict[str, _Promise]] = {}
        self._queue: list[tuple[float, int, _Promise]] = []
        self._tie = count()
        self._floor_s = -inf
        self._proof: _Proof | None = None
        self.stalls = 0

    def __len__(self) -> int:
        """Count the promises that are known."""
        return len(self._promises)

    def heard(self, message: Message, number: Number | None) -> None:
        """Take a message that is news: it ends a silence, and renews the promise or ends it."""
        if message.key is None:
            return
        slot = message.sid, message.key
        promise = self._promises.get(slot)
        if message.stall_s is None or message.final:
            if promise is not None:
                self._forget(promise)
            return
        if promise is None:
            promise = self._promises[slot] = _Promise(*slot)
            if len(self._promises) > self._promises_max:
                self._forget(next(iter(self._promises.values())))
        else:
            self._promises.move_to_end(slot)
            self._heal(promise)
        promise.publisher = "" if number is None else number.publisher
        promise.heard_s = self._clock()
        promise.stall_s = min(message.stall_s, self._longest_s)
        self._enqueue(promise, self._next_s(promise))

    def restart(self) -> None:
        """Count anew: this node did not hear everything in time until now."""
        self._floor_s = self._clock()
        self._proof = None

    @property
    def needs_proof(self) -> bool:
        """Tell whether a heartbeat that comes back is waited for."""
        return self._proof is not None

    def find(self, *, sent: int, heard: int, held: Container[str] = ()) -> list[Stall]:
        """Return the keys of which silence has been proved since this was asked last, each once.

        Args:
            sent: how many heartbeats this node has sent.
            heard: the count of the latest one that came back.
            held: publishers of whom something is held back.
        """
        now_s = self._clock()
        if self._proof is None:
            if self._queue and self._queue[0][0] <= now_s:
                self._proof = _Proof(sent, now_s)
            return []
        if heard <= self._proof.beat:
            return []
        asked_s, self._proof = self._proof.asked_s, None
        if now_s - asked_s > PROOF_WITHIN_S:
            self.restart()
        return self._work_off(asked_s, held)

    def is_stalled(self, sid: str, key: str) -> bool:
        """Tell whether a key has fallen silent."""
        return key in self._told.get(sid, ())

    def stalled(self, sid: str) -> list[Stall]:
        """Return the keys of a session that are silent now."""
        return [self._stall(promise) for promise in self._told.get(sid, {}).values()]

    def _work_off(self, upto_s: float, held: Container[str]) -> list[Stall]:
        """Come to everything in the queue that is due: renewed promises go back into it."""
        found: list[Stall] = []
        while self._queue and self._queue[0][0] <= upto_s:
            at_s, _, promise = heappop(self._queue)
            if promise.is_over or promise.queued_s != at_s:
                continue
            promise.queued_s = inf
            next_s = self._next_s(promise)
            if next_s > upto_s:
                self._enqueue(promise, next_s)
            elif promise.is_told:
                self._forget(promise)
            elif promise.publisher in held:
                self._enqueue(promise, upto_s + HELD_S)
            else:
                found.append(self._tell(promise))
        return found

    def _next_s(self, promise: _Promise) -> float:
        """Return when a promise is broken, or a broken one is forgotten."""
        if promise.is_told:
            return promise.heard_s + self._longest_s
        return max(promise.heard_s, self._floor_s) + promise.stall_s

    def _tell(self, promise: _Promise) -> Stall:
        self.stalls += 1
        promise.is_told = True
        self._told.setdefault(promise.sid, {})[promise.key] = promise
        self._enqueue(promise, self._next_s(promise))
        return self._stall(promise)

    def _stall(self, promise: _Promise) -> Stall:
        silent_s = self._clock() - promise.heard_s
        return Stall(promise.sid, promise.key, promise.heard_s, silent_s)

    def _heal(self, promise: _Promise) -> None:
        if promise.is_told:
            promise.is_told = False
            of_sid = self._told[promise.sid]
            del of_sid[promise.key]
            if not of_sid:
                del self._told[promise.sid]

    def _forget(self, promise: _Promise) -> None:
        self._heal(promise)
        promise.is_over = True
        del self._promises[promise.sid, promise.key]
        self._sweep()

    def _enqueue(self, promise: _Promise, at_s: float) -> None:
        """See to it that the queue comes to a promise by then; earlier does no harm."""
        if at_s < promise.queued_s:
            promise.queued_s = at_s
            heappush(self._queue, (at_s, next(self._tie), promise))
            self._sweep()

    def _sweep(self) -> None:
        """Rid the queue of what is over, when that is the most of it."""
        if len(self._queue) > 2 * len(self._promises) + _SLACK:
            self._queue = [
                (promise.queued_s, next(self._tie), promise)
                for promise in self._promises.values()
                if promise.queued_s < inf
            ]
            heapify(self._queue)
