"""A mailbox while history is replayed into it, and the notes that something is missing."""

import json
from typing import Any

from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.message import Number, Numbered
from progress_ws.core.outbox import TAKE_BYTES, Outbox
from progress_ws.core.update import Update
from tests.core.making import SID, message, taken

OTHER = "o" * 22
BIG = "x" * (TAKE_BYTES // 2)


class Node:
    """One socket's mailbox on a node that hears one publisher."""

    def __init__(self, *, messages_only: bool = False, max_bytes: int = 10**9) -> None:
        self.hub = Hub()
        history = History(max_age_s=300, max_bytes=max_bytes, clock=lambda: 0.0)
        self.now_s = 0.0
        self.memory = Memory(history, self.hub, clock=lambda: self.now_s)
        self.memory.begins()
        self.overflows = 0
        self.box = Outbox(on_overflow=self._overflow, messages_only=messages_only, max_bytes=10**6)
        self.sent = 0

    def _overflow(self) -> None:
        self.overflows += 1

    def publish(self, value: Any = 1, *, sid: str = SID, **fields: Any) -> None:
        self.sent += 1
        made = message(value, sid=sid, id=f"p-{self.sent}", **fields)
        self.memory.receive(Numbered(Number("p", self.sent), made))

    def fall_silent(self) -> None:
        """Let every promise of news be broken."""
        self.now_s += 10
        for beat in (0, 1):
            self.memory.tell_stalled(sent=beat, heard=beat)

    def attach(self, sid: str = SID, **positions: int) -> None:
        self.hub.attach(sid, self.box)
        replay = self.memory.replay(sid, positions)
        assert replay is not None
        self.box.replay(replay, ahead=self.memory.ahead(positions))

    def take(self) -> list[Any]:
        """One write: numbers, negative where they come live; types of other frames."""
        return [_told(item) for item in taken(self.box)]

    def drain(self) -> list[Any]:
        told: list[Any] = []
        while taken := self.take():
            told += taken
        return told


def _told(item: Update | bytes) -> Any:
    if isinstance(item, bytes):
        return json.loads(item)["type"]
    seq = int((item.message.id or "")[2:])
    return seq if item.replay else -seq


def test_what_is_retained_comes_first_and_then_what_is_live() -> None:
    node = Node()
    node.publish()
    node.publish()
    node.box.push(b'{"type":"welcome"}')
    node.attach()
    assert node.drain() == ["welcome", 1, 2]
    node.publish()
    assert node.drain() == [-3]


def test_what_comes_during_a_replay_is_met_by_it_once() -> None:
    node = Node()
    for _ in range(4):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    node.publish()
    assert node.drain() == [3, 4, 5]
    node.publish()
    assert node.drain() == [-6]


def test_a_replay_fills_no_mailbox() -> None:
    node = Node()
    for _ in range(100):
        node.publish(BIG)
    node.attach()
    assert node.drain() == list(range(1, 101))
    assert node.overflows == 0


def test_two_sessions_are_replayed_in_turn() -> None:
    node = Node()
    for _ in range(4):
        node.publish(BIG, sid=SID)
        node.publish(BIG, sid=OTHER)
    node.attach(SID)
    node.attach(OTHER)
    assert [node.take() for _ in range(4)] == [[1, 3], [2, 4], [5, 7], [6, 8]]
    assert node.drain() == []


def test_another_session_goes_on_live_beside_a_replay() -> None:
    node = Node()
    node.hub.attach(OTHER, node.box)
    for _ in range(4):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    node.publish(sid=OTHER)
    assert node.take() == [-5, 3, 4]


def test_a_second_replay_of_a_session_takes_the_place_of_the_first() -> None:
    node = Node()
    for _ in range(4):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    node.attach(p=3)
    assert node.drain() == [4]
    node.publish()
    assert node.drain() == [-5]


def test_a_session_that_is_followed_no_more_is_replayed_no_more() -> None:
    node = Node()
    for _ in range(4):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    node.hub.detach(SID, node.box)
    node.box.forget(SID)
    node.publish()
    assert node.drain() == []


def test_what_the_browser_saw_elsewhere_does_not_come_again() -> None:
    node = Node()
    node.publish()
    node.attach(p=3)
    assert node.drain() == []
    for _ in range(3):
        node.publish()
    assert node.drain() == [-4]


def test_what_it_saw_elsewhere_does_not_come_by_the_replay_either() -> None:
    node = Node()
    for _ in range(3):
        node.publish(BIG)
    node.attach(p=5)
    for _ in range(3):
        node.publish()
    assert node.drain() == [6]


def test_being_ahead_in_one_session_says_nothing_of_another() -> None:
    node = Node()
    node.attach(SID, p=3)
    node.attach(OTHER)
    assert node.drain() == []
    node.publish(sid=OTHER)
    node.publish(sid=SID)
    assert node.drain() == [-1]


def test_a_replay_that_history_overtakes_is_told_before_it_goes_on() -> None:
    node = Node(max_bytes=8 * 300_000)
    for _ in range(5):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    for _ in range(20):
        node.publish(BIG)
    gap, first, *rest = node.drain()
    assert (gap, [first, *rest]) == ("gap", list(range(first, 26)))
    assert first > 3


def test_a_gap_that_waits_is_told_once_at_its_latest_place() -> None:
    node = Node()
    node.hub.attach(SID, node.box)
    node.box.gap(SID)
    node.publish()
    for _ in range(100_000):  # however many: they fill no mailbox
        node.box.gap(SID)
    node.box.gap(OTHER)
    assert node.drain() == [-1, "gap", "gap"]
    node.box.gap(SID)
    assert (node.drain(), node.overflows) == (["gap"], 0)


def test_who_wants_messages_only_is_told_of_no_gap() -> None:
    node = Node(messages_only=True, max_bytes=8 * 300_000)
    for _ in range(5):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    for _ in range(20):
        node.publish(BIG)
    node.box.gap(SID)
    assert "gap" not in node.drain()


def test_a_closed_mailbox_replays_nothing() -> None:
    node = Node()
    for _ in range(4):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2]
    node.box.close()
    node.publish()
    node.attach()
    node.attach()  # a browser's last words may ask for it again
    node.box.forget(SID)
    assert node.drain() == []
    assert not node.box.has_more


