"""The contract between a node or a publisher and what carries its messages.

Two implementations of both halves: RabbitMQ (`feed.py`, `link.py`) and a plain call inside one
process (`embedded.py`); a link to a node's HTTP API is in `publish/http.py`.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from progress_ws.core.batch import Batch
from progress_ws.core.intake import Delivery

Deliver = Callable[[Delivery], None]
"""Takes one delivery, at once, and never raises."""


OnSubscribed = Callable[[], None]


def ignore() -> None:
    """For whoever minds no gap."""


NOT_YET = "not connected yet"
"""The trouble of whoever has not made its first attempt yet: no news."""


def is_ending() -> bool:
    """Tell whether the current task has been cancelled.

    Before Python 3.13 a task group that is cancelled in the moment in which a child fails raises
    the failure only; whoever goes on after a failure must ask.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class LinkLost(Exception):
    """The way to the broker is gone or could not be had; trying again is the cure."""


class LinkRefused(LinkLost):
    """The other side said no: a wrong password, a missing right. Somebody has to mend something.

    It is tried again all the same, since the mend may be on the other side, but nobody who waits
    is kept waiting.
    """


class NoVhost(LinkRefused):
    """The virtual host does not exist, or is none of this user's."""


class NoStream(LinkLost):
    """There is no history to read, and trying again will not bring it: the text says the mend."""


def first_loss(group: BaseExceptionGroup[LinkLost]) -> LinkLost:
    """Return the one loss that says most: of several tasks that failed together the first."""
    for exc in group.exceptions:
        return first_loss(exc) if isinstance(exc, BaseExceptionGroup) else exc
    raise AssertionError("an exception group is never empty")


class Unroutable(LinkLost):
    """The broker has no queue to put the message into: nobody is there to hear it."""


OnCancel = Callable[[str, str], bool]
"""Takes a wish to stop for a sid and a key, at once; tells whether anybody here listens to it."""


class Feed(Protocol):
    """What brings everything that is published to this node."""

    @property
    def trouble(self) -> str | None:
        """Why nothing arrives at the moment; None while subscribed."""

    @property
    def reconnects(self) -> int:
        """How often the subscription was lost and had to be made anew."""

    @property
    def last_loss(self) -> str:
        """Why it was, the last time; empty: it never was."""

    async def run(self, deliver: Deliver, *, on_subscribed: OnSubscribed = ignore) -> None:
        """Call `deliver` with every delivery, in order, until cancelled.

        `on_subscribed` is called for each new subscription, before the first delivery that comes
        through it: what is published from then on is delivered, and before it something may not
        have been.
        """

    def resubscribe(self, reason: str) -> None:
        """Start over with a new subscription: this one is known to be deaf."""


class Link(Protocol):
    """One connection that messages go out on. Any failure of it raises `LinkLost`."""

    @property
    def trouble(self) -> str | None:
        """Why nothing is taken at the moment though the connection lives; None: nothing known."""

    async def put(self, batch: Batch) -> list[str]:
        """Send a batch; return the ids of its messages once they are confirmed ("" for none).

        The id of what was given up may be empty: that a link has nothing to say proves nothing.

        Raises:
            LinkLost: it is unknown whether the batch arrived.
            InvalidMessage: the other side will never take this batch.
        """

    async def announce(self, type: str, body: bytes) -> None:
        """Send a message of the node's own, unnumbered; return once it is confirmed."""

    async def listen(self, publisher: str, on_cancel: OnCancel) -> None:
        """Call `on_cancel` with what browsers ask of this publisher, until the link ends.

        Raises:
            LinkRefused: it cannot be listened here; publishing goes on.
        """

    async def ask(self, type: str, body: bytes, *, to: str) -> None:
        """Send a request to one publisher; return once it is confirmed.

        Raises:
            Unroutable: nobody listens under this name.
        """

    async def lost(self) -> None:
        """Wait until the connection ends, and raise `LinkLost`."""


class Recalled(NamedTuple):
    """A delivery that was read from the stream.

    Attributes:
        delivery: as it stands there.
        offset: its place in the stream, the same for all readers.
        age_s: how many seconds old it was, at the most, when the reading began; inf: not known.
    """

    delivery: Delivery
    offset: int
    age_s: float


Take = Callable[[Recalled], bool]
"""Takes one of them, and tells whether it was enough."""


class Recall(Protocol):
    """Reads the memory of the cluster, from so many seconds ago (inf: from its beginning)."""

    async def __call__(self, *, since_s: float, take: Take) -> float:
        """Call `take` with every delivery, in order, until it returns true.

        Returns:
            from how many seconds ago on everything was there; inf: from the very beginning.

        Raises:
            LinkLost: the connection was lost, or could not be had.
            NoStream: there is nothing to read.
        """


OpenLink = Callable[[], AbstractAsyncContextManager[Link]]
"""Opens one link; leaving the context closes it. Raises `LinkLost` when it cannot be had."""
