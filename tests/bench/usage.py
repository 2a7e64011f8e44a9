"""What processes have used: CPU and memory, by their groups."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

QUIET_S, QUIET_CORES, QUIET_AT_MOST_S = 0.3, 0.15, 10.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GROUP, _USER, _SYSTEM, _RESIDENT = 2, 11, 12, 21
"""Places in /proc/PID/stat, counted behind the command's name."""


def cpu_s(groups: Iterable[int]) -> float:
    """Seconds of CPU, user's and system's, of all living processes of these process groups."""
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for stat in _stats(groups)) * _TICK_S


def machine_cpu_s() -> float:
    """Seconds of CPU of everything on this machine since its start, idle time left out."""
    user, nice, system, _idle, _waiting, *others = _first_line("/proc/stat")
    interrupts, soft_interrupts, stolen = others[:3]
    return (user + nice + system + interrupts + soft_interrupts + stolen) * _TICK_S


def await_quiet() -> None:
    """Wait until this machine is nearly at rest, or for as long as it may take."""
    deadline = time.monotonic() + QUIET_AT_MOST_S
    used, at = machine_cpu_s(), time.monotonic()
    while at < deadline:
        time.sleep(QUIET_S)
        before_s, before, used, at = used, at, machine_cpu_s(), time.monotonic()
        if used - before_s < QUIET_CORES * (at - before):
            return


def _first_line(path: str) -> list[int]:
    with open(path) as file:
        return [int(each) for each in file.readline().split()[1:]]


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
