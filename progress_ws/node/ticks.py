"""When a node looks around: at moments that its chores share, and seldom while there is nothing.

Each time that an idle process is woken costs it more than what it does then.
"""

import asyncio

TICK_S = 0.1
"""While something waits for its time."""
IDLE_S = 0.5


async def tick(every_s: float) -> float:
    """Sleep until the loop's clock comes to a multiple of that; by how many seconds it was late."""
    clock = asyncio.get_running_loop().time
    due_s = (clock() // every_s + 1) * every_s
    await asyncio.sleep(due_s - clock())
    return clock() - due_s
