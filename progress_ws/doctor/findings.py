"""What a check found: all well, a problem with its mend, or nothing, and why."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    UNCHECKED = "not checked"


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        check: what was looked at, in a word.
        text: what was found, or why nothing could be.
        mend: what to do about it, in a sentence; of problems only.
    """

    check: str
    state: State
    text: str
    mend: str | None = None


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, State.OK, text)


def problem(check: str, text: str, mend: str) -> Finding:
    """Something is wrong."""
    return Finding(check, State.PROBLEM, text, mend)


def unchecked(check: str, why: str) -> Finding:
    """It could not be looked at, or there is nothing to look at."""
    return Finding(check, State.UNCHECKED, why)


def told(check: str, exc: Exception) -> Finding:
    """Make a problem of one of our errors, whose texts say what is wrong, a colon, and the mend."""
    text, _, mend = str(exc).partition(": ")
    return problem(check, text, mend or "look into the log of the broker and of the nodes")
