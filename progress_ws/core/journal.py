"""Arrays of messages as they crossed the exchange, each kept in one piece.

Of a message that is retained so, its session has nothing but its place: a number, instead of some
objects that have long left the processor's caches when they go.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
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
        members = codec.split(self._body)
        ends = self._ends = array("I", [*accumulate(len(text) + 1 for text in members)])
        if ends[-1] + 1 != len(self._body):  # blanks between them
            self._write([bytes(text) for text in members])
        return ends

    def _write(self, texts: list[bytes]) -> None:
        self._body = b"[" + b",".join(texts) + b"]"
        self._ends = array("I", [*accumulate(len(text) + 1 for text in texts)])


class Journal:
    """The pages, by rising place; one stays until the last of its messages is let go.

    Attributes:
        size: measured bytes of all pages.
        dead: how many of those are of messages that were let go.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self.size = self.dead = 0

    def add(self, series: Series, *, after: int, number: Number, arrived_s: float) -> Page:
        """Add a page behind the others, whose messages get places after this one."""
        place = (after // PLACES + 1) * PLACES
        page = Page(series, place=place, number=number, arrived_s=arrived_s)
        self._pages[place // PLACES] = page
        self.size += page.size
        return page

    def entry(self, place: int) -> Entry:
        """Return a message that has not been let go."""
        page, n = self._pages[place // PLACES], place % PLACES
        return Entry(
            page.text(n), page.publisher, page.first + n, place, page.arrived_s, page.sizes[n]
        )

    def end_of(self, place: int) -> int:
        """Return the last place of the page that this one is of."""
        return self._pages[place // PLACES].last

    def last_before(self, time_s: float) -> int:
        """Return the last place of what came before that; 0: nothing did."""
        old = takewhile(lambda page: page.arrived_s < time_s, self._pages.values())
        return max((page.last for page in old), default=0)

    def let_go(self, places: Sequence[int]) -> Gone:
        """Note that some messages, by rising place, are needed no more."""
        pages, size, edge = self._pages, 0, 0
        last: dict[str, int] = {}
        for place in places:
            page = pages[place // PLACES]
            measured = page.sizes[place % PLACES]
            page.dead += measured
            size += measured
            last[page.publisher] = edge = place
        self.dead += size
        newest = {publisher: self._number(place) for publisher, place in last.items()}
        return Gone(len(places), size, newest, edge=edge)

    def release(self, before: float) -> int:
        """Free the pages that have nothing from this place on.

        Returns:
            how many bytes that frees.
        """
        freed = 0
        while self._pages and (page := next(iter(self._pages.values()))).last < before:
            del self._pages[page.place // PLACES]
            freed += page.size
        return self._note_freed(freed)

    def thin(self, is_retained: Callable[[str, int], bool]) -> int:
        """Free what is dead amid what is not, of the oldest pages that have much of it.

        Args:
            is_retained: tells of a sid whether it needs a place.

        Returns:
            how many bytes that frees.
        """
        full = (page for page in self._pages.values() if 4 * page.dead >= page.size)
        freed = 0
        for page in list(islice(full, THIN_AT_ONCE)):
            texts = page.texts()
            needed = [n for n, text in texts if is_retained(sid_of(text), page.place + n)]
            freed += page.thin(needed)
            if not needed:
                del self._pages[page.place // PLACES]
        return self._note_freed(freed)

    def _number(self, place: int) -> tuple[int, float]:
        """Return the number of a message, and when it came in."""
        page = self._pages[place // PLACES]
        return page.first + place % PLACES, page.arrived_s

    def _note_freed(self, size: int) -> int:
        self.size -= size
        self.dead -= size
        return size


class JournalLane:
    """The places of one session in the journal, by rising place.

    Attributes:
        edge: up to this place messages are gone.
        places: where its messages are.
        is_queued: a `Queue` knows of them.
    """

    __slots__ = ("_journal", "edge", "is_queued", "places")

    def __init__(self, journal: Journal, edge: int) -> None:
        self.edge = edge
        self.places: array[int] = array("q")
        self.is_queued = False
        self._journal = journal

    def first(self) -> int:
        """Return the oldest place; 0: there is none."""
        return self.places[0] if self.places else 0

    def last(self) -> int:
        """Return the newest place; 0: there is none."""
        return self.places[-1] if self.places else 0

    def drop(self, upto: int) -> Gone:
        """Take out everything up to a place."""
        count = bisect_right(self.places, upto)
        gone = self._journal.let_go(self.places[:count])
        del self.places[:count]
        self.edge = max(self.edge, gone.edge)
        return gone

    def after(self, ordinal: int) -> Iterator[Entry]:
        """Give those beyond a place; not to be used across a change."""
        return map(self._journal.entry, self.places[bisect_right(self.places, ordinal) :])

    def __contains__(self, place: int) -> bool:
        n = bisect_left(self.places, place)
        return n < len(self.places) and self.places[n] == place
