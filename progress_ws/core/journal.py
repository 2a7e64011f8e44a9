"""Arrays of messages as they crossed the exchange, each kept in one piece.

Of a message that is retained so, its session has nothing but its place: a number, instead of some
objects that have long left the processor's caches when they go.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import accumulate, islice, takewhile

from progress_ws.core import codec
from progress_ws.core.lanes import Entry, Gone
from progress_ws.core.message import Number
from progress_ws.core.series import SERIES_MAX, Series, sid_of

PAGE_BYTES, PLACE_BYTES = 420, 18
"""What Python needs for an array and for each message of it, besides their texts, as measured: see
`tests/core/test_history_bytes.py`."""
PLACES = SERIES_MAX
"""Of each page, so that a message's page and its place there are plain to see."""
LARGEST_BYTES = 1024
THIN_AT_ONCE = 8
"""So many pages at a time: each takes some 200 µs."""


class Page:
    """A series, without its decoded messages.

    Attributes:
        place: of its first message; the others follow.
        publisher: whose messages.
        first: the number of the first one; the others follow.
        arrived_s: when it came in.
        sizes: measured bytes of each message, with its part of what all of them share.
        size: measured bytes of what is here.
        dead: how many of those nobody needs any more.
    """

    __slots__ = (
        "_body",
        "_ends",
        "_left",
        "arrived_s",
        "dead",
        "first",
        "place",
        "publisher",
        "size",
        "sizes",
    )

    def __init__(self, series: Series, *, place: int, number: Number, arrived_s: float) -> None:
        """`place`, `number`: of the first message."""
        shared = PAGE_BYTES + len(series.body) - sum(series.sizes)
        extra = PLACE_BYTES + shared // len(series.sizes) + 1
        self.place = place
        self.publisher, self.first = number.publisher, number.seq
        self.arrived_s = arrived_s
        self.sizes = array("I", [size + extra for size in series.sizes])
        self.size = sum(self.sizes)
        self.dead = 0
        self._body = series.body
        self._ends: array[int] | None = None
        self._left: array[int] | None = None

    @property
    def last(self) -> int:
        """Return the place of the last message."""
        return self.place + len(self.sizes) - 1

    def text(self, n: int) -> bytes:
        """Return the text of the nth message, from 0."""
        if self._left is not None:
            n = bisect_left(self._left, n)
        ends = self._ends or self._split()
        return self._body[ends[n - 1] + 1 if n else 1 : ends[n]]

    def texts(self) -> Iterator[tuple[int, bytes]]:
        """Give the texts that are here, with their n."""
        left = range(len(self.sizes)) if self._left is None else self._left
        return ((n, self.text(n)) for n in left)

    def thin(self, left: list[int]) -> int:
        """Keep only these texts.

        Returns:
            how many bytes that frees.
        """
        self._write([self.text(n) for n in left])
        self._left = array("I", left)
        before = self.size
        self.size = sum(self.sizes[n] for n in left)
        self.dead = 0
        return before - self.size

    def _split(self) -> "array[int]":
        """Find where each text ends; not done before somebody reads."""
        texts = codec.split(self._body)
        ends = self._ends = _ends_of(texts)
        if ends[-1] + 1 != len(self._body):  # blanks between them
            self._write([bytes(text) for text in texts])
        return ends

    def _write(self, texts: list[bytes]) -> None:
        self._body = b"[" + b",".join(texts) + b"]"
        self._ends = _ends_of(texts)


def _ends_of(texts: Iterable[Sized]) -> "array[int]":
    """Return where each text ends in an array without blanks."""
    return array("I", [*accumulate(len(text) + 1 for text in texts)])


