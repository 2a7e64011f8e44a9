"""The report: one HTML document that needs nothing else, and in which no script may run."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

from progress_ws.demo import wording
from progress_ws.demo.figures import overview_row, section
from progress_ws.demo.markup import Markup, element, foreign, join
from progress_ws.demo.profile import Profile

_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_ENCODING_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "gb18030": "GB 18030",
    "cp1252": "Windows-1252",
}


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


@cache
def _content_security_policy() -> str:
    """Return the policy under which a report is shown: its own style sheet and nothing else."""
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render(
    profile: Profile,
    *,
    title: str,
    size_bytes: int,
    took_s: float,
    made_at: datetime,
    progress: Callable[[int], None],
) -> str:
    """Write the report of a profile.

    Args:
        title: the name of the file; shown as text, whatever it contains.
        size_bytes: of the file.
        took_s: how long reading it took.
        made_at: in UTC.
        progress: called with the columns written so far.
    """
    body = element(
        "body",
        _heading(profile, title, size_bytes, took_s, made_at),
        element(
            "main",
            _tiles(profile),
            _notes(profile),
            _overview(profile),
            element("h2", "Column by column"),
            *_sections(profile, progress),
        ),
        element("footer", element("p", "Made by the progress-ws demo.")),
    )
    return join(Markup("<!doctype html>"), element("html", _head(title), body, lang="en"))


def _sections(profile: Profile, progress: Callable[[int], None]) -> Iterator[Markup]:
    for place, column in enumerate(profile.columns, start=1):
        yield section(place, column)
        progress(place)


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_content_security_policy()),
        element("title", f"{title} · data profile"),
        element("style", Markup(_style())),
    )


def _heading(
    profile: Profile, title: str, size_bytes: int, took_s: float, made_at: datetime
) -> Markup:
    form = profile.form
    encoding = _ENCODING_NAMES.get(form.encoding, form.encoding)
    made = wording.moment(made_at, whole_day=False)
    facts = (
        f"{wording.size(size_bytes)}, {encoding}, {_DELIMITER_NAMES[form.delimiter]}-separated",
        f"read in {wording.duration(took_s)}",
        f"{made} UTC",
    )
    return element(
        "header",
        element("p", "Data profile", class_="kicker"),
        element("h1", foreign(title)),
        element("p", " · ".join(facts), class_="facts"),
    )


def _tiles(profile: Profile) -> Markup:
    cells = sum(column.cells for column in profile.columns)
    missing = sum(column.missing for column in profile.columns)
    full = sum(not column.missing for column in profile.columns)
    tiles = (
        ("Rows", wording.number(profile.rows)),
        ("Columns", wording.number(len(profile.columns))),
        ("Missing cells", wording.share(missing, cells)),
        ("Complete columns", f"{full:,} of {len(profile.columns):,}"),
    )
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in tiles),
        class_="tiles",
    )


def _notes(profile: Profile) -> Markup | None:
    notes = list(_remarks(profile))
    if not notes:
        return None
    return element(
        "section",
        element("h2", "Worth knowing"),
        element("ul", *(element("li", note) for note in notes)),
        class_="notes",
    )


def _remarks(profile: Profile) -> Iterator[str]:
    if profile.ragged:
        rows = wording.counted(profile.ragged, "row")
        yield (
            f"{rows} had more or fewer cells than the others: what they lacked counts as missing, "
            "what was too much was left out."
        )
    if not profile.has_header:
        yield "The first row looked like data, so the columns are numbered."
    if damaged := profile.form.damaged:
        yield f"{wording.counted(damaged, 'character')} could not be read and became �."
    odd = [column for column in profile.columns if column.odd]
    if odd:
        columns = wording.counted(len(odd), "column")
        yield f"{columns} had a few values of another type; they are counted as odd below."


def _overview(profile: Profile) -> Markup:
    titles = ("Column", "Type", "Missing", "Distinct", "Distribution")
    head = element("tr", *(element("th", title, scope="col") for title in titles))
    rows = (overview_row(place, column) for place, column in enumerate(profile.columns, start=1))
    return element(
        "section",
        element("h2", "Overview"),
        element(
            "div",
            element("table", element("thead", head), element("tbody", *rows)),
            class_="scroll",
            tabindex=0,
            role="region",
            aria_label="Overview of all columns",
        ),
    )
