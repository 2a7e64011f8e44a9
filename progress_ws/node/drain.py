"""A graceful end: browsers are sent away one by one, so that they do not come back all at once."""

import asyncio
import random
from contextlib import suppress

import structlog

from progress_ws.core.frames import CloseCode
from progress_ws.node.online import Sockets

log = structlog.get_logger(__name__)

TICK_S = 0.05
GRACE_S = 2.0
"""For the last browsers to answer their close frame; who stalls is cut off then."""
CUT_S = 1.0


async def drain(sockets: Sockets, *, over_s: float, hurry: asyncio.Event) -> None:
    """Take no new sockets, close the open ones with 1012.

    Args:
        sockets: of this node.
        over_s: seconds over which the closes are spread.
        hurry: set by whoever does not want to wait: all the rest at once.
    """
    sockets.draining = True
    leaving = list(sockets)
    random.shuffle(leaving)
    log.info("draining", connections=len(leaving), over_s=over_s)
    loop = asyncio.get_running_loop()
    started_s, count = loop.time(), len(leaving)
    while leaving and len(sockets):
        elapsed_s = loop.time() - started_s
        is_time = hurry.is_set() or elapsed_s >= over_s
        due = count if is_time else int(count * elapsed_s / over_s) + 1
        while leaving and count - len(leaving) < due:
            leaving.pop().end(CloseCode.RESTARTING, "node restarting")
        if leaving:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await hurry.wait()
    for wait_s in (GRACE_S, CUT_S):
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await sockets.empty.wait()
        for socket in sockets:
            socket.cut()
