"""The table, JSON and chart out of what was found. Nothing here measures, starts or waits."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench.chart import chart
from tests.bench.results import Goal, Result, Row

DIGITS = 3
COLUMNS = {
    "per_s": "a second",
    "nodes_us": "nodes µs",
    "broker_us": "broker µs",
    "publisher_us": "publisher µs",
    "client_us": "client µs",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "max_ms": "max ms",
}
"""Heads of the columns that most tables have; others stand under their own names."""
HIDDEN = {
    "seconds",
    "deliveries",
    "missing",
    "extra",
    "wrong",
    "disordered",
    "lost_connections",
    "others_cores",
}
QUIET_CORES = 0.1
"""A machine that is busier with other things than this is no place to measure."""


@dataclass(frozen=True)
class Report:
    """Everything of one run.

    Attributes:
        seconds: how long it took.
    """

    results: Sequence[Result]
    machine: dict[str, str]
    versions: dict[str, str]
    quick: bool
    seconds: float


def table(report: Report) -> str:
    """The whole run as Markdown that can be read as it is."""
    parts = [_head(report)]
    parts += [_result(result) for result in report.results]
    parts.append(_goals(report.results))
    return "\n\n".join(parts)


def save(report: Report, folder: Path) -> None:
    """Write table, JSON and the chart in both colour schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.md").write_text(table(report) + "\n")
    (folder / "bench.json").write_text(json.dumps(as_json(report), indent=1, ensure_ascii=False))
    for dark, name in ((False, "bench.svg"), (True, "bench-dark.svg")):
        if picture := chart(report.results, dark=dark):
            (folder / name).write_text(picture)


def as_json(report: Report) -> dict[str, object]:
    """All values, and of each goal whether it is reached."""
    value = asdict(report)
    for result, found in zip(value["results"], report.results, strict=True):
        for goal, each in zip(result["goals"], found.goals, strict=True):
            goal["reached"] = each.reached
    return value


def figure(value: float) -> str:
    """A number with three digits that count: 84,500; 8.41; 0.62."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        whole = len(str(int(size)))
        return f"{round(value, DIGITS - whole):,.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 0.1 else 3}f}"


def _head(report: Report) -> str:
    how = "A glance: few rounds, few messages" if report.quick else "Medians of all rounds"
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    told = f"{how}; {report.seconds:.0f} s.\n{machine}.\n{versions}."
    others = [
        row.figures["others_cores"]
        for result in report.results
        for row in result.rows
        if "others_cores" in row.figures
    ]
    if others and (typical := median(others)) > QUIET_CORES:
        told += f"\nThe machine was busy: other programs used {figure(typical)} cores meanwhile."
    return told


def _result(result: Result) -> str:
    lines = [f"## {result.title}", ""]
    columns = [name for row in result.rows for name in row.figures if name not in HIDDEN]
    columns = list(dict.fromkeys(columns))
    if result.rows:
        first = result.rows[0].figures.get(result.bars) if result.bars else None
        heads = ["", "form", *(COLUMNS.get(name, name) for name in columns)]
        if first:
            heads.append("ours is ×")
        lines += _grid(heads, [_cells(row, columns, result.bars, first) for row in result.rows])
    if result.failed:
        lines.append(f"It failed: {result.failed}")
    lines += [f"- {note}" for note in result.notes]
    return "\n".join(lines)


def _cells(row: Row, columns: Sequence[str], bars: str, first: float | None) -> list[str]:
    cells = [row.name, row.form]
    cells += [figure(row.figures[name]) if name in row.figures else "–" for name in columns]
    if first:
        own = row.figures.get(bars)
        cells.append(figure(first / own) if own else "–")
    return cells


def _goals(results: Sequence[Result]) -> str:
    rows = [
        [result.name, goal.what, _measured(goal), _bound(goal), "yes" if goal.reached else "no"]
        for result in results
        for goal in result.goals
    ]
    if not rows:
        return ""
    heads = ["scenario", "figure", "measured", "goal", "reached"]
    return "\n".join(["## Goals", "", *_grid(heads, rows)])


def _measured(goal: Goal) -> str:
    return f"{figure(goal.value)} {goal.unit}".strip()


def _bound(goal: Goal) -> str:
    return f"{'≥' if goal.at_least else '≤'} {figure(goal.bound)} {goal.unit}".strip()


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, its columns as wide as they must be; all but the words to the right."""
    widths = [max(len(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
    words = [not all(_NUMBER.fullmatch(row[n]) for row in rows) for n in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(cells, widths, words, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rules = [
        "-" * (width + 1) + ("-" if is_word else ":")
        for width, is_word in zip(widths, words, strict=True)
    ]
    return [line(heads), f"|{'|'.join(rules)}|", *map(line, rows)]


_NUMBER = re.compile(r"[≥≤]? ?[\d,.]+( \S+)?|–")
