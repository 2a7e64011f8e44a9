"""What one cell of a table is: nothing, a number, a date, a yes or no, or text."""

import re
from datetime import UTC, datetime
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of value that a cell, or a whole column, can have."""

    MISSING = "missing"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    BOOLEAN = "boolean"
    TEXT = "text"


MISSING_WORDS = frozenset({"", "-", "--", "na", "n/a", "#n/a", "nan", "nil", "none", "null"})
"""What counts as no value, in any case of letters."""

_BOOLEAN_WORDS = frozenset({"true", "false", "yes", "no", "y", "n"})
_FIRST_OF_A_NUMBER = frozenset("0123456789+-.")

# Leading zeros make an article number, not an integer, and so do more digits than 64 bits hold.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_SPLIT_DATE = re.compile(r"([0-9]{1,2})([./])([0-9]{1,2})[./]([0-9]{4})")
_ISO_DATE = re.compile(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}")

LARGEST = 1e150
"""Beyond it a number is taken for text: the squares that a deviation needs would overflow."""

LONGEST_DATE = 40
Cell = tuple[Kind, float]


class CellReader:
    """Classifies cells by the habits of the file that they come from.

    Args:
        decimal_comma: "1,5" is a number, as in files whose cells are parted by semicolons.
        day_first: "03/04/2024" is in April. Dates with dots always begin with the day.
    """

    def __init__(self, *, decimal_comma: bool = False, day_first: bool = False) -> None:
        self._decimal_comma = decimal_comma
        self._day_first = day_first

    def read(self, cell: str) -> Cell:
        """Return the kind of a cell and its number: a value, or Unix seconds for a date.

        A time without a zone is taken as UTC. The number means nothing for the other kinds.
        """
        text = cell.strip()
        if text[:1] in _FIRST_OF_A_NUMBER:
            return self._read_number(text)
        return _read_word(text)

    def _read_number(self, text: str) -> Cell:
        if _INTEGER.fullmatch(text):
            return Kind.INTEGER, int(text)
        if _DECIMAL.fullmatch(text):
            return _decimal(text)
        if self._decimal_comma and _DECIMAL_COMMA.fullmatch(text):
            return _decimal(text.replace(",", "."))
        if len(text) <= LONGEST_DATE:
            moment = self._read_date(text)
            if moment is not None:
                return Kind.DATE, moment
        return _read_word(text)

    def _read_date(self, text: str) -> float | None:
        try:
            if _ISO_DATE.match(text):
                moment = datetime.fromisoformat(text.replace("/", "-"))
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            if match := _SPLIT_DATE.fullmatch(text):
                first, mark, second, year = match.groups()
                day, month = (first, second) if self._day_first or mark == "." else (second, first)
                return datetime(int(year), int(month), int(day), tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            pass  # the 31st of June: text that looks like a date
        return None


def day_comes_first(cells: list[str]) -> bool:
    """Tell from some cells of a column whether dates with slashes begin with the day."""
    matches = map(_SPLIT_DATE.fullmatch, map(str.strip, cells))
    return any(int(match[1]) > 12 for match in matches if match and match[2] == "/")


def _read_word(text: str) -> Cell:
    if len(text) > 5:  # longer than "false", the longest word that means something
        return Kind.TEXT, 0.0
    word = text.casefold()
    if word in MISSING_WORDS:
        return Kind.MISSING, 0.0
    return (Kind.BOOLEAN if word in _BOOLEAN_WORDS else Kind.TEXT), 0.0


def _decimal(text: str) -> Cell:
    number = float(text)
    return (Kind.DECIMAL, number) if abs(number) <= LARGEST else (Kind.TEXT, 0.0)