class Journal:
    """The pages, by rising place; one stays until the last of its messages is let go.

    Attributes:
        size: measured bytes of all pages.
        dead: how many of those are of messages that were let go before older ones.
        largest: no message took more bytes; a power of two.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._publishers: Counter[str] = Counter()
        self.size = self.dead = 0
        self.largest = LARGEST_BYTES

    def add(self, series: Series, *, after: int, number: Number, arrived_s: float) -> Page:
        """Add a page behind the others, whose messages get places after this one."""
        place = (after // PLACES + 1) * PLACES
        page = Page(series, place=place, number=number, arrived_s=arrived_s)
        self._pages[place // PLACES] = page
        self._publishers[page.publisher] += 1
        self.size += page.size
        while self.largest < max(page.sizes):
            self.largest *= 2
        return page

    def entry(self, place: int) -> Entry:
        """Return a message that has not been let go."""
        page, n = self._pages[place // PLACES], place % PLACES
        return Entry(
            page.text(n), page.publisher, page.first + n, place, page.arrived_s, page.sizes[n]
        )

    def seen(self, place: int, positions: Mapping[str, int]) -> int:
        """Return up to which place of this one's page the positions cover everything."""
        page = self._pages[place // PLACES]
        return min(page.place + positions.get(page.publisher, 0) - page.first, page.last)

    def measure(self, places: Sequence[int]) -> int:
        """Return the bytes that some messages take."""
        return sum(self._pages[place // PLACES].sizes[place % PLACES] for place in places)

    def newest(self, places: Sequence[int]) -> dict[str, tuple[int, float]]:
        """Return of each publisher the last number at these places, and when it came in."""
        found: dict[str, tuple[int, float]] = {}
        for place in reversed(places):
            page = self._pages[place // PLACES]
            if page.publisher not in found:
                found[page.publisher] = page.first + place % PLACES, page.arrived_s
                if len(found) == len(self._publishers):
                    break  # soon: busy publishers are few
        return found

    def bury(self, places: Sequence[int]) -> None:
        """Note that some messages are let go, but not older ones beside them."""
        for place in places:
            page = self._pages[place // PLACES]
            size = page.sizes[place % PLACES]
            page.dead += size
            self.dead += size

    def end_of(self, place: int) -> int:
        """Return the last place of the page that this one is of."""
        return self._pages[place // PLACES].last

    def last_before(self, time_s: float) -> int:
        """Return the last place of what came before that; 0: nothing did."""
        old = takewhile(lambda page: page.arrived_s < time_s, self._pages.values())
        return max((page.last for page in old), default=0)

    def release(self, before: float) -> int:
        """Free the pages that have nothing from this place on.

        Returns:
            how many bytes that frees.
        """
        freed = 0
        while self._pages and (page := next(iter(self._pages.values()))).last < before:
            freed += self._free(page)
        return freed

    def thin(self, is_retained: Callable[[str, int], bool]) -> int:
        """Free what is dead amid what is not, of the oldest pages that have much of it.

        Args:
            is_retained: tells of a sid whether it needs a place.

        Returns:
            how many bytes that frees.
        """
        full = (page for page in self._pages.values() if page.dead and 4 * page.dead >= page.size)
        freed = 0
        for page in list(islice(full, THIN_AT_ONCE)):
            needed = [n for n, text in page.texts() if is_retained(sid_of(text), page.place + n)]
            if not needed:
                freed += self._free(page)
                continue
            self.dead -= page.dead
            thinned = page.thin(needed)
            self.size -= thinned
            freed += thinned
        return freed

    def _free(self, page: Page) -> int:
        del self._pages[page.place // PLACES]
        self._publishers[page.publisher] -= 1
        if not self._publishers[page.publisher]:
            del self._publishers[page.publisher]
        self.size -= page.size
        self.dead -= page.dead
        return page.size


class JournalLane:
    """The places of one session in the journal, by rising place.

    How many bytes they take is only found out when it may be too many.

    Attributes:
        edge: up to this place messages are gone.
        places: where its messages are.
        room_for: with so many messages, whatever their sizes, it is within its bound.
        is_queued: a `Queue` knows of them.
    """

    __slots__ = ("_counted", "_journal", "_size", "edge", "is_queued", "places", "room_for")

    def __init__(self, journal: Journal, edge: int) -> None:
        self.edge = edge
        self.places: array[int] = array("q")
        self.room_for = 0
        self.is_queued = False
        self._journal = journal
        self._counted = self._size = 0

    def first(self) -> int:
        """Return the oldest place; 0: there is none."""
        return self.places[0] if self.places else 0

    def last(self) -> int:
        """Return the newest place; 0: there is none."""
        return self.places[-1] if self.places else 0

    def measure(self) -> int:
        """Return the bytes that its messages take; those are looked at that are new since."""
        self._size += self._journal.measure(self.places[self._counted :])
        self._counted = len(self.places)
        return self._size

    def make_room(self, free: int) -> None:
        """Note how many bytes more are within the bound."""
        self.room_for = len(self.places) + free // self._journal.largest

    def take_room(self, size: int) -> None:
        """Note that its session takes so many bytes more otherwise."""
        self.room_for -= size // self._journal.largest + 1

    @property
    def has_room(self) -> bool:
        """Tell whether the session is within its bound for certain; otherwise measure it."""
        return len(self.places) <= self.room_for

    def drop(self, upto: int, *, amid: bool = False) -> Gone:
        """Take out everything up to a place; `amid`: what is older stays, in other sessions."""
        count = bisect_right(self.places, upto)
        gone = self.places[:count]
        newest = self._journal.newest(gone)
        if amid:
            self._journal.bury(gone)
        if self._counted:
            known = min(count, self._counted)
            self._size -= self._journal.measure(gone[:known])
            self._counted -= known
        del self.places[:count]
        self.room_for -= count
        if gone:
            self.edge = gone[-1]
        return Gone(count, 0, newest, edge=self.edge)

    def after(self, place: int, positions: Mapping[str, int]) -> Iterator[Entry]:
        """Give those beyond a place and beyond the positions; not to be used across a change.

        What is covered is leapt over a page at a time: it may be nearly all there is.
        """
        places, n = self.places, bisect_right(self.places, place)
        while n < len(places):
            place = places[n]
            if (seen := self._journal.seen(place, positions)) >= place:
                n = bisect_right(places, seen, n + 1, min(n + 1 + seen - place, len(places)))
            else:
                yield self._journal.entry(place)
                n += 1

    def __contains__(self, place: int) -> bool:
        n = bisect_left(self.places, place)
        return n < len(self.places) and self.places[n] == place
