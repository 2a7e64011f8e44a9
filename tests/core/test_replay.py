"""What a browser missed, read in bites while history goes on."""

from typing import Any

import pytest

from progress_ws.core.history import History
from progress_ws.core.message import Number
from progress_ws.core.replay import Replay
from tests.core.making import SID, message

ALL = 10**9
OTHER = "o" * 22


class Store:
    """A history with a clock that is moved by hand."""

    def __init__(self, *, max_bytes: int = 10**9) -> None:
        self.now_s = 1000.0
        self.history = History(max_age_s=300, max_bytes=max_bytes, clock=lambda: self.now_s)

    def add(self, seq: int, value: Any = 1, **fields: Any) -> None:
        made = message(value, id=f"p-{seq}", **fields)
        self.history.add(made, number=Number("p", seq), arrived_s=self.now_s)

    def replay(self, **positions: int) -> Replay:
        return Replay(self.history, SID, positions, stalled=list)


@pytest.fixture
def store() -> Store:
    return Store()


def seqs(replay: Replay, room: int = ALL) -> list[int]:
    return [int((update.message.id or "")[2:]) for update in replay.take(room)]


def test_it_gives_what_lies_beyond_the_position_oldest_first(store: Store) -> None:
    for seq in range(1, 6):
        store.add(seq)
    assert seqs(store.replay(p=2)) == [3, 4, 5]
    assert seqs(store.replay()) == [1, 2, 3, 4, 5]
    assert seqs(store.replay(p=5)) == []


def test_that_the_position_covers_the_latest_is_no_loss(store: Store) -> None:
    for seq in range(1, 6):
        store.add(seq)
    replay = store.replay(p=5)
    assert (seqs(replay), replay.lost) == ([], False)
    store.add(6)
    replay.await_latest()
    assert (seqs(replay), replay.lost) == ([6], False)


def test_it_marks_what_it_gives(store: Store) -> None:
    store.add(1)
    assert all(update.replay for update in store.replay().take(ALL))


def test_of_a_session_of_which_nothing_is_retained_it_gives_nothing(store: Store) -> None:
    replay = store.replay()
    assert (seqs(replay), replay.lost) == ([], False)


def test_it_goes_on_from_bite_to_bite_and_comes_to_what_arrives_meanwhile(store: Store) -> None:
    for seq in (1, 2, 3):
        store.add(seq)
    replay = store.replay()
    assert seqs(replay, 1) == [1]
    store.add(4)
    replay.await_latest()
    assert [seqs(replay, 1) for _ in range(4)] == [[2], [3], [4], []]
    assert not replay.lost


def test_what_is_replaced_meanwhile_is_given_once_in_its_new_place(store: Store) -> None:
    store.add(1)
    store.add(2, key="k")
    store.add(3)
    replay = store.replay()
    assert seqs(replay, 1) == [1]
    store.add(4, key="k")
    replay.await_latest()
    assert (seqs(replay), replay.lost) == ([3, 4], False)


def test_a_final_message_is_given_though_younger_ones_are_gone() -> None:
    store = Store(max_bytes=80_000)
    store.add(1, key="k", final=True)
    for seq in range(2, 60):
        store.add(seq, "x" * 500)
    replay = store.replay()
    given = seqs(replay)
    assert given[0] == 1
    assert given[1:] == list(range(given[1], 60))
    assert not replay.lost


def test_a_final_message_is_given_though_the_replay_is_overtaken() -> None:
    store = Store(max_bytes=80_000)
    store.add(1, "x" * 500)
    store.add(2, key="k", final=True)
    replay = store.replay()
    assert seqs(replay, 1) == [1]
    for seq in range(3, 60):
        store.add(seq, "x" * 500)
        replay.await_latest()
    given = seqs(replay)
    assert given[0] == 2
    assert given[-1] == 59
    assert replay.lost


def test_what_goes_before_it_is_read_is_told_once() -> None:
    store = Store(max_bytes=80_000)
    store.add(1, "x" * 500)
    replay = store.replay()
    for seq in range(2, 60):
        store.add(seq, "x" * 500)
        replay.await_latest()
    assert seqs(replay)[-1] == 59
    assert replay.lost
    replay.lost = False
    assert (seqs(replay), replay.lost) == ([], False)


def test_what_had_gone_before_it_began_is_not_its_loss(store: Store) -> None:
    store.add(1)
    store.now_s += 301
    store.add(2)
    replay = store.replay()
    assert (seqs(replay), replay.lost) == ([2], False)


def test_what_is_too_old_when_it_begins_is_not_its_loss(store: Store) -> None:
    store.add(1)
    store.now_s += 200
    store.add(2)
    store.now_s += 200
    replay = store.replay()
    assert (seqs(replay), replay.lost) == ([2], False)


def test_a_latest_one_that_had_gone_before_it_began_is_not_its_loss() -> None:
    """Only the final one is left, and it is older."""
    store = Store(max_bytes=80_000)
    store.add(1, key="k", final=True)
    store.add(2, "x" * 9999)
    replay = store.replay()
    assert (seqs(replay), replay.lost) == ([1], False)


def test_all_of_it_may_go_at_once(store: Store) -> None:
    for seq in (1, 2):
        store.add(seq)
    replay = store.replay()
    assert seqs(replay, 1) == [1]
    store.now_s += 301
    assert (seqs(replay), replay.lost) == ([], True)


def test_what_is_gone_of_another_session_is_nothing_to_it() -> None:
    store = Store(max_bytes=80_000)
    store.add(1)
    replay = store.replay()
    for seq in range(2, 60):
        store.add(seq, "x" * 500, sid=OTHER)
    assert (seqs(replay), replay.lost) == ([1], False)


@pytest.mark.parametrize("others", [0, 1], ids=["nothing is left", "something is left"])
def test_a_final_message_that_goes_unread_is_missed_though_later_ones_went_before(
    others: int,
) -> None:
    """It goes last, so what is known to be gone lies behind it already."""
    store = Store(max_bytes=80_000)
    store.add(1, key="k", final=True)
    store.now_s += 200
    for seq in range(2, 60):
        store.add(seq, "x" * 500)
    replay = store.replay()
    store.now_s += 301 - 200 * others
    assert 1 not in seqs(replay)
    assert replay.lost


def test_what_goes_of_other_sessions_is_no_loss(store: Store) -> None:
    replay = store.replay()
    store.history.add(message(1, sid=OTHER, id="q-1"), number=Number("q", 1), arrived_s=store.now_s)
    store.now_s += 301
    store.history.expire()
    assert (seqs(replay), replay.lost) == ([], False)
