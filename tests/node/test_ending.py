"""What runs as long as a node ends with it, whatever else happens in that turn of the loop."""

import asyncio

from progress_ws.node.parts import build
from progress_ws.node.settings import Settings


async def test_a_heartbeat_that_is_nudged_while_it_ends_does_end() -> None:
    pulse = build(Settings(node="a")).pulse
    beating = asyncio.create_task(pulse.run())
    await asyncio.sleep(0.01)  # now it waits for its next beat
    pulse.nudge()
    beating.cancel()
    done, _ = await asyncio.wait([beating], timeout=5)
    assert done
    assert beating.cancelled()
