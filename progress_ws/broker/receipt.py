"""What a caller who waits for several messages is told, and when."""

import asyncio

from progress_ws.errors import ProgressError


class Receipt:
    """Gathers what becomes of the messages of one call.

    Attributes:
        ids: the ids that they got, in their order, or the first error.
    """

    def __init__(self, count: int) -> None:
        self.ids: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._ids = [""] * count
        self._missing = count
        if not count:
            self.ids.set_result([])

    @property
    def complete(self) -> bool:
        """Whether all are confirmed."""
        return not self._missing

    def settle(self, index: int, outcome: str | ProgressError) -> None:
        """Note the id of one of them, or what it failed of."""
        if isinstance(outcome, str):
            self._ids[index] = outcome
            self._missing -= 1
            if not self._missing and not self.ids.done():
                self.ids.set_result(self._ids)
        elif not self.ids.done():
            self.ids.set_exception(outcome)
