"""What a command prints, as a bar shows it: its last line, and the percentage in it."""

import codecs
import re

TAIL_CHARS = 2_000
LINES = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-~])")
PERCENT = re.compile(r"(?<![\d.,-])(\d{1,3}(?:[.,]\d+)?) ?%")


class Output:
    """One stream of a command: bytes in, in pieces of any size; bounded, however much comes.

    Attributes:
        line: the last line that is not blank, complete or not; None: there was none.
        percent: the last percentage that was printed; None: there was none.
    """

    def __init__(self) -> None:
        self.line: str | None = None
        self.percent: float | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._tail = ""

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        # A character has at most four bytes: what is before these cannot be in the tail.
        if len(data) > 4 * TAIL_CHARS:
            self._decoder.reset()
            data = data[-4 * TAIL_CHARS :]
        self._tail = (self._tail + self._decoder.decode(data))[-TAIL_CHARS:]
        lines = [shown for line in LINES.split(self._tail) if (shown := _shown(line))]
        if not lines:
            return
        self.line = lines[-1]
        for line in reversed(lines):
            if (percent := _percent(line)) is not None:
                self.percent = percent
                return


def _shown(line: str) -> str:
    """Leave what people see: no colours, no bells, no bytes of something that is no text."""
    plain = ESCAPES.sub("", line).replace("\t", " ")
    return "".join(char for char in plain if char.isprintable() and char != "\ufffd").strip()


def _percent(line: str) -> float | None:
    found = [float(number.replace(",", ".")) for number in PERCENT.findall(line)]
    return next((number for number in reversed(found) if number <= 100), None)
