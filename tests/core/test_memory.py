"""What a node knows of the past, and how sure it is of it: one case at a time."""

from typing import Any

import pytest

from progress_ws.core import holes, newest
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.message import Number, Numbered
from progress_ws.core.outbox import Outbox
from progress_ws.core.update import Update
from tests.core.making import SID, message, taken

OTHER = "o" * 22


class Node:
    """A memory with two browsers, and a clock."""

    def __init__(self, **limits: Any) -> None:
        self.now_s = 1000.0
        self.hub = Hub()
        sizes = {"max_age_s": 300, "max_bytes": 10**7} | limits
        history = History(clock=lambda: self.now_s, **sizes)
        self.memory = Memory(history, self.hub, clock=lambda: self.now_s)
        self.memory.begins()
        self.memory.watches_holes = True
        self.mine, self.other = (Outbox(on_overflow=lambda: None) for _ in range(2))
        self.hub.attach(SID, self.mine)
        self.hub.attach(OTHER, self.other)

    def receive(self, *seqs: int, publisher: str = "p", sid: str = SID, **fields: Any) -> None:
        for seq in seqs:
            new = message(seq, sid=sid, id=f"{publisher}-{seq}", **fields)
            self.memory.receive(Numbered(Number(publisher, seq), new))

    def find(self, seq: int, **fields: Any) -> dict[int, Numbered]:
        return {seq: Numbered(Number("p", seq), message(seq, id=f"p-{seq}", **fields))}


def read(box: Outbox) -> list[str]:
    """The ids of the messages that wait, and the other frames by their type."""
    return [i.message.id if isinstance(i, Update) else "gap" for i in taken(box)]


def test_what_follows_a_hole_waits_until_it_is_filled() -> None:
    node = Node()
    node.receive(1, 3, 4)
    assert read(node.mine) == ["p-1"]
    node.receive(2)
    assert read(node.mine) == ["p-2", "p-3", "p-4"]
    assert not node.memory.holes


def test_other_publishers_do_not_wait() -> None:
    node = Node()
    node.receive(1, 3)
    node.receive(1, 2, publisher="q")
    assert read(node.mine) == ["p-1", "q-1", "q-2"]


def test_a_hole_is_mended_with_what_was_found_in_order() -> None:
    node = Node()
    node.receive(1, 4, 6)
    node.memory.mend("p", node.find(2) | node.find(5), upto=6)
    assert read(node.mine) == ["p-1", "p-2", "p-4", "p-5", "p-6"]
    assert not node.memory.holes
    assert node.memory.recovered(SID, {"p": 1}) is True, "what was not found never was"


def test_after_two_seconds_nobody_waits_any_longer() -> None:
    node = Node()
    node.receive(1, 3)
    node.now_s += holes.HOLD_S - 0.1
    node.memory.let_go_overdue()
    assert read(node.mine) == ["p-1"]
    node.now_s += 0.2
    node.memory.let_go_overdue()
    assert read(node.mine) == ["p-3"]
    assert node.memory.recovered(SID, {"p": 1}) is False, "its hole is open still"


def test_what_is_found_too_late_is_told_to_its_session_only() -> None:
    node = Node()
    node.receive(1, 3)
    node.now_s += 3
    node.memory.let_go_overdue()
    assert read(node.mine) == ["p-1", "p-3"]
    node.memory.mend("p", node.find(2), upto=3)
    assert (read(node.mine), read(node.other)) == (["gap"], [])
    assert node.memory.lost == 1
    assert node.memory.recovered(SID, {"p": 1}) is False
    assert node.memory.recovered(OTHER, {"p": 1}) is True, "another session lost nothing"
    node.now_s += 100
    node.receive(4)
    assert node.memory.recovered(SID, {"p": 4}) is True


def test_too_much_behind_a_hole_is_let_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "HOLD_BYTES", 5_000)
    node = Node()
    node.receive(1, *range(3, 20))
    node.memory.let_go_overdue()
    assert len(read(node.mine)) == 18


def test_of_too_many_holes_the_last_are_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "HOLES_MAX", 2)
    node = Node()
    for publisher in "pqrs":
        node.receive(7, publisher=publisher)
    assert len(node.memory.holes) == 2
    assert read(node.mine) == ["r-7", "s-7"]


