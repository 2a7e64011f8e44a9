"""What kind of text a file holds, and its rows; says in a sentence why a file is no CSV.

Nothing here holds more than a few megabytes of a file, however large the file or its lines.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
LONGEST_ROW = 1 << 20
"""Characters. What has no line end for so long is no table."""

SURELY_DAMAGED = 100
GROUP_ROWS = 2_000
GROUP_CHARS = 1 << 21
MAX_COLUMNS = 1_000
DELIMITERS = ",;\t|"

_MAGIC = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save the sheet as CSV first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document; save the sheet as CSV first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_GB2312_PAIRS = re.compile(rb"(?:[\xa1-\xf7][\xa1-\xfe])+")


class NotCsvError(Exception):
    """The file cannot be read as a table; the text is a sentence for whoever sent it."""


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """How the bytes of a file are text.

    Attributes:
        encoding: a codec's name.
        lines: how many there are.
        damaged: characters that the encoding does not have, shown as �.
        delimiter: what parts its cells.
    """

    encoding: str
    lines: int
    damaged: int
    delimiter: str


def inspect(file: BinaryIO, *, progress: Callable[[int], None]) -> TextForm:
    """Read a whole file once to learn its form.

    Args:
        file: at its beginning, and seekable.
        progress: called with the number of bytes read so far.

    Raises:
        NotCsvError: it is empty, or not text.
    """
    head = file.read(BLOCK_BYTES)
    _refuse_what_is_no_text(head)
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    scan = _scan(file, encoding, progress)
    if encoding == "utf-8" and scan.is_something_else:
        encoding = "gb18030" if _is_chinese(scan.sample) else "cp1252"
        scan = _scan(file, encoding, progress)
    delimiter = sniff_delimiter(head.decode(encoding, errors="replace"))
    return TextForm(encoding=encoding, lines=scan.lines, damaged=scan.damaged, delimiter=delimiter)


def sniff_delimiter(head: str) -> str:
    """Choose what parts the cells: the mark that gives the most lines one same number of cells.

    Args:
        head: the beginning of the text; its last line may be cut off.
    """
    lines = head[: 1 << 16].splitlines()
    lines = [line for line in lines[: max(1, len(lines) - 1)] if line.strip()][:200]

    def agreement(delimiter: str) -> tuple[int, int]:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        except csv.Error:
            return 0, 0
        parted = [(rows, width) for width, rows in widths.items() if width > 1]
        return max(parted, default=(0, 0))

    return max(DELIMITERS, key=agreement)


class Rows:
    """The rows of a file, in groups.

    Attributes:
        lines_read: lines of the file that went into the rows given out so far.
    """

    def __init__(self, file: BinaryIO, form: TextForm) -> None:
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding=form.encoding, errors="replace", newline="")
        self._delimiter = form.delimiter
        self._chars = self._row_chars = 0
        self.lines_read = 0

    def groups(self) -> Iterator[list[list[str]]]:
        """Give out rows that are not empty, some thousand or some megabytes at a time.

        Raises:
            NotCsvError: a line or a cell is endless, or there are too many columns.
        """
        group: list[list[str]] = []
        reader = csv.reader(self._lines(), delimiter=self._delimiter)
        try:
            for row in reader:
                self._row_chars = 0
                if row:
                    _refuse_many_columns(row)
                    group.append(row)
                if len(group) >= GROUP_ROWS or self._chars >= GROUP_CHARS:
                    yield group
                    group, self._chars = [], 0
        except csv.Error as exc:
            raise NotCsvError(
                f"Line {self.lines_read:,} has a cell without an end: "
                "is a quotation mark missing before it?"
            ) from exc
        if group:
            yield group

    def close(self) -> None:
        """Let go of the file, which stays open."""
        self._text.detach()

    def _lines(self) -> Iterator[str]:
        # Quoted cells may hold line ends, so a row can be endless though its lines are short.
        while line := self._text.readline(LONGEST_ROW + 1):
            self.lines_read += 1
            self._chars += len(line)
            self._row_chars += len(line)
            if self._row_chars > LONGEST_ROW:
                raise NotCsvError(
                    f"The row at line {self.lines_read:,} is longer than {LONGEST_ROW:,} "
                    "characters. A table has shorter ones."
                )
            yield line


@dataclass
class _Scan:
    """What one reading showed.

    Attributes:
        spare: how many bytes more than characters: those that UTF-8 needs beyond ASCII.
        sample: the first block with a damaged place.
    """

    lines: int = 0
    damaged: int = 0
    spare: int = 0
    sample: bytes = b""

    @property
    def is_something_else(self) -> bool:
        """Whether it is another encoding, not this one with a few damaged places."""
        return self.damaged * 20 > self.spare


def _scan(file: BinaryIO, encoding: str, progress: Callable[[int], None]) -> _Scan:
    """Decode a whole file and count its lines and its damaged places."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    scan = _Scan()
    read = returns = 0
    text = "\n"
    while block := file.read(BLOCK_BYTES):
        read += len(block)
        text = decoder.decode(block, final=len(block) < BLOCK_BYTES)
        if "\0" in text:
            raise NotCsvError("This file is not text.")
        damaged = text.count("\ufffd")
        if damaged and not scan.sample:
            scan.sample = block
        scan.damaged += damaged
        scan.spare += max(0, len(block) - len(text))
        scan.lines += text.count("\n")
        returns += text.count("\r")
        progress(read)
        if encoding == "utf-8" and scan.damaged > SURELY_DAMAGED and scan.is_something_else:
            break  # no need to read the rest of a large file in the wrong way
    scan.lines = scan.lines or returns  # the line ends of old Macs
    scan.lines += text[-1:] not in ("\n", "\r")
    return scan


def _refuse_what_is_no_text(head: bytes) -> None:
    if not head.strip():
        raise NotCsvError("This file is empty.")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise NotCsvError(f"This is not a CSV file: it looks like {what}.")
    unprintable = len(head) - len(head.translate(None, _CONTROLS))
    if unprintable > len(head) // 50 and not any(head.startswith(mark) for mark, _ in _MARKS):
        raise NotCsvError("This file is not text.")
    start = head[:64].lstrip()
    if start.startswith((b"{", b"[{")):
        raise NotCsvError("This is not a CSV file: it looks like JSON.")
    if re.match(rb"<(?:!doctype|html|\?xml)", start, re.IGNORECASE):
        raise NotCsvError("This is not a CSV file: it looks like a web page or XML.")


def _refuse_many_columns(row: list[str]) -> None:
    if len(row) > MAX_COLUMNS:
        raise NotCsvError(f"A row has {len(row):,} columns; up to {MAX_COLUMNS:,} can be profiled.")


def _is_chinese(sample: bytes) -> bool:
    """Tell GB 18030 from a western code page: its bytes beyond ASCII come in pairs."""
    runs = _BEYOND_ASCII.findall(sample)
    pairs = sum(len(run) for run in runs if _GB2312_PAIRS.fullmatch(run))
    return pairs > 0.8 * sum(map(len, runs))
