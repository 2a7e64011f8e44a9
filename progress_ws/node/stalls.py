"""Has the browsers told of publishers that fell silent."""

from progress_ws.core.intake import Intake
from progress_ws.core.memory import Memory
from progress_ws.node.heartbeat import Pulse
from progress_ws.node.ticks import IDLE_S, TICK_S, tick


async def watch_silence(memory: Memory, intake: Intake, pulse: Pulse) -> None:
    """Look for broken promises until cancelled; a heartbeat at once proves that this node hears."""
    while True:
        await tick(TICK_S if len(memory.silence) else IDLE_S)
        memory.tell_stalled(sent=pulse.beat, heard=intake.own_beat)
        if memory.silence.needs_proof:
            pulse.nudge()
