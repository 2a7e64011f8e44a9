"""Reading back what crossed the exchange: the stream, from some time ago, in its own order."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from progress_ws.broker import tolerance
from progress_ws.broker.bulk import Delivered
from progress_ws.broker.connection import connect
from progress_ws.broker.consumers import Consumer
from progress_ws.broker.seam import LinkLost, NoStream, Recalled, Take
from progress_ws.broker.topology import (
    Names,
    another_kind,
    await_history,
    declare_history,
    missing_rights,
)

OPEN_TIMEOUT_S = 10.0
KEEP_BYTES = 1024 * 1024 * 1024
"""What the broker keeps, at the most, on its disk."""
SILENCE_S = 10.0
"""Nodes send heartbeats through the exchange every 2 s: a stream is never silent for so long."""
PREFETCH = 10_000
MARKS = 8
MARKS_WAIT_S = 0.5


async def recall(
    url: str,
    names: Names,
    *,
    name: str,
    since_s: float,
    take: Take,
    keep_s: float | None = None,
    plain: bool = False,
) -> float:
    """Call `take` with every message from `since_s` seconds ago on, until it returns True.

    On a connection of its own, which the management UI shows under `name`. With `keep_s` a stream
    that is missing is made, to keep messages for so many seconds. `plain`: see `Consumer`.

    Returns:
        from how many seconds ago on everything was there: less than asked for where the stream had
        to forget it for want of room; inf: from its very beginning.

    Raises:
        NoStream: there is none, or it may not be read.
        LinkLost: the connection was lost or the broker fell silent before `take` had enough.
    """
    tolerance.install()
    reading = _Reading(take, since_s=since_s, plain=plain)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                opened = connect(url, name=name, transport_factory=reading.consumer.tap)
                connection = await stack.enter_async_context(opened)
                if keep_s is not None:
                    await declare_history(
                        connection, names, max_age_s=math.ceil(keep_s), max_bytes=KEEP_BYTES
                    )
                elif not await await_history(connection, names):
                    raise NoStream(
                        f"there is no stream {names.history!r}: start a node that may declare it"
                    )
                await reading.start(connection, names)
        except TimeoutError as exc:
            detail = f"RabbitMQ does not let the stream be read within {OPEN_TIMEOUT_S:g} s"
            raise LinkLost(detail) from exc
        return await reading.finish()


class _Reading:
    """One consumer from some time ago, and some that only mark where younger messages begin."""

    def __init__(self, take: Take, *, since_s: float, plain: bool) -> None:
        self.consumer = Consumer(self._on_delivered, plain=plain)
        self._take = take
        self._marks = _Marks(since_s)
        self._first: int | None = None

    async def start(self, connection: AbstractConnection, names: Names) -> None:
        try:
            await self._marks.read(connection, names)
            await self.consumer.open(connection, prefetch=PREFETCH)
            await self.consumer.start(
                names.history, arguments={"x-stream-offset": self._marks.begin}
            )
        except ChannelAccessRefused as exc:
            raise NoStream(missing_rights(names, exc)) from exc
        except ChannelPreconditionFailed as exc:
            if "x-stream-offset" in str(exc):  # which queues of other kinds do not take
                raise NoStream(another_kind(names, exc)) from exc
            raise

    async def finish(self) -> float:
        """Return when `take` has enough; what ends it earlier is raised. See `recall`."""
        loop, ended = asyncio.get_running_loop(), self.consumer.ended
        while not ended.done():
            await asyncio.wait([ended], timeout=SILENCE_S / 10)
            if loop.time() - self.consumer.heard_at > SILENCE_S and not ended.done():
                self.consumer.end(None)
                raise LinkLost(f"RabbitMQ fell silent: nothing came for {SILENCE_S:g} s")
        ended.result()
        assert self._first is not None
        return self._marks.covered_s(self._first)

    def _on_delivered(self, delivered: list[Delivered]) -> None:
        if self._first is None:
            self._first = delivered[0].offset
        ages = self._marks.ages(delivered)
        for (delivery, offset, _), age_s in zip(delivered, ages, strict=True):
            if self._take(Recalled(delivery, offset, age_s)):
                self.consumer.end(None)
                return


class _Marks:
    """Which offsets are certainly younger than a fraction of the time that is read back.

    A consumer that asks for an interval begins with the first chunk that was written within it, so
    its first offset, and every one after it, is at most that old. The one that reads does too. One
    more asks for the very first chunk, and tells whether there is anything older.
    """

    def __init__(self, since_s: float) -> None:
        self._whole = math.inf if math.isinf(since_s) else math.ceil(max(since_s, 1))
        self._marks: list[tuple[float, int]] = []  # from the youngest, and its first offset
        self._oldest: int | None = None

    @property
    def begin(self) -> str:
        """From where to read, as the broker has it."""
        return _spec(self._whole)

    async def read(self, connection: AbstractConnection, names: Names) -> None:
        """Find the marks; what is missing shortly after is what nothing so young is there for."""
        steps = range(1, MARKS) if math.isfinite(self._whole) else ()
        intervals = {float(math.ceil(self._whole * step / MARKS)) for step in steps}
        intervals = intervals - {self._whole} | {math.inf}
        found = [asyncio.get_running_loop().create_future() for _ in intervals]
        await asyncio.gather(
            *(
                self._open_mark(connection, names, interval, future)
                for interval, future in zip(sorted(intervals), found, strict=True)
            )
        )
        await asyncio.wait(found, timeout=MARKS_WAIT_S)

    def covered_s(self, first: int) -> float:
        """Return from how many seconds ago on everything is read by who began at this offset."""
        if self._oldest is None or first > self._oldest:
            return self._whole
        if first == 0:
            return math.inf
        return max((age_s for age_s, mark in self._marks if mark > first), default=0.0)

    async def _open_mark(
        self,
        connection: AbstractConnection,
        names: Names,
        interval_s: float,
        found: "asyncio.Future[None]",
    ) -> None:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=1)
        underlay = await channel.get_underlay_channel()

        async def on_first(message: DeliveredMessage) -> None:
            headers = message.header.properties.headers or {}
            offset = headers.get("x-stream-offset")
            if isinstance(offset, int) and math.isinf(interval_s):
                self._oldest = offset
            elif isinstance(offset, int):
                self._marks = sorted([*self._marks, (interval_s, offset)])
            if not found.done():
                found.set_result(None)

        await underlay.basic_consume(
            names.history, on_first, arguments={"x-stream-offset": _spec(interval_s)}
        )

    def ages(self, delivered: Sequence[Delivered]) -> list[float]:
        """Return an upper bound of each one's age when the reading began."""
        first, last = self._age(delivered[0].offset), self._age(delivered[-1].offset)
        if first == last:  # offsets rise: nearly always
            return [first] * len(delivered)
        return [self._age(each.offset) for each in delivered]

    def _age(self, offset: int) -> float:
        for interval_s, mark in self._marks:
            if offset >= mark:
                return interval_s
        return self._whole


def _spec(age_s: float) -> str:
    return "first" if math.isinf(age_s) else f"{age_s:.0f}s"
