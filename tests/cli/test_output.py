"""What a bar shows of a command's output."""

import os
import random
import time

import pytest

from progress_ws.cli.output import TAIL_CHARS, Output


def fed(*pieces: bytes) -> Output:
    output = Output()
    for piece in pieces:
        output.feed(piece)
    return output


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"Password: ", "Password:"),
        (b"one\n\n  \n", "one"),
        (b"one\r\ntwo\r\n", "two"),
        (b" 10%\r 20%\r", "20%"),
        (b"\x1b[2K\x1b[1;32mok\x1b[0m \x1b]0;title\x07done\x1b(B", "ok done"),
        (b"a\tb\x07\x00c", "a bc"),
        ("готово ✓".encode(), "готово ✓"),
        (b"\xff\xfe binary \x80", "binary"),
        (b"", None),
        (b"\n\n\x00\x01", None),
    ],
)
def test_the_last_line_that_is_not_blank(printed: bytes, line: str | None) -> None:
    assert fed(printed).line == line
    assert fed(*(bytes([byte]) for byte in printed)).line == line


@pytest.mark.parametrize(
    ("printed", "percent"),
    [
        (b"42 %", 42),
        (b"42%", 42),
        (b"at 42.5% of it", 42.5),
        (b"42,5 %", 42.5),
        (b" 10%\r 20%\r 30%|###   | 3/10", 30),
        (b"100%", 100),
        (b"0%", 0),
        (b"rows 5% of 80%", 80),
        (b"up 250%", None),
        (b"-5%", None),
        (b"1000%", None),
        (b"%d %s", None),
        (b"7 percent", None),
        (b"12%\nno number\n", 12),
        (b"\x1b[1m57%\x1b[0m", 57),
    ],
)
def test_the_last_percentage(printed: bytes, percent: float | None) -> None:
    assert fed(printed).percent == percent
    assert fed(*(bytes([byte]) for byte in printed[:-1]), printed[-1:]).percent == percent


def test_a_line_in_pieces() -> None:
    text = "жёлтый 42.5% готово".encode()
    for cut in range(len(text)):
        assert (output := fed(text[:cut], text[cut:])).line == "жёлтый 42.5% готово"
        assert output.percent == 42.5


def test_it_is_bounded_in_memory_and_time() -> None:
    output = Output()
    began_s = time.process_time()
    for _ in range(1000):
        output.feed(b"x" * 65536)
    output.feed(os.urandom(65536))
    output.feed(b"%" * 65536 + b"1" * 65536)
    output.feed(b"\x1b[" * 65536)
    assert time.process_time() - began_s < 2
    assert len(output._tail) <= TAIL_CHARS
    assert fed(b"x" * 100_000 + b"\n7 %").percent == 7


def test_bytes_of_all_kinds_do_no_harm() -> None:
    chance = random.Random(0)
    output = Output()
    for _ in range(500):
        output.feed(chance.randbytes(chance.randrange(200)))
        assert output.line is None or output.line.isprintable()
