"""Two nodes that hear the same in different orders, lose some of it, and find it in the stream."""

import json
from collections import deque
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from progress_ws.core import codec
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import HEARTBEAT, LAST, Delivery, Intake
from progress_ws.core.memory import Memory
from progress_ws.core.message import Draft, supersedes
from progress_ws.core.outbox import Outbox
from progress_ws.core.recall import Catchup, Repair
from tests.core.making import taken

SIDS = ["a" * 22, "b" * 22]
PUBLISHERS = "pqr"
nodes = st.sampled_from([0, 1])


now_s = [1000.0]
runs = st.sampled_from([{}, {"run": "1"}, {"run": "1", "final": True}, {"run": "2"}])


def clock() -> float:
    return now_s[0]


class Node:
    """What is on its way to it stands in one line for each publisher, as channels keep order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hub = Hub()
        self.memory = Memory(
            History(max_age_s=1e9, max_bytes=10**9, clock=clock), self.hub, clock=clock
        )
        self.memory.begins()
        self.memory.watches_holes = True
        cluster = Cluster(instance=name, clock=clock)
        self.intake = Intake(
            self.memory,
            cluster,
            Cancels(self.memory, cluster, clock=clock),
            max_message_bytes=1000,
            on_reject=lambda *_: None,
            wall_clock=clock,
        )
        self.coming: dict[str, deque[Delivery]] = {name: deque() for name in PUBLISHERS}
        self.is_cut = False
        self.beat = 0
        self.catchup: Catchup | None = None
        self.repair: Repair | None = None
        self.read = 0

    def heartbeat(self) -> Delivery:
        self.beat += 1
        beat = Heartbeat(
            node=self.name,
            instance=self.name,
            version="1",
            connections=0,
            sessions=0,
            beat=self.beat,
            last=self.memory.numbers.fallen_silent(clock() + 2),
        )
        return Delivery(codec.encode(beat), HEARTBEAT)


class Browser:
    """One that keeps its position.

    Attributes:
        excused_until: of what had been sent by then, some may be missing: it was told so.
    """

    is_told_all = True

    def __init__(self, sid: str, sent: list[dict[str, Any]]) -> None:
        self.sid = sid
        self.sent = sent
        self.excused_until = 0
        self.node: Node | None = None
        self.outbox = Outbox(on_overflow=lambda: None)
        self.positions: dict[str, int] = {}
        self.got: list[str] = []

    def attach(self, node: Node) -> None:
        self.node, self.outbox = node, Outbox(on_overflow=lambda: None)
        recovered = node.memory.recovered(self.sid, self.positions)
        if any(node.memory.numbers.last(publisher) for publisher in self.positions):
            is_sure = node.memory.is_current and not node.memory.holes
            assert recovered is is_sure or not (self.is_told_all or recovered)
        if not self.is_told_all and not recovered:
            self.excused_until = len(self.sent)
        node.hub.attach(self.sid, self.outbox)
        replay = node.memory.replay(self.sid, self.positions)
        assert replay is not None
        self.outbox.replay(replay, ahead=node.memory.ahead(self.positions))

    def leave(self) -> None:
        assert self.node is not None
        self.node.hub.detach(self.sid, self.outbox)
        self.node = None

    def take(self) -> bool:
        items = taken(self.outbox)
        for item in items:
            if isinstance(item, bytes):
                assert not self.is_told_all, f"nothing is lost for good: {item!r}"
                self.excused_until = len(self.sent)
                continue
            publisher, _, seq = (item.message.id or "").rpartition("-")
            assert int(seq) > self.positions.get(publisher, 0), "twice, or out of order"
            self.positions[publisher] = int(seq)
            self.got.append(item.message.id)
        return bool(items)


class TwoNodes(RuleBasedStateMachine):
    """Everything is there in the end, once and in order, wherever a browser was meanwhile."""

    browser: type[Browser] = Browser

    def __init__(self) -> None:
        super().__init__()
        now_s[0] = 1000.0
        self.nodes = [Node("a"), Node("b")]
        self.stream: list[tuple[float, Delivery]] = []
        self.sent: list[dict[str, Any]] = []
        self.last = dict.fromkeys(PUBLISHERS, 0)
        self.browsers: list[Browser] = []

    # -- publishers -------------------------------------------------------------------------------

    @rule(
        publisher=st.sampled_from(PUBLISHERS),
        sid=st.sampled_from(SIDS),
        is_keyed=st.booleans(),
        run=runs,
        lost_on=st.sets(nodes, max_size=2),
        again=st.booleans(),
    )
    def publish(
        self,
        publisher: str,
        sid: str,
        is_keyed: bool,
        run: dict[str, Any],
        lost_on: set[int],
        again: bool,
    ) -> None:
        self.last[publisher] += 1
        message = {"sid": sid, "message": 1, "id": f"{publisher}-{self.last[publisher]}", "ts": 1}
        if is_keyed:
            # Where a key has messages with and without a run, which one wins depends on all.
            message |= run | {"key": f"{'runs' if run else 'news'} of {publisher}"}
        self.sent.append(message)
        for _ in range(1 + again):
            self._send(publisher, Delivery(json.dumps(message).encode()), lost_on=lost_on)

    def _send(self, publisher: str, delivery: Delivery, *, lost_on: set[int] | None = None) -> None:
        self.stream.append((clock(), delivery))
        for index, node in enumerate(self.nodes):
            if not node.is_cut and index not in (lost_on or ()):
                node.coming[publisher].append(delivery)

    @rule(publisher=st.sampled_from(PUBLISHERS))
    def say_last(self, publisher: str) -> None:
        if self.last[publisher]:
            said = json.dumps({"publisher": publisher, "seq": self.last[publisher]})
            self._send(publisher, Delivery(said.encode(), LAST))

    # -- nodes ------------------------------------------------------------------------------------

    @rule(index=nodes, publisher=st.sampled_from(PUBLISHERS), count=st.integers(1, 4))
    def deliver(self, index: int, publisher: str, count: int) -> None:
        coming = self.nodes[index].coming[publisher]
        for _ in range(min(count, len(coming))):
            self.nodes[index].intake.deliver(coming.popleft())

    @rule(index=nodes)
    def cut(self, index: int) -> None:
        node = self.nodes[index]
        node.is_cut = True
        for coming in node.coming.values():
            coming.clear()

    @precondition(lambda self: any(node.is_cut for node in self.nodes))
    @rule(index=nodes)
    def subscribe_anew(self, index: int) -> None:
        node = self.nodes[index]
        if node.is_cut:
            node.is_cut, node.repair, node.read = False, None, 0
            node.catchup = Catchup(
                node.intake, node.memory, clock=clock, latest_beat=lambda: node.beat
            )

    @rule(index=nodes)
    def beat(self, index: int) -> None:
        beat = self.nodes[index].heartbeat()
        self.stream.append((clock(), beat))
        for node in self.nodes:
            if not node.is_cut:
                node.intake.deliver(beat)

    @rule(index=nodes)
    def begin_repair(self, index: int) -> None:
        node = self.nodes[index]
        if node.memory.holes and node.catchup is None and node.repair is None:
            node.read = 0
            node.repair = Repair(
                node.intake,
                node.memory,
                publishers=node.memory.holes.publishers(),
                beyond_beat=node.beat,
            )

    @rule(index=nodes, count=st.integers(1, 20))
    def read(self, index: int, count: int) -> None:
        node = self.nodes[index]
        while count and node.read < len(self.stream) and (node.catchup or node.repair):
            at_s, delivery = self.stream[node.read]
            node.read += 1
            count -= 1
            if node.catchup is not None:
                if node.catchup.take(delivery, clock() - at_s, clock()):
                    node.catchup.finish(-1e9)
                    node.catchup = None
            elif node.repair is not None and node.repair.take(delivery):
                node.repair.finish()
                node.repair = None

    # -- browsers ---------------------------------------------------------------------------------

    @rule(sid=st.sampled_from(SIDS), index=nodes)
    def open(self, sid: str, index: int) -> None:
        self.browsers.append(self.browser(sid, self.sent))
        self.browsers[-1].attach(self.nodes[index])

    @precondition(lambda self: self.browsers)
    @rule(data=st.data(), index=nodes, reads=st.booleans())
    def hop(self, data: st.DataObject, index: int, reads: bool) -> None:
        browser = data.draw(st.sampled_from(self.browsers))
        if reads:
            browser.take()
        browser.leave()
        browser.attach(self.nodes[index])

    @precondition(lambda self: self.browsers)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.browsers)).take()

    def teardown(self) -> None:
        """All is repaired and read; then nothing may be missing."""
        for index in (0, 1):
            self.subscribe_anew(index)
        for publisher in PUBLISHERS:
            self.say_last(publisher)
        for _ in range(4):
            for index in (0, 1):
                for publisher in PUBLISHERS:
                    self.deliver(index, publisher, 10**6)
                self.begin_repair(index)
                self.beat(index)
                self.read(index, 10**6)
        assert not any(node.memory.holes or node.catchup for node in self.nodes)
        for browser in self.browsers:
            while browser.take():
                pass
            for n, m in enumerate(self.sent):
                is_due = m["sid"] == browser.sid and n >= browser.excused_until
                if is_due and not self._is_outdated(n):
                    assert m["id"] in browser.got, f"lost {m['id']}"

    def _is_outdated(self, n: int) -> bool:
        """Tell whether another message of its key took its place, or had ended it before."""
        current = -1
        slot = (self.sent[n]["sid"], self.sent[n].get("key"))
        if slot[1] is None:
            return False
        for k, other in enumerate(self.sent):
            is_of_slot = (other["sid"], other.get("key")) == slot
            if is_of_slot and (
                current < 0 or supersedes(_draft(other), _draft(self.sent[current]))
            ):
                current = k
        return current != n


def _draft(m: dict[str, Any]) -> Draft:
    return Draft(m["sid"], msgspec.Raw(b"1"), run=m.get("run"), final=m.get("final"))


class Excusing(Browser):
    """One that may be told that something is missing."""

    is_told_all = False


class Impatient(TwoNodes):
    """Holes are not always mended in time: then every browser that misses something is told."""

    browser = Excusing

    @rule(index=nodes)
    def let_go(self, index: int) -> None:
        now_s[0] += 1.0
        if self.nodes[index].catchup is None:
            self.nodes[index].memory.let_go_overdue()

    @rule(index=nodes)
    def give_up(self, index: int) -> None:
        node = self.nodes[index]
        if node.catchup is not None:
            node.catchup.give_up()
            node.catchup = None


TwoNodes.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
Impatient.TestCase.settings = TwoNodes.TestCase.settings
TestTwoNodes = TwoNodes.TestCase
TestImpatient = Impatient.TestCase
