"""What the garbage collector looks at: only what is young.

A full collection stops a node for as long as it takes to look at everything that lives, some 30 ms
for each thousand connections. There is next to nothing for it to find: whatever closes here is
freed at once, without it. So what has lived for a second is put where the collector does not look
(https://docs.python.org/3/library/gc.html#gc.freeze). Now and then it looks everywhere, for what
libraries leave behind: the AMQP library some 100 KiB with each connection that was lost.
"""

import asyncio
import gc

from progress_ws.broker.connection import Tally
from progress_ws.node.ticks import tick

FREEZE_EVERY_S = 1.0
COLLECT_EVERY_S = 3600.0
COLLECT_AFTER = 100
"""New connections to the broker: it may be refusing or dropping them all night."""
NEVER = 1_000_000


async def spare_the_old() -> None:
    """Do so until cancelled; for a process that serves nodes and nothing else."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], NEVER)
    loop = asyncio.get_running_loop()
    try:
        while True:
            gc.unfreeze()
            gc.collect()
            collected_at, begun = loop.time(), Tally.begun
            while (
                loop.time() - collected_at < COLLECT_EVERY_S and Tally.begun - begun < COLLECT_AFTER
            ):
                gc.collect(1)
                gc.freeze()
                await tick(FREEZE_EVERY_S)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
