"""Has a node catch up after each gap, and repair the holes in what it hears."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import structlog

from progress_ws.broker.seam import LinkLost, NoStream, Recall, Recalled, Take
from progress_ws.core.backoff import Backoff
from progress_ws.core.cluster import Cluster
from progress_ws.core.intake import Intake
from progress_ws.core.memory import Memory
from progress_ws.core.recall import Catchup, Repair
from progress_ws.node.heartbeat import Pulse
from progress_ws.node.ticks import IDLE_S, TICK_S, tick

log = structlog.get_logger(__name__)

SETTLE_TIMEOUT_S = 3.0
"""Browsers may connect while the broker is away, too: then they are served without what it has."""
SLACK_S = 10.0
"""How much further back than a gap the reading begins."""
READ_TIMEOUT_S = 60.0
GIVE_UP_AFTER_S = 6.0
"""If the stream cannot be read by then, a node goes on without what it missed, and tells its
browsers: they have waited for what comes live meanwhile."""
REPAIR_BACK_S = 30.0
"""So far back at least: further, the longer a hole has been open and the node is behind."""
REPAIR_TIMEOUT_S = 10.0
REPAIR_INTERVAL_S = 1.0
"""Repairs are joined, so that a flood of strange publishers costs nothing but itself."""


class Recovery:
    """The owner of every reading of the stream.

    Attributes:
        catch_ups: how often the node caught up: with everything, or without what it missed.
        repairs: how often holes were repaired.
    """

    def __init__(
        self,
        recall: Recall | None,
        intake: Intake,
        memory: Memory,
        cluster: Cluster,
        pulse: Pulse,
        *,
        depth_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`recall` is None where there is no stream; `depth_s`: how far back history goes."""
        self._recall = recall
        self._intake = intake
        self._memory = memory
        self._cluster = cluster
        self._pulse = pulse
        self._depth_s = depth_s
        self._clock = clock
        self._heard_s: float | None = None
        self._catchup: Catchup | None = None
        self._wake, self._settled = asyncio.Event(), asyncio.Event()
        memory.holes.on_open = self._wake.set
        self._next_repair_s = 0.0
        self._told: str | None = None
        self.catch_ups: Counter[str] = Counter(whole=0, partial=0)
        self.repairs = 0

    def subscribed(self) -> None:
        """There is a new subscription; what was published before it may have been missed."""
        if self._recall is not None:
            self._catchup = Catchup(
                self._intake, self._memory, clock=self._clock, latest_beat=lambda: self._pulse.beat
            )
            self._settled.clear()
            self._wake.set()
            return
        if self._heard_s is None:
            self._memory.begins()
            self._heard_s = self._clock()
        else:
            self._memory.missed()
        self._settled.set()

    async def let_settle(self, *, resumes: bool) -> None:
        """Have a browser wait until the node is current, if it is so soon.

        A moment later the node may know what it has not heard of yet. Once it has begun, only who
        `resumes` has to wait.
        """
        if resumes or not self._memory.has_begun:
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_TIMEOUT_S):
                    await self._settled.wait()

    async def run(self) -> None:
        """Read whenever something is missing, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S if self._memory.holes else None):
                        await self._wake.wait()
                self._wake.clear()
                while self._catchup is not None:
                    await self._catch_up(self._catchup)
                    self._settled.set()
                now_s = self._clock()
                if now_s >= self._next_repair_s and self._memory.holes.due(now_s):
                    await self._repair()

    async def _watch(self) -> None:
        """Let go of what has waited or been kept for too long."""
        while True:
            await tick(TICK_S if self._memory.holes else IDLE_S)
            self._memory.history.expire()
            if self._catchup is not None:
                continue  # it will find what is missing
            self._memory.let_go_overdue()
            if self._cluster.heard_until_s is not None:
                self._heard_s = self._cluster.heard_until_s

    async def _catch_up(self, catchup: Catchup) -> None:
        """Read until this node's own heartbeat; try again until it is too late."""
        backoff = Backoff(first_s=0.1, cap_s=1.0)
        deadline_s = self._clock() + GIVE_UP_AFTER_S
        while self._catchup is catchup:
            trouble = await self._read_missed(catchup)
            if trouble is None or self._catchup is not catchup:
                return
            if isinstance(trouble, NoStream) or self._clock() > deadline_s:
                self._tell(trouble)
                self._memory.watches_holes = False
                catchup.give_up()
                self.catch_ups["partial"] += 1
                self._catchup = None
            else:
                await asyncio.sleep(backoff.next_s())

    async def _read_missed(self, catchup: Catchup) -> LinkLost | None:
        assert self._recall is not None
        began_s = self._clock()
        gap_s = self._behind_s(began_s)
        wanted_s = max(gap_s, self._memory.holes.oldest_s(began_s)) + SLACK_S
        if self._heard_s is None:
            wanted_s = self._depth_s

        def take(recalled: Recalled) -> bool:
            # Another subscription may have come, with a catch-up of its own.
            return self._catchup is not catchup or catchup.take(
                recalled.delivery, recalled.age_s, began_s
            )

        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                since_s = min(wanted_s, self._depth_s)
                covered_s = await self._recall(since_s=since_s, take=_guarded(take))
        except TimeoutError:
            return LinkLost(f"the history was not read within {READ_TIMEOUT_S:g} s")
        except LinkLost as exc:
            return exc
        self._tell_well()
        if self._catchup is catchup:
            self._catchup = None
            self._memory.watches_holes = True
            catchup.finish(began_s - covered_s)
            if covered_s < gap_s:
                self._memory.missed()
            self.catch_ups["whole" if covered_s >= gap_s else "partial"] += 1
        return None

    async def _repair(self) -> None:
        """Look for the missing numbers; leave their holes open if the stream cannot be read."""
        assert self._recall is not None
        memory, publishers = self._memory, self._memory.holes.publishers()
        repair = Repair(self._intake, memory, publishers=publishers, beyond_beat=self._pulse.beat)
        self._pulse.nudge()
        now_s = self._clock()
        self._next_repair_s = now_s + REPAIR_INTERVAL_S
        wanted_s = memory.holes.oldest_s(now_s) + self._behind_s(now_s) + SLACK_S
        since_s = max(REPAIR_BACK_S, min(wanted_s, self._depth_s))

        def take(recalled: Recalled) -> bool:
            return self._catchup is not None or repair.take(recalled.delivery)

        try:
            async with asyncio.timeout(REPAIR_TIMEOUT_S):
                await self._recall(since_s=since_s, take=_guarded(take))
        except (LinkLost, TimeoutError) as exc:
            self._tell(exc)
            if memory.holes.oldest_s(self._clock()) > READ_TIMEOUT_S:
                memory.missed()
                repair.finish()
        else:
            self._tell_well()
            if self._catchup is None:  # else that will find what is missing, and more
                repair.finish()
                self.repairs += 1

    def _behind_s(self, now_s: float) -> float:
        """Return for how long it is not known that everything has come."""
        return 0.0 if self._heard_s is None else now_s - self._heard_s

    def _tell_well(self) -> None:
        """Say that it can be read again; should it end once more, that is news."""
        if self._told is not None:
            self._told = None
            log.info("the history on the broker can be read again")

    def _tell(self, trouble: Exception) -> None:
        """Say once why history cannot be read."""
        reason = str(trouble) or type(trouble).__name__
        if reason != self._told:
            self._told = reason
            log.warning("working without the history on the broker", reason=reason)


def _guarded(take: Take) -> Take:
    """Let no bug of ours with one message stop a node at every start."""

    def guarded(recalled: Recalled) -> bool:
        try:
            return take(recalled)
        except Exception:
            log.exception("recalled delivery failed", offset=recalled.offset)
            return False

    return guarded
