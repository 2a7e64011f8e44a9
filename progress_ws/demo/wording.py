"""Numbers, sizes and times as people write them."""

from datetime import datetime
from math import isfinite


def number(value: float) -> str:
    """Write a number with thousands parted and not more digits than matter."""
    if isinstance(value, int):
        return f"{value:,}"
    if not isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.3g}"
    decimals = 0 if size >= 10_000 else 2 if size >= 1 else 4
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(count: int) -> str:
    """Write an estimated count with the three digits that may be right."""
    surplus = max(0, len(str(count)) - 3)
    return f"{round(count, -surplus):,}"


def share(part: float, whole: float) -> str:
    """Write a share in per cent, never as 0 % or 100 % when it is not quite."""
    if not part or not whole:
        return "0 %"
    per_cent = 100 * part / whole
    if per_cent < 0.1:
        return "< 0.1 %"
    if 99.9 < per_cent < 100:
        return "> 99.9 %"
    decimals = 0 if 10 <= per_cent < 99.5 or per_cent == 100 else 1
    return f"{per_cent:.{decimals}f} %"


def size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.{0 if unit == 'B' or count >= 99.5 else 1}f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Write a span of time."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(when: datetime, *, whole_day: bool) -> str:
    """Write a date, with its time of day if that matters."""
    return when.isoformat(sep=" ", timespec="minutes")[: 10 if whole_day else 16]


def counted(count: int, noun: str) -> str:
    """Write "1 row", "2 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