def test_a_number_that_is_only_heard_of_may_still_be_on_its_way() -> None:
    node = Node()
    node.memory.expect(Number("p", 2))
    assert node.memory.holes.due(node.now_s) == []
    node.receive(1, 2)
    assert not node.memory.holes
    node.memory.expect(Number("p", 3))
    assert node.memory.holes.due(node.now_s + 1) == ["p"]


def test_what_is_heard_of_while_the_node_catches_up_counts_afterwards() -> None:
    node = Node()
    node.receive(1)
    node.memory.interrupted()
    node.memory.expect(Number("p", 3))
    assert not node.memory.holes
    node.receive(2)
    node.memory.caught_up(0.0)
    assert node.memory.holes.publishers() == ["p"]


def test_what_cannot_be_had_any_more_is_told_to_everybody() -> None:
    node = Node()
    node.receive(1)
    read(node.mine)
    node.memory.missed()
    assert (read(node.mine), read(node.other)) == (["gap"], ["gap"])
    assert node.memory.recovered(SID, {"p": 1}) is False
    node.now_s += 100
    node.receive(2)
    assert node.memory.recovered(SID, {"p": 2}) is True


def test_a_repetition_found_in_the_stream_changes_nothing() -> None:
    node = Node()
    node.receive(1, 2)
    node.memory.recall(Numbered(Number("p", 1), message(1, id="p-1")), 0.0)
    assert read(node.mine) == ["p-1", "p-2"]


def test_of_two_equal_messages_without_a_number_each_is_found_once() -> None:
    node = Node()
    node.memory.take(message("tick"))
    known: set[int] = set()
    node.memory.recall_unnumbered(message("tick"), 0.0, known)
    assert len(read(node.mine)) == 1
    node.memory.recall_unnumbered(message("tick"), 0.0, known)
    assert len(read(node.mine)) == 1


def test_a_position_of_nobody_known_is_no_position_to_be_sure_of() -> None:
    node = Node()
    node.receive(1)
    assert node.memory.recovered(SID, {"nobody": 5}) is False
    assert node.memory.recovered(SID, {"nobody": 5, "p": 1}) is True
    assert node.memory.recovered(SID, {}) is None


OFF = pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"max_age_s": 0}])


@OFF
def test_without_history_runs_and_final_messages_are_kept_apart(limits: dict[str, int]) -> None:
    node = Node(**limits)
    said: list[dict[str, Any]] = [
        {"key": "k", "run": "2"},
        {"key": "k", "run": "1", "final": True},
        {"key": "k", "run": "2", "final": True},
        {"key": "k", "run": "2"},
        {"key": "other", "run": "1"},
        {},
        {"key": "k", "run": "3"},
        {"key": "k"},
    ]
    seen: list[str] = []
    for seq, fields in enumerate(said, 1):
        node.receive(seq, **fields)
        seen += read(node.mine)
    assert seen == ["p-1", "p-3", "p-5", "p-6", "p-7", "p-8"]
    assert node.memory.stale == 2
    node.receive(9, key="k", run="1", sid=OTHER)
    assert read(node.other) == ["p-9"]


@OFF
def test_without_history_a_key_is_known_for_as_long_as_it_may_be_silent(
    limits: dict[str, int],
) -> None:
    node = Node(**limits)
    node.receive(1, key="k", run="2", final=True)
    node.now_s += node.memory.longest_silence_s
    assert node.memory.history.current(SID, "k") is not None
    read(node.mine)
    node.receive(2, key="k", run="1")
    node.now_s += 1
    assert node.memory.history.current(SID, "k") is None
    node.receive(3, key="k", run="1")
    assert read(node.mine) == ["p-3"]
    node.now_s += node.memory.longest_silence_s + 1
    node.memory.history.expire()
    assert len(node.memory.history._newest) == 0


def test_without_history_the_key_goes_first_that_was_heard_of_least_recently(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newest, "KEPT_BYTES", 1500)
    node = Node(max_bytes=0)
    for seq, key in enumerate("abac", 1):
        node.receive(seq, key=key, run="2")
    known = [key for key in "abc" if node.memory.history.current(SID, key) is not None]
    assert known == ["a", "c"]


@OFF
def test_without_history_nothing_is_sure(limits: dict[str, int]) -> None:
    node = Node(**limits)
    node.receive(1)
    assert read(node.mine) == ["p-1"]
    assert node.memory.recovered(SID, {"p": 1}) is False
    assert node.memory.replay(SID, {"p": 1}) is None
