"""The real work: reads a table of any size once through and describes every column.

Synchronous, in bounded memory, and without any input or output but the file that it is given.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import BinaryIO

from progress_ws.demo.cells import CellReader, Kind
from progress_ws.demo.column import Column, ColumnProfile
from progress_ws.demo.csvfile import NotCsvError, Rows, TextForm

CAPACITY = 16_384
SMALLEST_CAPACITY = 256
SHARED_CAPACITY = 400_000
"""Bounds what each column and what all columns together may keep: some 100 MB at the very most."""

_HEADER_EVIDENCE_ROWS = 100
_NO_NAMES = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.DATE})
_VALUES = _NO_NAMES | {Kind.BOOLEAN}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The profile of a table.

    Attributes:
        rows: without the header.
        ragged: rows with more or fewer cells than the others. What is too much of them was left
            out, what they lack was taken as missing.
        has_header: whether the first row held the names of the columns.
    """

    form: TextForm
    rows: int
    ragged: int
    has_header: bool
    columns: tuple[ColumnProfile, ...]


def profile(file: BinaryIO, form: TextForm, *, progress: Callable[[int, int], None]) -> Profile:
    """Describe every column of a table.

    Args:
        file: seekable; read from its beginning.
        form: what `inspect` found.
        progress: called now and then with the rows read so far, and how many there will be.

    Raises:
        NotCsvError: it is no table; the text says why.
    """
    table: _Table | None = None
    with closing(Rows(file, form)) as rows:
        for group in rows.groups():
            table = table or _Table(group, decimal_comma=form.delimiter == ";")
            table.add(group)
            progress(table.rows, table.expected_rows(rows.lines_read, form.lines))
    if table is None or table.rows == 0:
        raise NotCsvError("This file has a header at most, and no rows.")
    return Profile(
        form=form,
        rows=table.rows,
        ragged=table.ragged,
        has_header=table.has_header,
        columns=tuple(
            column.profile(name) for name, column in zip(table.names, table.columns, strict=True)
        ),
    )


def find_header(group: list[list[str]], *, decimal_comma: bool) -> bool:
    """Tell whether the first of some rows names the columns.

    It does if no cell of it is a number or a date, or if a column turns from words into values
    right below it. Columns may well be called "y" and "n".
    """
    reader = CellReader(decimal_comma=decimal_comma)
    first = [reader.read(cell)[0] for cell in group[0]]
    if not any(kind in _NO_NAMES for kind in first):
        return True
    for place, kind in enumerate(first):
        if kind not in _NO_NAMES:
            below = [row[place] for row in group[1:_HEADER_EVIDENCE_ROWS] if place < len(row)]
            kinds = {reader.read(cell)[0] for cell in below}
            if kinds and kinds <= _VALUES - {kind}:
                return True
    return False


class _Table:
    def __init__(self, group: list[list[str]], *, decimal_comma: bool) -> None:
        self.width = _common_width(group)
        self.has_header = find_header(group, decimal_comma=decimal_comma)
        self.names = _names(group[0] if self.has_header else [], self.width)
        capacity = max(SMALLEST_CAPACITY, min(CAPACITY, SHARED_CAPACITY // self.width))
        random = Random(self.width)  # the same file gives the same sample
        self.columns = [
            Column(capacity=capacity, decimal_comma=decimal_comma, random=random)
            for _ in range(self.width)
        ]
        self.rows = self.ragged = 0
        self._header_comes = self.has_header

    def add(self, group: list[list[str]]) -> None:
        if self._header_comes:
            group, self._header_comes = group[1:], False
        width = self.width
        odd = sum(len(row) != width for row in group)
        if odd:
            group = [row[:width] + [""] * (width - len(row)) for row in group]
        self.ragged += odd
        self.rows += len(group)
        for column, cells in zip(self.columns, zip(*group, strict=True), strict=False):
            column.add(cells)

    def expected_rows(self, lines_read: int, lines: int) -> int:
        """Return how many rows there will be: some have many lines, and some lines are blank."""
        names = int(self.has_header)
        return max(self.rows, round(self.rows * (lines - names) / max(1, lines_read - names)))


def _common_width(group: list[list[str]]) -> int:
    widths = Counter(map(len, group))
    width, rows = widths.most_common(1)[0]
    if rows * 2 < len(group):
        raise NotCsvError(
            f"This is not a table: its rows have between {min(widths):,} and {max(widths):,} cells."
        )
    return width


def _names(header: list[str], width: int) -> list[str]:
    given = [name.strip() for name in header[:width]] + [""] * (width - len(header))
    return [name or f"Column {place}" for place, name in enumerate(given, start=1)]
