"""What processes have used: CPU and memory, by their groups."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GROUP, _USER, _SYSTEM, _RESIDENT = 2, 11, 12, 21
"""Places in /proc/PID/stat, counted behind the command's name."""


def cpu_s(groups: Iterable[int]) -> float:
    """Seconds of CPU, user's and system's, of all living processes of these process groups."""
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for stat in _stats(groups)) * _TICK_S


def resident_bytes(groups: Iterable[int]) -> int:
    """Resident memory of all processes of these groups."""
    return sum(int(stat[_RESIDENT]) for stat in _stats(groups)) * _PAGE


def _stats(groups: Iterable[int]) -> list[list[str]]:
    wanted = set(groups)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(stat[_GROUP]) in wanted:
                found.append(stat)
    return found
