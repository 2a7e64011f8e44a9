"""What a node has received, holes and all, and how sure it says it is."""

from collections.abc import Iterator

import pytest

from progress_ws.core import holes
from progress_ws.core.history import History
from progress_ws.core.holes import GRACE_S, HOLD_S
from progress_ws.core.hub import Hub
from progress_ws.core.memory import MARGIN_S, Memory
from progress_ws.core.message import Message, Number, Numbered
from tests.core.making import SID, message

FOREVER_AGO = float("-inf")


class Node:
    """A memory, its clock, and what came out of it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.delivered: list[str | None] = []
        self.gaps: list[str] = []
        hub = Hub()
        hub.deliver = self._deliver  # type: ignore[method-assign]
        hub.gap = self.gaps.append  # type: ignore[method-assign]
        hub.gap_everywhere = lambda: self.gaps.append("everywhere")  # type: ignore[method-assign]
        history = History(max_age_s=300, max_bytes=10**9, clock=lambda: self.now_s)
        self.memory = Memory(history, hub, clock=lambda: self.now_s)
        self.memory.begins()
        self.memory.watches_holes = True

    def _deliver(self, delivered: Message) -> None:
        self.delivered.append(delivered.id)

    def receive(self, *seqs: int, publisher: str = "p") -> None:
        for seq in seqs:
            self.memory.receive(numbered(seq, publisher=publisher))

    def void(self, seq: int) -> None:
        self.memory.receive(Numbered(Number("p", seq)))

    def recovered(self, seq: int, *, publisher: str = "p") -> bool | None:
        return self.memory.recovered(SID, {publisher: seq})

    @property
    def seqs(self) -> list[int]:
        return [int((name or "").rpartition("-")[2]) for name in self.delivered]


def numbered(seq: int, *, publisher: str = "p") -> Numbered:
    return Numbered(Number(publisher, seq), message(seq, id=f"{publisher}-{seq}"))


def found(*seqs: int) -> dict[int, Numbered]:
    return {seq: numbered(seq) for seq in seqs}


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def _one_hole_at_most(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(holes, "HOLES_MAX", 1)
    yield


# -- holes ----------------------------------------------------------------------------------------


def test_what_comes_behind_a_hole_waits_until_it_is_mended(node: Node) -> None:
    node.receive(1, 3, 5, 4)
    assert (node.seqs, node.recovered(1)) == ([1], False)
    node.memory.mend("p", found(2), upto=5)
    assert (node.seqs, node.recovered(1)) == ([1, 2, 3, 4, 5], True)


def test_a_hole_that_the_publisher_fills_itself_is_closed(node: Node) -> None:
    node.receive(1, 3, 2)
    assert (node.seqs, len(node.memory.holes)) == ([1, 2, 3], 0)


def test_a_void_counts_as_seen_and_delivers_nothing(node: Node) -> None:
    node.receive(1)
    node.void(2)
    node.receive(3)
    assert (node.seqs, len(node.memory.holes), node.recovered(1)) == ([1, 3], 0, True)


def test_a_void_behind_a_hole_waits_like_any_other(node: Node) -> None:
    node.receive(1)
    node.void(3)
    node.receive(4)
    assert node.seqs == [1]
    node.memory.mend("p", found(2), upto=4)
    assert node.seqs == [1, 2, 4]


def test_what_the_stream_does_not_have_does_not_exist(node: Node) -> None:
    node.receive(1, 4)
    node.memory.mend("p", {}, upto=4)
    assert (node.seqs, len(node.memory.holes), node.recovered(1)) == ([1, 4], 0, True)


def test_a_mend_goes_as_far_as_was_known_when_it_was_looked_for(node: Node) -> None:
    node.receive(1, 3)
    node.receive(6)
    node.memory.mend("p", found(2), upto=3)
    assert (node.seqs, node.memory.holes.upto("p")) == ([1, 2, 3], 6)
    node.memory.mend("p", found(4, 5), upto=6)
    assert (node.seqs, len(node.memory.holes)) == ([1, 2, 3, 4, 5, 6], 0)


def test_a_hole_is_one_publishers(node: Node) -> None:
    node.receive(1, 3)
    node.receive(1, 2, publisher="q")
    assert node.delivered == ["p-1", "q-1", "q-2"]


def test_after_so_long_what_waits_is_let_go_and_the_node_is_unsure(node: Node) -> None:
    node.receive(1, 3)
    node.memory.let_go_overdue()
    assert node.seqs == [1]
    node.now_s += HOLD_S
    node.memory.let_go_overdue()
    assert (node.seqs, node.recovered(1)) == ([1, 3], False)


def test_what_is_found_too_late_is_told_to_its_session(node: Node) -> None:
    node.receive(1, 3)
    node.now_s += HOLD_S
    node.memory.let_go_overdue()
    node.memory.mend("p", found(2), upto=3)
    assert (node.seqs, node.gaps, node.memory.lost) == ([1, 3], [SID], 1)
    assert (len(node.memory.holes), node.recovered(1)) == (0, False)
    node.now_s += MARGIN_S + 15
    node.receive(4)
    assert node.recovered(4)


def test_what_was_let_go_of_and_does_not_exist_is_no_loss(node: Node) -> None:
    node.receive(1, 3)
    node.now_s += HOLD_S
    node.memory.let_go_overdue()
    node.memory.mend("p", {}, upto=3)
    assert (node.gaps, len(node.memory.holes), node.recovered(1)) == ([], 0, True)


def test_a_number_that_was_only_heard_of_opens_a_hole_that_is_due_a_little_later(
    node: Node,
) -> None:
    node.receive(1)
    node.memory.expect(Number("p", 1))
    assert len(node.memory.holes) == 0
    node.memory.expect(Number("p", 3))
    assert (node.memory.holes.due(node.now_s), node.recovered(1)) == ([], False)
    assert node.memory.holes.due(node.now_s + GRACE_S) == ["p"]
    node.receive(2, 3)
    assert (node.seqs, len(node.memory.holes)) == ([1, 2, 3], 0)


def test_what_is_heard_of_during_a_catch_up_is_compared_at_its_end(node: Node) -> None:
    node.receive(1)
    node.memory.interrupted()
    node.memory.expect(Number("p", 10))
    node.memory.expect(Number("p", 1))  # another node has not come as far
    assert len(node.memory.holes) == 0
    node.memory.caught_up(0.0)
    assert node.memory.holes.upto("p") == 10


@pytest.mark.usefixtures("_one_hole_at_most")
def test_a_flood_of_holes_harms_none_that_is_open(node: Node) -> None:
    node.receive(1, 3)
    node.receive(4, 6)
    node.memory.mend("p", found(2, 5), upto=6)
    assert node.seqs == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("_one_hole_at_most")
def test_a_hole_that_is_one_too_many_is_told(node: Node) -> None:
    node.receive(1, 3)
    node.receive(1, 3, publisher="q")
    assert (node.delivered, node.gaps) == (["p-1", "q-1", "q-3"], ["everywhere"])
    node.memory.mend("p", found(2), upto=3)
    assert node.recovered(1, publisher="q") is False


# -- how sure -------------------------------------------------------------------------------------


def test_where_holes_cannot_be_mended_they_are_told(node: Node) -> None:
    node.memory.watches_holes = False
    node.receive(1, 3)
    assert (node.seqs, node.gaps, node.recovered(1)) == ([1, 3], ["everywhere"], False)
    node.now_s += MARGIN_S + 15
    node.receive(4)
    assert node.recovered(4)


def test_where_holes_cannot_be_mended_one_that_was_heard_of_may_be_late(node: Node) -> None:
    node.memory.watches_holes = False
    node.receive(1)
    node.memory.expect(Number("p", 2))
    assert (node.gaps, node.recovered(1)) == ([], False)
    node.receive(2)
    assert node.seqs == [1, 2]


def test_a_publisher_met_in_the_middle_tells_nobody_but_makes_unsure(node: Node) -> None:
    node.memory.watches_holes = False
    node.receive(7)
    assert (node.seqs, node.gaps, node.recovered(7)) == ([7], [], False)


def test_an_empty_position_is_not_answered(node: Node) -> None:
    assert node.memory.recovered(SID, None) is None
    assert node.memory.recovered(SID, {}) is None


def test_a_position_of_unknown_publishers_only_is_not_recovered(node: Node) -> None:
    node.receive(1)
    assert node.recovered(1, publisher="stranger") is False
    assert node.memory.recovered(SID, {"stranger": 1, "p": 1}) is True


def test_while_it_catches_up_it_is_not_sure(node: Node) -> None:
    node.receive(1)
    node.memory.interrupted()
    assert node.recovered(1) is False
    node.memory.caught_up(FOREVER_AGO)
    assert node.recovered(1) is True


def test_what_was_missed_stays_missed_however_far_back_is_read_later(node: Node) -> None:
    """What came live after it has been received, so what lies before is recalled no more."""
    node.receive(3)
    node.memory.mend("p", {}, upto=3)
    node.memory.interrupted()
    node.memory.missed()
    node.memory.watches_holes = False
    node.receive(6)
    node.memory.interrupted()
    for seq in (4, 5, 6):
        node.memory.recall(numbered(seq), node.now_s)
    node.memory.caught_up(FOREVER_AGO)
    assert (node.seqs[-1], node.recovered(3)) == (6, False)


def test_a_node_that_began_a_moment_ago_is_sure_of_positions_well_after_that(node: Node) -> None:
    node.memory.missed()
    node.receive(1)
    assert node.recovered(1) is False
    node.now_s += MARGIN_S + 15
    node.receive(2)
    assert node.recovered(2) is True


def test_a_position_may_be_ahead(node: Node) -> None:
    node.receive(1, 2)
    assert node.memory.ahead({"p": 5, "q": 1}) == {"p": 5, "q": 1}
    assert node.memory.ahead({"p": 2}) == {}
    assert node.memory.ahead(None) == {}
    assert node.recovered(5) is True
