"""Catching up from the stream, and repairing from it: plain cases."""

import json
import tracemalloc
from typing import Any

import pytest

from progress_ws.core import codec
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import HEARTBEAT, Delivery, Intake
from progress_ws.core.memory import Memory
from progress_ws.core.message import Message
from progress_ws.core.recall import DELIVERY_BYTES, Catchup, Repair
from tests.core.making import SID, body


class Node:
    """A node, its subscription, and the stream behind it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.values: list[Any] = []
        self.gaps: list[str] = []
        hub = Hub()
        hub.deliver = self._deliver  # type: ignore[method-assign]
        hub.gap = self.gaps.append  # type: ignore[method-assign]
        hub.gap_everywhere = lambda: self.gaps.append("everywhere")  # type: ignore[method-assign]
        history = History(max_age_s=300, max_bytes=10**9, clock=lambda: self.now_s)
        self.memory = Memory(history, hub, clock=lambda: self.now_s)
        self.memory.begins()
        self.memory.watches_holes = True
        cluster = Cluster(instance="me", clock=lambda: self.now_s)
        self.intake = Intake(
            self.memory,
            cluster,
            Cancels(self.memory, cluster, clock=lambda: self.now_s),
            max_message_bytes=65536,
            on_reject=lambda *_: None,
            wall_clock=lambda: self.now_s,
        )
        self.beats = 0
        self.stream: list[tuple[float, Delivery]] = []

    def _deliver(self, message: Message) -> None:
        self.values.append(json.loads(bytes(message.message)))

    def happen(self, delivery: Delivery, *, is_heard: bool = True) -> None:
        """It crosses the exchange now."""
        self.stream.append((self.now_s, delivery))
        if is_heard:
            self.intake.deliver(delivery)

    def beat(self, *, is_heard: bool = True) -> None:
        self.beats += 1
        beat = Heartbeat(
            node="me", instance="me", version="1", connections=0, sessions=0, beat=self.beats
        )
        self.happen(Delivery(codec.encode(beat), HEARTBEAT), is_heard=is_heard)

    def subscribe(self) -> Catchup:
        return Catchup(
            self.intake, self.memory, clock=lambda: self.now_s, latest_beat=lambda: self.beats
        )

    def read(self, catchup: Catchup, *, since_s: float) -> bool:
        """Read the stream from then on; whether the end was met."""
        return any(
            catchup.take(delivery, self.now_s - at_s, self.now_s)
            for at_s, delivery in self.stream
            if at_s >= since_s
        )

    def catch_up(self, catchup: Catchup, *, since_s: float) -> None:
        assert self.read(catchup, since_s=since_s)
        catchup.finish(since_s)


def numbered(seq: int, **fields: Any) -> Delivery:
    return Delivery(body(seq, id=f"p-{seq}", **fields))


TYPED = Delivery(json.dumps({"sid": SID, "message": "50 %"}).encode())


@pytest.fixture
def node() -> Node:
    return Node()


def test_what_was_missed_comes_from_the_stream_and_then_what_waited(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2), is_heard=False)
    catchup = node.subscribe()
    node.happen(numbered(3))
    assert node.values == [1]
    node.beat()
    node.happen(numbered(4))
    node.catch_up(catchup, since_s=0)
    node.happen(numbered(5))
    assert node.values == [1, 2, 3, 4, 5]
    assert node.memory.recovered(SID, {"p": 1}) is True


def test_it_does_not_end_at_a_heartbeat_from_before_the_subscription(node: Node) -> None:
    node.beat()
    catchup = node.subscribe()
    node.happen(numbered(1))
    assert not node.read(catchup, since_s=0)


def test_another_nodes_heartbeat_is_not_the_end(node: Node) -> None:
    catchup = node.subscribe()
    other = Heartbeat(
        node="me", instance="other", version="1", connections=0, sessions=0, beat=1000
    )
    node.happen(Delivery(codec.encode(other), HEARTBEAT))
    assert not node.read(catchup, since_s=0)


def test_past_its_bound_what_waits_is_read_from_the_stream_instead(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progress_ws.core.recall.HELD_BYTES", 1000)
    catchup = node.subscribe()
    node.beat()
    for seq in range(1, 6):
        node.happen(numbered(seq))
    assert not node.read(catchup, since_s=0)
    node.beat()
    node.catch_up(catchup, since_s=0)
    assert node.values == [1, 2, 3, 4, 5]


def test_what_waits_is_counted_with_what_each_delivery_takes(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 400_000
    monkeypatch.setattr("progress_ws.core.recall.HELD_BYTES", bound)
    catchup = node.subscribe()
    tracemalloc.start()
    for seq in range(1, 3000):
        # As it comes off the wire: nothing of it is shared.
        made = Delivery(body(1, id=f"p-{seq}"), b"message".decode(), f"p-{seq}", float(seq))
        node.intake.deliver(made)
        if catchup._held_bytes + DELIVERY_BYTES + 100 > bound:
            break
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 < catchup._held_bytes / taken < 1.2
    assert catchup._held_bytes > bound * 0.9


def test_a_series_that_waited_is_taken_in_one_piece(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2), is_heard=False)
    catchup = node.subscribe()
    members = [{"sid": SID, "message": seq, "id": f"p-{seq}", "ts": 1.5} for seq in range(3, 9)]
    node.happen(Delivery(json.dumps(members[:3]).encode()))
    node.beat()
    node.happen(Delivery(json.dumps(members[3:]).encode()))
    taken: list[int] = []
    monkeypatch.setattr(
        node.memory, "receive_series", lambda series: taken.append(len(series.messages))
    )
    node.catch_up(catchup, since_s=0)
    assert node.values == [1, 2, 3, 4, 5]
    assert taken == [3, 3]


def test_given_up_it_goes_on_with_what_waited_and_says_so(node: Node) -> None:
    node.happen(numbered(1))
    catchup = node.subscribe()
    node.happen(numbered(2))
    catchup.give_up()
    assert (node.values, node.gaps) == ([1, 2], ["everywhere"])
    assert node.memory.recovered(SID, {"p": 1}) is False


def test_a_hole_from_before_the_gap_is_mended_with_what_is_read(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2), is_heard=False)
    node.happen(numbered(3))
    catchup = node.subscribe()
    node.beat()
    node.catch_up(catchup, since_s=0)
    assert (node.values, len(node.memory.holes), node.gaps) == ([1, 2, 3], 0, [])


def test_a_hole_older_than_what_is_read_is_told(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2), is_heard=False)
    node.happen(numbered(3))
    node.now_s += 30  # the stream could not be read for so long
    node.memory.let_go_overdue()
    catchup = node.subscribe()
    node.beat()
    node.catch_up(catchup, since_s=node.now_s - 10)
    assert (node.values, node.gaps) == ([1, 3], ["everywhere"])
    assert node.memory.recovered(SID, {"p": 1}) is False


# -- without numbers ------------------------------------------------------------------------------


def test_what_has_no_number_is_found_once_in_the_stream_and_once_live(node: Node) -> None:
    node.happen(TYPED)
    node.now_s += 1
    node.happen(TYPED, is_heard=False)
    catchup = node.subscribe()
    node.happen(TYPED)
    node.beat()
    node.happen(TYPED)
    node.catch_up(catchup, since_s=0)
    assert node.values == ["50 %"] * 4


def test_what_has_no_number_never_vanishes_for_the_sake_of_an_older_one(node: Node) -> None:
    node.happen(TYPED)
    node.now_s += 100
    node.happen(TYPED, is_heard=False)
    node.now_s += 5
    catchup = node.subscribe()
    node.beat()
    node.catch_up(catchup, since_s=node.now_s - 20)
    assert node.values == ["50 %"] * 2


def test_what_has_no_number_and_comes_after_the_end_is_another_one(node: Node) -> None:
    node.happen(TYPED)
    catchup = node.subscribe()
    node.beat()
    node.happen(TYPED)
    node.catch_up(catchup, since_s=0)
    assert node.values == ["50 %"] * 2


# -- repairs --------------------------------------------------------------------------------------


def repair(node: Node) -> None:
    """As the owner of the readings does."""
    made = Repair(
        node.intake, node.memory, publishers=node.memory.holes.publishers(), beyond_beat=node.beats
    )
    node.beat()
    assert any(made.take(delivery) for _, delivery in node.stream)
    made.finish()


def test_a_repair_fills_the_hole(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2), is_heard=False)
    node.happen(numbered(3))
    repair(node)
    assert (node.values, len(node.memory.holes)) == ([1, 2, 3], 0)


def test_a_bad_member_fills_its_place(node: Node) -> None:
    bad = {"sid": "short", "message": 2, "id": "p-2"}
    node.happen(numbered(1))
    node.happen(Delivery(json.dumps(bad).encode()), is_heard=False)
    node.happen(numbered(3))
    repair(node)
    assert (node.values, node.memory.recovered(SID, {"p": 1})) == ([1, 3], True)


def test_what_is_repaired_does_not_replace_what_follows_it_in_the_stream(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2, key="k"), is_heard=False)
    node.happen(Delivery(body("newer", id="q-1", key="k")))
    node.happen(numbered(3))
    repair(node)
    assert node.values == [1, "newer", 3]


def test_what_is_repaired_replaces_what_it_follows_in_the_stream(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(Delivery(body("older", id="q-1", key="k")))
    node.happen(numbered(2, key="k"), is_heard=False)
    node.happen(numbered(3))
    repair(node)
    assert node.values == [1, "older", 2, 3]


def test_a_final_message_that_is_repaired_wins_over_what_followed_it(node: Node) -> None:
    node.happen(numbered(1))
    node.happen(numbered(2, key="k", run="1", final=True), is_heard=False)
    node.happen(Delivery(body("straggler", id="q-1", key="k", run="1")))
    node.happen(numbered(3))
    repair(node)
    assert node.values == [1, "straggler", 2, 3]
