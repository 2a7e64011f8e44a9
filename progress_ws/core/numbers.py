"""Which numbers of which publishers have been received: a number comes to a browser once."""

from collections import OrderedDict

from progress_ws.core.message import Number

MAX_PUBLISHERS = 100_000


class Numbers:
    """The last number received of each publisher.

    A publisher numbers all that it sends 1, 2, 3 … and AMQP keeps its order, so a number that is
    not above the last one is a repetition: after a lost confirm a publisher sends again what may
    have arrived. Bounded: of too many publishers the ones silent longest are forgotten.
    """

    def __init__(self, *, max_publishers: int = MAX_PUBLISHERS) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._max_publishers = max_publishers

    def receive(self, number: Number) -> bool:
        """Note a number; False when it is a repetition."""
        last = self._last
        if number.seq <= last.get(number.publisher, 0):
            return False
        last[number.publisher] = number.seq
        last.move_to_end(number.publisher)
        if len(last) > self._max_publishers:
            last.popitem(last=False)
        return True
