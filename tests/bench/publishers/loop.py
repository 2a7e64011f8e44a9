"""The event loop of the programs that are tuned."""

from collections.abc import Coroutine

import uvloop


def run(main: Coroutine[object, object, None]) -> None:
    """Run on uvloop."""
    uvloop.run(main)
