"""How late the event loop runs: the first thing to look at when a node seems slow."""

import asyncio

INTERVAL_S = 0.25


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
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self._worst_s = max(self._worst_s, loop.time() - due_s)
