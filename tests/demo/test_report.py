"""The report shows whatever a file holds, and runs none of it."""

import io
import re
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.demo.csvfile import inspect
from progress_ws.demo.markup import element, foreign, join
from progress_ws.demo.profile import profile
from progress_ws.demo.report import render

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "=HYPERLINK(1)",
    "\x00\x1b[31m",
]


class Outline(HTMLParser):
    """The elements and attributes of a document, without their texts; and the texts."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


rendered = partial(render, progress=lambda _: None)


def report_of(header: list[str], cells: list[str], *, title: str = "table.csv") -> str:
    def line(row: list[str]) -> str:
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n"

    content = line(header) + line(cells) * 3 + line(["x"] * len(cells)) * 2
    file = io.BytesIO(content.encode(errors="replace"))
    form = inspect(file, progress=lambda _: None)
    table = profile(file, form, progress=lambda *_: None)
    made_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    return rendered(table, title=title, size_bytes=1000, took_s=1.5, made_at=made_at)


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\x00" not in text])
def test_hostile_headers_cells_and_names_add_no_markup(text: str) -> None:
    harmless = Outline(report_of(["first", "second"], ["word", "word"], title="word"))
    hostile = Outline(report_of([text, f"2 {text}"], [text, f"3 {text}"], title=text))
    assert hostile.elements == harmless.elements
    assert "script" not in {tag for tag, _ in hostile.elements}
    assert hostile.texts.count(text) >= 4  # all of it is there: as a title, a name and a value


@given(st.text(min_size=1, max_size=30))
def test_no_text_at_all_adds_markup(text: str) -> None:
    found = Outline(join(element("p", text, title=text), foreign(text)))
    assert found.elements == [("p", ("title",)), ("bdi", ())]


def test_what_cannot_be_seen_gets_a_picture() -> None:
    assert foreign("a\x00b\nc\x7f") == "<bdi>a␀b␊c␡</bdi>"


def test_a_report_needs_nothing_from_anywhere() -> None:
    document = report_of(["a", "b"], ["1", "x"])
    assert "http://" not in document.replace("http://www.w3.org", "")
    assert "https://" not in document
    assert "style=" not in document  # the policy would forbid it
    assert 'http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;' in document


def test_a_report_says_what_the_file_holds() -> None:
    texts = Outline(report_of(["city", "price"], ["Łódź", "12.5"], title="orders.csv")).texts
    for text in ("orders.csv", "city", "price", "Łódź", "text", "Rows", "5"):
        assert text in texts
    assert any("1.0 kB, UTF-8, comma-separated" in text for text in texts)


def test_a_report_owns_up_to_what_it_could_not_read() -> None:
    file = io.BytesIO(("é,b\n" * 40).encode() + b"1,\xff\n3\n" + b"4,5\n" * 60)
    form = inspect(file, progress=lambda _: None)
    table = profile(file, form, progress=lambda *_: None)
    document = rendered(table, title="t", size_bytes=1, took_s=1, made_at=datetime.now(UTC))
    assert "1 row had more or fewer cells than the others" in document
    assert "1 character could not be read" in document


def test_bins_of_integers_name_the_integers_in_them() -> None:
    content = "id,n\n" + "".join(f"x,{n}\n" for n in (1, 1, 2, 4))
    file = io.BytesIO(content.encode())
    form = inspect(file, progress=lambda _: None)
    table = profile(file, form, progress=lambda *_: None)
    document = rendered(table, title="t", size_bytes=1, took_s=1, made_at=datetime.now(UTC))
    titles = [text for text in Outline(document).texts if re.fullmatch(r"\d.*: \d+ %", text)]
    assert titles[:4] == ["1: 50 %", "2: 25 %", "3: 0 %", "4: 25 %"]
