"""How far back the stream is read: far enough, however far the node is behind."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from math import inf
from typing import Any

import pytest
from structlog.testing import capture_logs

from progress_ws.broker.seam import LinkLost, NoStream, Recalled, Take
from progress_ws.core import codec
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import HEARTBEAT, Delivery, Intake
from progress_ws.core.memory import Memory
from progress_ws.node.recovery import REPAIR_BACK_S, Recovery
from tests.support.waiting import eventually

SID = "a-sid-of-this-test-0001"
ME = "this-node"


class Exchange:
    """A node's parts, and a stream that has whatever is published; hours pass as the test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.stream: list[tuple[float, Delivery]] = []
        self.read_back_s: list[float] = []
        self.seq = self.beat = 0
        self.trouble: LinkLost | None = None
        history = History(max_age_s=300, max_bytes=2**20, clock=self.now_s)
        self.memory = Memory(history, Hub(), clock=self.now_s)
        self.cluster = Cluster(instance=ME, clock=self.now_s)
        self.intake = Intake(
            self.memory,
            self.cluster,
            Cancels(self.memory, self.cluster, clock=self.now_s),
            max_message_bytes=65_536,
            on_reject=lambda *_: None,
            wall_clock=time.time,
        )
        self.recovery = Recovery(
            self.recall,
            self.intake,
            self.memory,
            self.cluster,
            self,  # type: ignore[arg-type]  # of a pulse it takes `beat` and `nudge`
            depth_s=360,
            clock=self.now_s,
        )

    def now_s(self) -> float:
        return time.monotonic() + self.ahead_s

    def nudge(self) -> None:
        self.send_beat()

    def send_beat(self) -> Delivery:
        self.beat += 1
        self.cluster.sent(self.beat)
        own = Heartbeat(
            node="n", instance=ME, version="1", connections=0, sessions=0, beat=self.beat
        )
        return self._publish(Delivery(codec.encode(own), HEARTBEAT))

    def send(self) -> Delivery:
        self.seq += 1
        text = f'{{"sid":"{SID}","message":1,"id":"p-{self.seq}","ts":1.5}}'
        return self._publish(Delivery(text.encode()))

    def _publish(self, delivery: Delivery) -> Delivery:
        self.stream.append((self.now_s(), delivery))
        return delivery

    async def recall(self, *, since_s: float, take: Take) -> float:
        if self.trouble is not None:
            raise self.trouble
        begin_s = self.now_s() - since_s
        self.read_back_s.append(since_s)
        for at_s, delivery in list(self.stream):
            if at_s >= begin_s and take(Recalled(delivery, 0, since_s)):
                return since_s
        take(Recalled(self.send_beat(), 0, since_s))
        return since_s

    @property
    def retained(self) -> list[int]:
        session = self.memory.history.session(SID)
        return [] if session is None else [entry.seq for entry in session.after(0)]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    made = Exchange()
    running = asyncio.create_task(made.recovery.run())
    made.recovery.subscribed()
    await eventually(lambda: made.memory.is_current)
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_each_time_without_the_stream_is_told(exchange: Exchange) -> None:
    """And its end: who reads the log knows how it stands."""
    ends = exchange.recovery.catch_ups
    with capture_logs() as logs:
        for trouble in (NoStream("it is gone"), NoStream("it is gone"), None) * 2:
            exchange.trouble = trouble
            before = ends.total()
            exchange.recovery.subscribed()
            await eventually(lambda before=before: ends.total() > before)
    assert [(each["log_level"], each.get("reason")) for each in logs] == [
        ("warning", "it is gone"),
        ("info", None),
    ] * 2


async def look(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recovery look once at what has been heard."""
    looks: Counter[str] = Counter()
    expire = exchange.memory.history.expire
    monkeypatch.setattr(
        exchange.memory.history, "expire", lambda: looks.update(["look"]) or expire()
    )
    await eventually(lambda: looks["look"] > 1)


async def test_a_heartbeat_that_comes_late_hides_no_gap(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that stood still hears an old one first, and then its connection is gone."""
    exchange.intake.deliver(exchange.send())
    late = exchange.send_beat()
    for _ in range(15):
        exchange.ahead_s += 1
        exchange.send()
    exchange.intake.deliver(late)
    await look(exchange, monkeypatch)
    exchange.recovery.subscribed()
    await eventually(lambda: exchange.memory.is_current)
    assert exchange.retained == list(range(1, 17))
    assert exchange.read_back_s[-1] > 15


@pytest.mark.parametrize("behind_s", [3, 40])
async def test_a_repair_reads_back_as_far_as_the_node_is_behind(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, behind_s: int
) -> None:
    exchange.intake.deliver(exchange.send())
    exchange.intake.deliver(exchange.send_beat())
    await look(exchange, monkeypatch)
    exchange.send()  # it is lost on its way here
    exchange.ahead_s += behind_s
    exchange.intake.deliver(exchange.send())
    await eventually(lambda: exchange.retained == [1, 2, 3])
    assert max(REPAIR_BACK_S, behind_s) <= exchange.read_back_s[-1] < inf


def test_what_is_proven_is_what_came_before_the_heartbeat_was_sent() -> None:
    """Also where some never come back, or come in another order."""
    now: Any = [100.0]
    cluster = Cluster(instance=ME, clock=lambda: now[0])
    assert cluster.heard_until_s is None
    beats = [
        Heartbeat(node="n", instance=ME, version="1", connections=0, sessions=0, beat=beat)
        for beat in (1, 2, 3)
    ]
    for beat in beats:
        cluster.sent(beat.beat)
        now[0] += 2
    now[0] += 20
    cluster.hear(beats[1])
    assert cluster.heard_until_s == 102
    cluster.hear(beats[0])
    assert cluster.heard_until_s == 102
    cluster.hear(beats[2])
    assert cluster.heard_until_s == 104
