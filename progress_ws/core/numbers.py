"""Which numbers of which publishers have been received, and since when."""

from array import array
from bisect import bisect_right
from collections import OrderedDict

from progress_ws.core.message import Number

MAX_PUBLISHERS = 100_000
MARK_EVERY_S = 15.0
MARKS_MAX = 32
SPAN_S = MARK_EVERY_S * (MARKS_MAX - 1)
SILENT_AFTER_S, SILENT_UNTIL_S, SILENT_MAX = 1.0, 6.0, 200
"""Nodes name these publishers in their heartbeats, so that a loss at the very end is noticed."""


class _Line:
    """One publisher: its last number, and a few numbers with the time at which they came."""

    __slots__ = ("heard_s", "last", "name", "seqs", "times")

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = 0
        self.heard_s = 0.0
        self.seqs, self.times = array("q"), array("d")


class Numbers:
    """The last number received of each publisher.

    A publisher numbers all that it sends 1, 2, 3 … and AMQP keeps its order, so a number that is
    not above the last one is a repetition: after a lost confirm a publisher sends again what may
    have arrived. And one that is not the next one shows a hole: something was lost on its way.
    Bounded: of too many publishers the ones silent longest are forgotten.
    """

    def __init__(self, *, span_s: float = SPAN_S, max_publishers: int = MAX_PUBLISHERS) -> None:
        """`span_s`: for how long it must be known when a number came."""
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._mark_every_s = max(span_s / (MARKS_MAX - 1), MARK_EVERY_S)
        self._max_publishers = max_publishers

    def __len__(self) -> int:
        return len(self._lines)

    def last(self, publisher: str) -> int:
        """Return the last number received; 0 for a publisher that is not known."""
        line = self._lines.get(publisher)
        return 0 if line is None else line.last

    def known(self, number: Number) -> Number:
        """Return the same number, with the one copy of its publisher's name that is kept."""
        line = self._lines.get(number.publisher)
        if line is None or line.name is number.publisher:
            return number
        return Number(line.name, number.seq)

    def follow(self, number: Number, *, arrived_s: float) -> Number | None:
        """Note a number that is the next one of its publisher, and return it; None if it is not.

        What nearly every message needs, in one step: see `last`, `receive` and `known`.
        """
        publisher, seq = number.publisher, number.seq
        line = self._lines.get(publisher)
        if line is None or seq != line.last + 1:
            return None
        self._lines.move_to_end(publisher)
        self._note(line, seq, arrived_s)
        return number if line.name is publisher else Number(line.name, seq)

    def follow_all(self, first: Number, count: int, *, arrived_s: float) -> Number | None:
        """Likewise for so many numbers, one after the other."""
        number = self.follow(first, arrived_s=arrived_s)
        if number is not None:
            self._lines[number.publisher].last += count - 1
        return number

    def receive(self, number: Number, *, arrived_s: float) -> bool:
        """Note a number; False when it is a repetition."""
        line = self._lines.get(number.publisher)
        if line is None:
            line = self._lines[number.publisher] = _Line(number.publisher)
            if len(self._lines) > self._max_publishers:
                self._lines.popitem(last=False)
        elif number.seq <= line.last:
            return False
        else:
            self._lines.move_to_end(number.publisher)
        self._note(line, number.seq, arrived_s)
        return True

    def _note(self, line: _Line, seq: int, arrived_s: float) -> None:
        line.last = seq
        line.heard_s = arrived_s
        if not line.times or arrived_s - line.times[-1] >= self._mark_every_s:
            line.seqs.append(seq)
            line.times.append(arrived_s)
            del line.seqs[:-MARKS_MAX], line.times[:-MARKS_MAX]

    def fallen_silent(self, now_s: float) -> list[Number]:
        """Return the last numbers of publishers that fell silent a moment ago, some of them."""
        found: list[Number] = []
        for publisher, line in reversed(self._lines.items()):
            silent_s = now_s - line.heard_s
            if silent_s > SILENT_UNTIL_S or len(found) == SILENT_MAX:
                break
            if silent_s > SILENT_AFTER_S:
                found.append(Number(publisher, line.last))
        return found

    def arrived_s(self, publisher: str, seq: int) -> float | None:
        """Return a time before which a number had surely not arrived; None when nothing is known.

        For a number that has not arrived yet, that of the last one that has.
        """
        line = self._lines.get(publisher)
        if line is None:
            return None
        at = bisect_right(line.seqs, seq)
        return line.times[at - 1] if at else None
