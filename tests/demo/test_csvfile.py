"""Telling a CSV from what is none, in whatever encoding it comes."""

import gzip
import io

import pytest

from progress_ws.demo.csvfile import (
    LONGEST_ROW,
    NotCsvError,
    Rows,
    TextForm,
    inspect,
    sniff_delimiter,
)

TABLE = "name,city\nZoë,Zürich\nJosé,Málaga\n"
CHINESE = "姓名,城市\n王小明,上海\n李雷,北京\n"


def form_of(content: bytes) -> TextForm:
    return inspect(io.BytesIO(content), progress=lambda _: None)


def rows_of(content: bytes) -> list[list[str]]:
    file = io.BytesIO(content)
    form = inspect(file, progress=lambda _: None)
    return [row for group in Rows(file, form).groups() for row in group]


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (TABLE, "utf-8", "utf-8"),
        (TABLE, "utf-8-sig", "utf-8-sig"),
        (TABLE, "utf-16", "utf-16"),
        ("\ufeff" + TABLE, "utf-16-be", "utf-16"),
        (TABLE, "utf-32", "utf-32"),
        (TABLE, "cp1252", "cp1252"),
        (TABLE, "latin-1", "cp1252"),
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gbk", "gb18030"),
        ("a,b\n1,é", "latin-1", "cp1252"),
        ("a,b\n1,2\n", "ascii", "utf-8"),
    ],
)
def test_the_encoding_is_found(text: str, encoding: str, found: str) -> None:
    content = text.encode(encoding)
    form = form_of(content)
    assert (form.encoding, form.damaged) == (found, 0)
    expected = [line.split(",") for line in text.removeprefix("\ufeff").splitlines()]
    assert rows_of(content) == expected


def test_an_encoding_that_shows_late_in_a_large_file_is_found() -> None:
    content = b"a,b\n" + b"1,2\n" * 700_000 + "Zürich,é\n".encode("latin-1") * 200
    assert form_of(content).encoding == "cp1252"


def test_a_few_damaged_places_do_not_change_the_encoding() -> None:
    content = CHINESE.encode() * 100 + b"\xff\xfe,x\n"
    form = form_of(content)
    assert (form.encoding, form.damaged) == ("utf-8", 2)
    assert rows_of(content)[-1] == ["��", "x"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    lines = [["name", "price"], ["A, B; C", "1,5"], ["D", "2,5"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    assert sniff_delimiter(text) == delimiter


def test_commas_in_numbers_are_not_taken_for_delimiters() -> None:
    assert sniff_delimiter("article;price\nA;1,5\nB;2,5\nC;3,5\n") == ";"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a,b\n1,2\n", 2),
        (b"a,b\n1,2", 2),
        (b"a,b\r\n1,2\r\n", 2),
        (b"a,b\r1,2\r", 2),
        ("a,b\n1,2\n".encode("utf-16"), 2),
    ],
)
def test_lines_are_counted(content: bytes, lines: int) -> None:
    assert form_of(content).lines == lines
    assert rows_of(content) == [["a", "b"], ["1", "2"]]


def test_quoted_cells_hold_anything() -> None:
    assert rows_of(b'a,b\n"x\n,""y""",2\n') == [["a", "b"], ['x\n,"y"', "2"]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty."),
        (b" \r\n\t\n", "This file is empty."),
        (b"PK\x03\x04" + bytes(100), "looks like an Excel workbook"),
        (gzip.compress(b"a,b\n1,2\n"), "a gzip archive; unpack it first"),
        (b"%PDF-1.7\n", "looks like a PDF document"),
        (b'{"a": 1}\n', "looks like JSON"),
        (b'[{"a": 1}]', "looks like JSON"),
        (b"<!DOCTYPE html><html>", "looks like a web page"),
        (bytes(range(256)) * 20, "This file is not text."),
        (b"a,b\n" + b"1,2\n" * 400_000 + b"\0", "This file is not text."),
    ],
)
def test_what_is_no_csv_is_named(content: bytes, sentence: str) -> None:
    with pytest.raises(NotCsvError, match=sentence):
        form_of(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x" * (LONGEST_ROW + 2), "row at line 1 is longer than"),
        (b'a,b\n"' + b'","\n' * LONGEST_ROW, "row at line .* is longer than"),
        (b'a,b\n1,"2\n' + b"3,4\n" * 50_000, "cell without an end"),
        (b"a," * 1200 + b"b\n", "A row has 1,201 columns"),
    ],
)
def test_what_has_no_end_is_given_up(content: bytes, sentence: str) -> None:
    with pytest.raises(NotCsvError, match=sentence):
        rows_of(content)


def test_progress_ends_with_the_size_of_the_file() -> None:
    content = b"a,b\n" + b"1,2\n" * 800_000
    seen: list[int] = []
    inspect(io.BytesIO(content), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(content)
