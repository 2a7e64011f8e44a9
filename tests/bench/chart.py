"""The picture of a run: bars on a scale of powers of ten, light and dark. Nothing here measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.bench.results import Result, Row

WIDTH = 980
LEFT = 420
RIGHT = 130
BAR = 22
STEP = 32
HEAD = 62
GAP = 26
SCALE = ", on a logarithmic scale"
FONT = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" font-size="15"'


@dataclass(frozen=True)
class Colours:
    """One scheme, in the colours of the project's other pictures."""

    paper: str
    ink: str
    faint: str
    line: str
    ours: str
    others: str


LIGHT = Colours("#f8fafc", "#0f172a", "#475569", "#cbd5e1", "#0284c7", "#fdba74")
DARK = Colours("#0f172a", "#e2e8f0", "#94a3b8", "#334155", "#38bdf8", "#9a5b23")


def chart(results: Sequence[Result], *, dark: bool) -> str:
    """An SVG with a panel for each result that has bars; empty if there is none."""
    shown = [result for result in results if result.bars]
    if not shown:
        return ""
    colours = DARK if dark else LIGHT
    parts, top = [], GAP
    for result in shown:
        rows = [row for row in result.rows if row.figures.get(result.bars)]
        parts.append(_panel(result, rows, top, colours))
        top += HEAD + STEP * len(rows) + GAP
    label = "; ".join(result.title for result in shown)
    size = f'viewBox="0 0 {WIDTH} {top}" {FONT} fill="{colours.ink}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"',
            f'aria-label="{escape(label)}">',
            f"<style>.s{{font-size:12.5px;fill:{colours.faint}}}</style>",
            f'<rect width="{WIDTH}" height="{top}" rx="14" fill="{colours.paper}"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _panel(result: Result, rows: Sequence[Row], top: int, colours: Colours) -> str:
    values = [row.figures[result.bars] for row in rows]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    decades = max(1, round(math.log10(high / low)))
    width = WIDTH - LEFT - RIGHT

    def at(value: float) -> float:
        return LEFT + width * math.log10(value / low) / decades

    bottom = top + HEAD + STEP * len(rows) - (STEP - BAR)
    lines = [
        f'<text x="24" y="{top + 14}" font-weight="600">{escape(result.title)}</text>',
        f'<text x="24" y="{top + 34}" class="s">{escape(result.unit)}{SCALE}</text>',
    ]
    for decade in range(decades + 1):
        x = at(low * 10**decade)
        lines.append(
            f'<path d="M{x:.1f} {top + HEAD - 8} V{bottom}" stroke="{colours.line}"/>'
            f'<text x="{x:.1f}" y="{top + HEAD - 13}" text-anchor="middle" class="s">'
            f"{low * 10**decade:,}</text>"
        )
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        lines.append(_bar(row, value, top + HEAD + STEP * number, at(value), colours))
    return "\n".join(lines)


def _bar(row: Row, value: float, y: int, end: float, colours: Colours) -> str:
    is_ours = row.form == "ours"
    form = "" if is_ours else f' <tspan class="s">{escape(row.form)}</tspan>'
    weight = ' font-weight="600"' if is_ours else ""
    return (
        f'<rect x="{LEFT}" y="{y}" width="{max(2, end - LEFT):.1f}" height="{BAR}" rx="4" '
        f'fill="{colours.ours if is_ours else colours.others}"/>'
        f'<text x="24" y="{y + 16}"{weight}>{escape(row.name)}{form}</text>'
        f'<text x="{end + 8:.1f}" y="{y + 16}"{weight}>{value:,.0f}</text>'
    )
