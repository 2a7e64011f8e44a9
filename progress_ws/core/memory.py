"""What a node has received, and how sure it is that nothing is missing.

A message comes in one of three ways: live; *recalled* from the stream, in the stream's order, when
the node catches up after a gap; or *repaired*, when a hole in one publisher's numbers was filled.
"""

from collections.abc import Callable, Container, Iterable
from functools import partial
from math import inf

from progress_ws.core.history import History
from progress_ws.core.holes import HOLES_MAX, Holes
from progress_ws.core.hub import Hub
from progress_ws.core.lanes import LONG_AGO
from progress_ws.core.message import Message, Number, Numbered
from progress_ws.core.newest import KEPT_S
from progress_ws.core.numbers import Numbers
from progress_ws.core.replay import Replay
from progress_ws.core.series import Series
from progress_ws.core.silence import Silence, Stall

MARGIN_S = 60.0
"""How much earlier than the newest id of a position a node must have begun to hear everything: of
two publishers one may be ahead on one node and behind on another."""
SKEW_S = 1.0
"""By so much a message may come to the stream later than to a node."""


class Memory:
    """Numbers, history and holes of a node, and the way from them to its browsers.

    Attributes:
        numbers: which have been received.
        history: what is retained.
        holes: what is missing at the moment.
        silence: which publishers promised news and fell silent.
        longest_silence_s: what can be promised at most; of what came over the exchange, a longer
            promise counts as this one.
        repeated: messages dropped because their number had been received before.
        stale: messages dropped because a later run had begun, or theirs had ended, or because they
            repeated a `dedupe`.
        lost: messages that were found when it was too late to deliver them in order.
        is_current: the node has caught up with the exchange.
        has_begun: it did so once.
    """

    def __init__(
        self,
        history: History,
        hub: Hub,
        *,
        clock: Callable[[], float],
        margin_s: float = MARGIN_S,
    ) -> None:
        self.numbers = Numbers(span_s=history.max_age_s + 2 * margin_s)
        self.history = history
        self.holes = Holes()
        self.watches_holes = False
        """Whether a hole can be repaired; where it cannot, nothing is held back."""
        self.longest_silence_s = history.max_age_s if history.is_on else KEPT_S
        self.silence = Silence(longest_s=self.longest_silence_s, clock=clock)
        self.margin_s = margin_s
        self.repeated = self.stale = self.lost = 0
        self.is_current = self.has_begun = False
        self._hub = hub
        self._clock = clock
        self._whole_since_s = inf
        self._lost_s = LONG_AGO
        self._heard_of: dict[str, int] = {}

    # -- browsers ---------------------------------------------------------------------------------

    def recovered(self, sid: str, after: dict[str, int] | None) -> bool | None:
        """Answer a position: true only if nothing after it is missing; None to an empty one.

        The newest of its ids is what counts: what its browser missed came after that.
        """
        if not after:
            return None
        arrivals = [self.numbers.arrived_s(publisher, seq) for publisher, seq in after.items()]
        newest_s = max((at for at in arrivals if at is not None), default=LONG_AGO)
        since_s = newest_s - self.margin_s
        return (
            self.is_current
            and not self.holes
            and newest_s > LONG_AGO
            and since_s >= self._whole_since_s
            and self.history.is_whole(sid, since_s, after)
        )

    def replay(
        self, sid: str, after: dict[str, int] | None, *, is_live: bool = True
    ) -> Replay | None:
        """Begin to read what a browser has missed; None where nothing is retained.

        `is_live`: until it has met the live messages, else as far as it is retained now.
        """
        if not self.history.is_on:
            return None
        stalled = partial(self.stalled, sid)
        return Replay(self.history, sid, after or {}, stalled=stalled, is_live=is_live)

    def stalled(self, sid: str) -> list[Stall]:
        """Return the keys of a session that are silent now, of those that are retained."""
        return [
            stall
            for stall in self.silence.stalled(sid)
            if not self.history.is_on or self.history.current(sid, stall.key) is not None
        ]

    def ahead(self, after: dict[str, int] | None) -> dict[str, int]:
        """Return the part of a position that this node has not reached itself."""
        return {p: seq for p, seq in (after or {}).items() if seq > self.numbers.last(p)}

    @property
    def sids(self) -> Container[str]:
        """Sids that this node knows to be sids."""
        return self.history.sids if self.history.is_on else self._hub.sids

    # -- live -------------------------------------------------------------------------------------

    def receive_all(self, items: Iterable[Numbered | Message]) -> None:
        """Take what has come live, with a number and without."""
        now_s, follow = self._clock(), self.numbers.follow
        for item in items:
            if not isinstance(item, Numbered):
                self._take_in(item, now_s)
            elif self.holes or (number := follow(item.number, arrived_s=now_s)) is None:
                self._receive(item, now_s)
            elif item.message is not None:
                self._take_in(item.message, now_s, number)

    def receive_series(self, series: Series) -> None:
        """Take a whole series that has come live; at once, where nothing is missing before it."""
        now_s, count = self._clock(), len(series.messages)
        number = None
        if not self.holes:
            number = self.numbers.follow_all(series.number, count, arrived_s=now_s)
        if number is None:
            publisher, first = series.number.publisher, series.number.seq
            for seq, plain in enumerate(series.messages, first):
                self._receive(Numbered(Number(publisher, seq), plain.whole()), now_s)
            return
        self.history.add_series(series, number=number, arrived_s=now_s)
        self._hub.deliver_all(series.messages)

    def receive(self, item: Numbered) -> None:
        """Take what has come live under a number; behind a hole it is held back."""
        self._receive(item, self._clock())

    def _receive(self, item: Numbered, now_s: float) -> None:
        number = item.number
        last = self.numbers.last(number.publisher)
        if number.seq <= last:
            self.repeated += item.message is not None
            return
        if number.seq > last + 1:
            if self._is_watched(number.publisher):
                self.holes.hold(item, now_s)
                return
            self._doubt(now_s)
            if last:  # else it may have begun before this node did
                self._hub.gap_everywhere()
        self._accept(item, now_s)
        if number.publisher in self.holes:
            self._go_on(number.publisher, now_s)

    def expect(self, number: Number) -> None:
        """Note that a publisher has got so far; where it has not here, there is a hole.

        While the node catches up that cannot be told yet.
        """
        if not self.is_current:
            if len(self._heard_of) < HOLES_MAX or number.publisher in self._heard_of:
                before = self._heard_of.get(number.publisher, 0)
                self._heard_of[number.publisher] = max(number.seq, before)
            return
        if number.seq <= self.numbers.last(number.publisher):
            return
        if self._is_watched(number.publisher):
            self.holes.expect(number, self._clock())
        else:
            self._doubt(self._clock())

    def take(self, message: Message) -> None:
        """Take a message without a number."""
        self._take_in(message, self._clock())

    def let_go_overdue(self) -> None:
        """Deliver what has been held back for long enough."""
        now_s = self._clock()
        for publisher in self.holes.overdue(now_s):
            for item in self.holes.let_go(publisher, self.numbers.last(publisher)):
                self._accept(item, now_s)

    def tell_stalled(self, *, sent: int, heard: int) -> None:
        """Tell the browsers who has broken a promise of news; see `Silence.find`."""
        if self.is_current:
            self._hub.stalled(self.silence.find(sent=sent, heard=heard, held=self.holes))

    def fallen_silent(self) -> list[Number]:
        """Return numbers that other nodes should have heard of by now."""
        return self.numbers.fallen_silent(self._clock()) if self.is_current else []

    # -- recalled and repaired --------------------------------------------------------------------

    def recall(self, item: Numbered, arrived_s: float) -> None:
        """Take what was found in the stream, in its order; most of it is known already."""
        publisher, seq = item.number.publisher, item.number.seq
        hole = self.holes.get(publisher)
        if seq > self.numbers.last(publisher):
            self._accept(item, arrived_s)
        elif item.message is not None and hole is not None and hole.has_skipped(seq):
            # What follows it has been let go already, and numbers only rise.
            self.lost += 1
            self.history.note_lost(item.message.sid, arrived_s)
            self._hub.gap(item.message.sid)

    def recall_unnumbered(self, message: Message, arrived_s: float, known: set[int]) -> None:
        """Take a message without a number from the stream, unless it is one of those that came.

        One that came before this was written is another one: it may come twice, but never vanish.

        Args:
            message: as found.
            arrived_s: when, at the earliest.
            known: the places of those that were found in this reading; of two with the same text
                each is found once.
        """
        for entry in self.history.same(message):
            if entry.place not in known and entry.arrived_s >= arrived_s - SKEW_S:
                known.add(entry.place)
                return
        if (place := self._take_in(message, arrived_s)) is not None:
            known.add(place)

    def mend(self, publisher: str, found: dict[int, Numbered], *, upto: int) -> None:
        """Close a hole with what was found of it; what was not does not exist.

        Only as far as was known when it was looked for, or was found: beyond that it stays open.
        """
        hole = self.holes.get(publisher)
        if hole is None:
            return
        now_s = self._clock()
        upto = max(upto, *found, 0)
        held = {seq: item for seq, item in hole.held.items() if seq <= upto}
        for seq, item in sorted((held | found).items()):
            self.holes.take(Number(publisher, seq))
            self.recall(item, now_s)
        self.numbers.receive(Number(publisher, upto), arrived_s=now_s)
        hole.skipped = [(first, last) for first, last in hole.skipped if last > upto]
        hole.opened_s = now_s
        self._go_on(publisher, now_s)

    # -- how sure ---------------------------------------------------------------------------------

    def interrupted(self) -> None:
        """Something may have been missed: a new subscription has to catch up."""
        self.is_current = False

    def caught_up(self, since_s: float) -> None:
        """Everything that came since then has been received by now, gaps included."""
        self.is_current = self.has_begun = True
        self.silence.restart()
        # What follows something that was lost has been received: it is not recalled any more.
        self._whole_since_s = max(min(self._whole_since_s, since_s), self._lost_s)
        heard_of, self._heard_of = self._heard_of, {}
        for publisher, seq in heard_of.items():
            self.expect(Number(publisher, seq))

    def begins(self) -> None:
        """This node has heard everything since there was anything to hear."""
        self.caught_up(LONG_AGO)

    def missed(self) -> None:
        """What was missed cannot be had any more: tell the browsers, begin anew."""
        self._whole_since_s = self._lost_s = self._clock()
        self._heard_of = {}
        self.is_current = self.has_begun = True
        self.silence.restart()
        self._hub.gap_everywhere()

    def _is_watched(self, publisher: str) -> bool:
        """Tell whether a hole of this publisher can be watched, or is."""
        return self.watches_holes and (publisher in self.holes or not self.holes.full)

    def _doubt(self, now_s: float) -> None:
        """Something is missing, it may be for good: what came until now is not called whole."""
        self._whole_since_s = max(self._whole_since_s, now_s)
        self._lost_s = now_s

    def _go_on(self, publisher: str, now_s: float) -> None:
        """Deliver what was held back behind a hole that has been filled."""
        last = self.numbers.last(publisher)
        while (item := self.holes.take(Number(publisher, last + 1))) is not None:
            last += 1
            self._accept(item, now_s)
        hole = self.holes.get(publisher)
        if hole is not None and last >= hole.upto and not hole.skipped:
            self.holes.close(publisher)

    def _accept(self, item: Numbered, arrived_s: float) -> None:
        self.numbers.receive(item.number, arrived_s=arrived_s)
        if item.message is not None:
            self._take_in(item.message, arrived_s, self.numbers.known(item.number))

    def _take_in(
        self, message: Message, arrived_s: float, number: Number | None = None
    ) -> int | None:
        if not self.history.admits(message, number=number):
            self.stale += 1
            return None
        place = self.history.add(message, number=number, arrived_s=arrived_s)
        if message.key is not None:
            self.silence.heard(message, number)
        self._hub.deliver(message)
        return place
