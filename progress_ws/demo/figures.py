"""The figures of one column as HTML: numbers, bars, a histogram, its most frequent values."""

from collections.abc import Iterator

from progress_ws.demo import wording
from progress_ws.demo.cells import Kind
from progress_ws.demo.column import QUANTILES, ColumnProfile, NumberProfile, as_moment
from progress_ws.demo.markup import Markup, element, foreign

_KIND_NAMES = {Kind.MISSING: "empty"}
_HEIGHT = 72
_PITCH = 12


def section(place: int, column: ColumnProfile) -> Markup:
    """Write all that is known of a column."""
    figures = (
        element("div", element("dt", name), element("dd", value))
        for name, value in _figures(column)
    )
    return element(
        "article",
        element("h3", foreign(column.name), " ", _badge(column.kind)),
        element("dl", *figures),
        _histogram(column),
        _top(column),
        id=f"c{place}",
    )


def overview_row(place: int, column: ColumnProfile) -> Markup:
    """Write the column as a row of a table, with a link to its section."""
    return element(
        "tr",
        element("th", element("a", foreign(column.name), href=f"#c{place}"), scope="row"),
        element("td", _badge(column.kind)),
        element("td", *_missing(column), class_="missing"),
        element("td", _distinct(column), class_="number"),
        element("td", _chart(column, class_="spark") or _commonest(column)),
    )


def _missing(column: ColumnProfile) -> tuple[str, ...]:
    if not column.missing:
        return (element("span", "none", class_="note"),)
    return _bar(column.missing, column.cells), wording.share(column.missing, column.cells)


def _commonest(column: ColumnProfile) -> Markup | None:
    if not column.top or column.top[0][1] == 1:
        return None
    value, count = column.top[0]
    share = wording.share(count, column.cells - column.missing)
    return element("span", foreign(value), f" {share}", class_="note")


def _figures(column: ColumnProfile) -> Iterator[tuple[str, str]]:
    present = column.cells - column.missing
    yield "Values", wording.number(present)
    yield "Missing", _count_and_share(column.missing, column.cells)
    yield "Distinct", _distinct(column)
    if column.odd:
        yield "Odd values", _count_and_share(column.odd, present)
    if column.numbers:
        yield from _spread(column, column.numbers)
    elif column.kind is Kind.TEXT:
        shortest, longest, mean = column.lengths
        if shortest == longest:
            yield "Length", wording.counted(longest, "character")
        else:
            yield "Length", f"{shortest:,} to {longest:,} characters, mean {wording.number(mean)}"


def _count_and_share(part: int, whole: int) -> str:
    return f"{wording.number(part)} ({wording.share(part, whole)})" if part else "none"


def _spread(column: ColumnProfile, numbers: NumberProfile) -> Iterator[tuple[str, str]]:
    yield "Smallest" if column.kind is not Kind.DATE else "Earliest", _value(column, numbers.low)
    about = "" if numbers.exact else "≈ "
    for point, value in zip(QUANTILES, numbers.quantiles, strict=True):
        name = "Median" if point == 0.5 else f"{point:.0%} below".replace("%", " %")
        yield name, about + _value(column, value)
    yield "Largest" if column.kind is not Kind.DATE else "Latest", _value(column, numbers.high)
    if column.kind is not Kind.DATE:
        yield "Mean", wording.number(numbers.mean)
        yield "Standard deviation", wording.number(numbers.deviation)


def _histogram(column: ColumnProfile) -> Markup | None:
    chart = _chart(column, class_="histogram")
    if chart is None or column.numbers is None:
        return None
    low, high = _value(column, column.numbers.low), _value(column, column.numbers.high)
    note = None if column.numbers.exact else element("span", "from a random sample")
    ends = element("figcaption", element("span", low), note, element("span", high))
    return element("figure", chart, ends)


def _chart(column: ColumnProfile, *, class_: str) -> Markup | None:
    if column.numbers is None or len(column.numbers.bins) < 2:
        return None
    bins = column.numbers.bins
    tallest = max(each.share for each in bins)
    low, high = _value(column, bins[0].low), _value(column, bins[-1].high)
    return element(
        "svg",
        *(
            _block(place, share=each.share, tallest=tallest, title=title)
            for place, (each, title) in enumerate(zip(bins, _bin_titles(column), strict=True))
        ),
        viewBox=f"0 0 {len(bins) * _PITCH} {_HEIGHT}",
        preserveAspectRatio="none",
        class_=class_,
        role="img",
        aria_label=f"Histogram from {low} to {high}",
    )


def _bin_titles(column: ColumnProfile) -> Iterator[str]:
    """Say what lies in each bin; of integers the first and the last that do."""
    bins = column.numbers.bins if column.numbers else ()
    for place, each in enumerate(bins):
        is_open = column.kind is Kind.INTEGER and place < len(bins) - 1
        high = each.high - 1 if is_open else each.high
        ends = [_value(column, end) for end in dict.fromkeys((each.low, high))]
        yield f"{' – '.join(ends)}: {wording.share(each.share, 1)}"


def _block(place: int, *, share: float, tallest: float, title: str) -> Markup:
    # What is rare stays visible.
    height = round(max(_HEIGHT * share / tallest, 1 if share else 0), 2)
    return element(
        "rect",
        element("title", title),
        x=place * _PITCH + 1,
        width=_PITCH - 2,
        y=_HEIGHT - height,
        height=height,
    )


def _top(column: ColumnProfile) -> Markup | None:
    present = column.cells - column.missing
    if not column.top or column.top[0][1] == 1:
        all_differ = column.distinct.exact and 0 < column.distinct.value == present
        return element("p", "Every value occurs once.", class_="note") if all_differ else None
    at_least = "≥ " if column.top_missed else ""
    return element(
        "table",
        element("caption", "Most frequent values"),
        *(
            element(
                "tr",
                element("th", foreign(value), scope="row"),
                element("td", _bar(count, present)),
                element("td", at_least + wording.number(count), class_="number"),
                element("td", wording.share(count, present), class_="number"),
            )
            for value, count in column.top
        ),
        class_="top",
    )


def _bar(part: float, whole: float) -> Markup:
    return element(
        "svg",
        element("rect", width=100, height=1, class_="track"),
        element("rect", width=round(100 * part / whole, 2) if whole else 0, height=1),
        viewBox="0 0 100 1",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )


def _badge(kind: Kind) -> Markup:
    return element("span", _KIND_NAMES.get(kind, kind.value), class_=f"badge {kind.value}")


def _distinct(column: ColumnProfile) -> str:
    count = column.distinct.value
    return wording.number(count) if column.distinct.exact else "≈ " + wording.rounded(count)


def _value(column: ColumnProfile, value: float) -> str:
    if column.kind is Kind.DATE:
        return wording.moment(as_moment(value), whole_day=column.whole_days)
    return wording.number(value)
