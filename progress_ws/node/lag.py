"""How late the event loop runs: the first thing to look at when a node seems slow."""

from progress_ws.node.ticks import IDLE_S, tick


class Lag:
    """Measures how much later than asked for a sleep ends."""

    def __init__(self) -> None:
        self._worst_s = 0.0

    def worst(self) -> float:
        """Return the worst lag in seconds since this was last asked."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return worst_s

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            self._worst_s = max(self._worst_s, await tick(IDLE_S))
