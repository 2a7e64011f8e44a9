"""Has the browsers told of publishers that fell silent."""

import asyncio

from progress_ws.core.intake import Intake
from progress_ws.core.memory import Memory
from progress_ws.node.heartbeat import Pulse

TICK_S = 0.1


async def watch_silence(memory: Memory, intake: Intake, pulse: Pulse) -> None:
    """Look for broken promises until cancelled; a heartbeat at once proves that this node hears."""
    while True:
        await asyncio.sleep(TICK_S)
        memory.tell_stalled(sent=pulse.beat, heard=intake.own_beat)
        if memory.silence.needs_proof:
            pulse.nudge()
