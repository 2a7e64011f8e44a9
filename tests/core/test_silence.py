"""Promises of news, and who broke them: a clock and heartbeats that are moved by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.message import Number
from progress_ws.core.silence import HELD_S, PROOF_WITHIN_S, Silence
from tests.core.making import SID, message

OTHER = "o" * 22


class Watch:
    """A node that hears what it says at once, unless it is told otherwise."""

    def __init__(self, **bounds: Any) -> None:
        self.now_s = 1000.0
        self.silence = Silence(**({"longest_s": 300.0} | bounds), clock=lambda: self.now_s)
        self.sent = 0

    def hear(self, key: str | None = "k", *, stall_s: float | None = 10, **fields: Any) -> None:
        publisher = fields.pop("publisher", "p")
        self.silence.heard(message(key=key, stall_s=stall_s, **fields), Number(publisher, 1))

    def look(self, *, proof_s: float = 0.0, held: tuple[str, ...] = ()) -> list[str]:
        """Look, have a heartbeat come back, look again."""
        found = self.silence.find(sent=self.sent, heard=self.sent, held=held)
        assert not found
        if not self.silence.needs_proof:
            return []
        self.now_s += proof_s
        self.sent += 1
        return [s.key for s in self.silence.find(sent=self.sent, heard=self.sent, held=held)]

    def after(self, seconds: float, **how: Any) -> list[str]:
        self.now_s += seconds
        return self.look(**how)

    def stalled(self, sid: str = SID) -> list[str]:
        return [stall.key for stall in self.silence.stalled(sid)]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_silence_beyond_the_promise_is_found_once(watch: Watch) -> None:
    watch.hear()
    assert watch.after(9.9) == []
    assert watch.after(0.2) == ["k"]
    assert watch.after(60) == []
    assert watch.silence.stalls == 1


def test_it_says_how_long_it_has_been(watch: Watch) -> None:
    watch.hear()
    watch.after(12)
    watch.now_s += 8
    (stall,) = watch.silence.stalled(SID)
    assert (stall.sid, stall.silent_s, stall.since_s) == (SID, 20, 1000)


def test_news_renews_a_promise(watch: Watch) -> None:
    watch.hear()
    for _ in range(5):
        assert watch.after(9) == []
        watch.hear()
    assert watch.after(11) == ["k"]


def test_the_next_message_ends_it_and_the_next_silence_is_another_one(watch: Watch) -> None:
    watch.hear()
    watch.after(11)
    assert watch.silence.is_stalled(SID, "k")
    watch.hear()
    assert not watch.silence.is_stalled(SID, "k")
    assert watch.stalled() == []
    assert watch.after(11) == ["k"]


@pytest.mark.parametrize("last", [{"final": True}, {"stall_s": None}])
@pytest.mark.parametrize("is_late", [False, True])
def test_what_ends_a_promise(watch: Watch, last: dict[str, Any], is_late: bool) -> None:
    watch.hear()
    if is_late:
        assert watch.after(11) == ["k"]
    watch.hear(**last)
    assert watch.stalled() == []
    assert watch.after(1000) == []
    assert len(watch.silence) == 0


def test_without_a_key_nothing_is_promised(watch: Watch) -> None:
    watch.hear(None)
    assert len(watch.silence) == 0


def test_keys_and_sessions_are_told_apart(watch: Watch) -> None:
    watch.hear("a", stall_s=5)
    watch.hear("b", stall_s=20)
    watch.hear("a", sid=OTHER, stall_s=10)
    assert watch.after(6) == ["a"]
    assert (watch.stalled(), watch.stalled(OTHER)) == (["a"], [])
    assert watch.after(6) == ["a"]
    assert (watch.stalled(), watch.stalled(OTHER)) == (["a"], ["a"])
    assert watch.after(60) == ["b"]


@pytest.mark.parametrize(("before_s", "after_s"), [(100, 5), (5, 100)])
def test_the_latest_promise_counts(watch: Watch, before_s: float, after_s: float) -> None:
    watch.hear(stall_s=before_s)
    watch.hear(stall_s=after_s)
    assert watch.after(after_s - 0.1) == []
    assert watch.after(0.2) == ["k"]


def test_a_longer_promise_than_can_be_kept_counts_as_the_longest(watch: Watch) -> None:
    watch.hear(stall_s=1e9)
    assert watch.after(299) == []
    assert watch.after(1.1) == ["k"]


def test_silence_is_forgotten_when_history_has_forgotten_its_message(watch: Watch) -> None:
    watch.hear()
    watch.after(11)
    watch.after(288)
    assert watch.stalled() == ["k"]
    watch.after(2)
    assert watch.stalled() == []
    assert len(watch.silence) == 0


# -- only while the node hears ------------------------------------------------------------------


def test_nothing_is_said_before_a_heartbeat_proves_that_the_node_hears(watch: Watch) -> None:
    watch.hear()
    watch.now_s += 11
    for _ in range(3):
        assert watch.silence.find(sent=7, heard=7) == []
        assert watch.silence.needs_proof
    assert watch.silence.find(sent=9, heard=8) != []
    assert not watch.silence.needs_proof


def test_what_came_before_the_proof_counts(watch: Watch) -> None:
    """What had waited for a node that stood still is read before its heartbeat."""
    watch.hear()
    watch.now_s += 11
    watch.silence.find(sent=0, heard=0)
    watch.hear()
    assert watch.silence.find(sent=1, heard=1) == []
    assert watch.after(11) == ["k"]


def test_only_what_was_overdue_before_the_proof_is_proved(watch: Watch) -> None:
    watch.hear("a")
    watch.now_s += 1
    watch.hear("b")
    assert watch.after(9.5, proof_s=1) == ["a"]
    assert watch.look() == ["b"]


def test_a_late_proof_proves_that_the_node_was_deaf(watch: Watch) -> None:
    watch.hear()
    assert watch.after(11, proof_s=PROOF_WITHIN_S + 0.1) == []
    assert watch.after(9.9) == []
    assert watch.after(0.2) == ["k"]


def test_after_a_gap_it_counts_anew(watch: Watch) -> None:
    watch.hear("a")
    assert watch.after(11) == ["a"]
    watch.hear("b")
    watch.now_s += 30
    watch.silence.restart()
    assert watch.after(9) == []
    assert watch.stalled() == ["a"]
    assert watch.after(2) == ["b"]


def test_a_proof_from_before_a_gap_is_none(watch: Watch) -> None:
    watch.hear()
    watch.now_s += 11
    watch.silence.find(sent=0, heard=0)
    watch.silence.restart()
    assert watch.silence.find(sent=1, heard=1) == []


def test_who_is_behind_a_hole_may_have_spoken(watch: Watch) -> None:
    watch.hear("a", publisher="p")
    watch.hear("b", publisher="q")
    assert watch.after(11, held=("p",)) == ["b"]
    assert watch.look(held=("p",)) == []
    assert watch.after(HELD_S) == ["a"]


# -- bounds ---------------------------------------------------------------------------------------


def test_of_too_many_the_one_silent_longest_is_forgotten() -> None:
    watch = Watch(promises_max=2)
    watch.hear("a")
    watch.hear("b")
    watch.hear("a")
    watch.hear("c")
    assert len(watch.silence) == 2
    assert watch.after(11) == ["a", "c"]


def test_the_queue_is_bounded_whatever_is_promised_and_ended(watch: Watch) -> None:
    for n in range(10_000):
        watch.hear("k", stall_s=300 - n / 100)
        watch.hear(f"k{n % 7}")
        watch.hear(f"k{n % 7}", final=True)
    assert len(watch.silence) == 1
    assert len(watch.silence._queue) < 100


steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([None, 1, 2, 5, 9]),
        st.sampled_from([0, 1, 2, 4]),
        st.booleans(),
    ),
    max_size=40,
)


@given(steps)
def test_it_agrees_with_whoever_looks_at_every_key_each_time(
    steps: list[tuple[str, float | None, float, bool]],
) -> None:
    watch = Watch(longest_s=9)
    promised: dict[str, tuple[float, float]] = {}
    for key, stall_s, wait_s, is_final in steps:
        watch.hear(key, stall_s=stall_s, final=is_final)
        promised.pop(key, None)
        if stall_s is not None and not is_final:
            promised[key] = watch.now_s, stall_s
        watch.after(wait_s)
        expected = {
            key
            for key, (since_s, stall_s) in promised.items()
            if stall_s <= watch.now_s - since_s < 9
        }
        assert set(watch.stalled()) == expected