def test_a_replay_that_waits_and_is_wanted_no_more_leaves_nothing() -> None:
    node = Node()
    node.publish()
    node.attach()
    node.box.forget(SID)
    assert (len(node.box), node.box.has_more, node.box._bytes) == (0, False, 0)
    node.publish()
    assert node.drain() == [-2]


# -- publishers that fell silent ------------------------------------------------------------------

PROMISE = {"key": "k", "stall_s": 5}


def test_silence_is_told_behind_what_is_retained() -> None:
    node = Node()
    node.publish(**PROMISE)
    node.publish()
    node.fall_silent()
    node.attach()
    assert node.drain() == [1, 2, "stalled"]
    node.publish(**PROMISE)
    assert node.drain() == [-3]


def test_silence_that_has_ended_when_the_replay_ends_is_not_told() -> None:
    node = Node()
    node.publish(**PROMISE)
    for _ in range(3):
        node.publish(BIG)
    node.fall_silent()
    node.attach()
    assert node.take() == [1, 2, 3]
    node.publish(**PROMISE)
    assert node.drain() == [4, 5]


def test_silence_that_begins_during_a_replay_is_told_at_its_end_once() -> None:
    node = Node()
    node.publish(**PROMISE)
    for _ in range(3):
        node.publish(BIG)
    node.attach()
    assert node.take() == [1, 2, 3]
    node.fall_silent()
    assert node.drain() == [4, "stalled"]


def test_far_more_silent_keys_than_one_write_takes_are_told_once_each_and_fill_no_mailbox() -> None:
    node = Node()
    for n in range(9000):
        node.publish(key=f"k{n}", stall_s=5)
    node.fall_silent()
    node.attach()
    told: list[Any] = []
    while some := node.take():
        assert len(some) < 1000
        told += some
    assert told == [*range(1, 9001), *["stalled"] * 9000]
    assert node.overflows == 0


def test_silence_between_two_silences_of_one_replay_is_told_again() -> None:
    node = Node()
    for n in range(1000):
        node.publish(key=f"k{n}", stall_s=5)
    node.fall_silent()
    node.attach()
    while "stalled" not in (some := node.take()):
        pass
    first = some.count("stalled")
    assert first < 1000
    node.publish(key="k0", stall_s=5)
    node.fall_silent()
    assert node.drain() == [1001, *["stalled"] * (1000 - first + 1)]


def test_silence_waits_in_one_slot_and_goes_with_the_next_message_of_its_key() -> None:
    node = Node()
    node.hub.attach(SID, node.box)
    node.publish(**PROMISE)
    node.fall_silent()
    assert node.drain() == [-1, "stalled"]
    node.publish(**PROMISE)
    node.fall_silent()
    assert len(node.box) == 2
    node.publish(key="other")
    node.publish(**PROMISE)
    assert node.drain() == [-3, -4]
    assert node.box._bytes == 0


def test_silence_that_waits_goes_with_a_message_that_a_replay_comes_to() -> None:
    node = Node()
    node.hub.attach(SID, node.box)
    node.publish(**PROMISE)
    node.fall_silent()
    node.attach()
    node.publish(**PROMISE)
    assert node.drain() == [-1, 2]


def test_the_article_s_front_ends_are_not_told_of_silence() -> None:
    node = Node(messages_only=True)
    node.hub.attach(SID, node.box)
    node.publish(**PROMISE)
    node.fall_silent()
    assert node.drain() == [-1]
    node.attach()
    assert node.drain() == [1]
    node.publish()
    assert node.drain() == [-2]


def test_silence_of_a_key_whose_message_has_gone_is_not_told() -> None:
    node = Node(max_bytes=40_000)
    node.publish(**PROMISE)
    node.fall_silent()
    for _ in range(20):
        node.publish("x" * 1000)
    node.attach()
    assert "stalled" not in node.drain()
