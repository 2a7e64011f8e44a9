"""How many files a test may open, sockets included."""

import resource

import pytest


def allow_files(needed: int) -> None:
    """Allow as many as possible, to this process and what it will start; skip if too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} open files are needed, {hard} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
