"""The recent messages of every session: what is retained, what goes, and what is known of it."""

from typing import Any

import pytest

from progress_ws.core.history import ALIASES_MAX, History
from progress_ws.core.message import Number, parse_id
from progress_ws.core.session import EVICTED_MAX
from tests.core.making import SID, message

OTHER = "o" * 22
TIGHT = 80_000


class Store:
    """A history with a clock that is moved by hand."""

    def __init__(self, *, max_bytes: int = 10**9, max_age_s: float = 300) -> None:
        self.now_s = 1000.0
        self.history = History(max_age_s=max_age_s, max_bytes=max_bytes, clock=lambda: self.now_s)

    def add(self, id: str | None, value: Any = 1, **fields: Any) -> bool:
        """Offer it; whether it was news."""
        made = message(value, id=id, **fields)
        number = None if id is None else parse_id(id)
        if not self.history.admits(made, number=number):
            return False
        self.history.add(made, number=number, arrived_s=self.now_s)
        return True

    def fill(self, first: int, last: int, *, publisher: str = "p", sid: str = SID) -> None:
        for seq in range(first, last + 1):
            self.add(f"{publisher}-{seq}", "x" * 500, sid=sid)

    def ids(self, sid: str = SID) -> list[str | None]:
        session = self.history.session(sid)
        entries = () if session is None else session.after(0)
        return [entry.message.id for entry in entries if entry.message is not None]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def tight() -> Store:
    return Store(max_bytes=TIGHT)


# -- what is retained -----------------------------------------------------------------------------


def test_what_has_no_key_is_retained_in_the_order_in_which_it_came(store: Store) -> None:
    for name in ("p-1", "q-7", "p-2"):
        store.add(name)
    assert store.ids() == ["p-1", "q-7", "p-2"]


def test_of_a_key_the_newest_stands_at_the_end(store: Store) -> None:
    store.add("p-1", key="k")
    store.add("p-2", key="l")
    store.add("p-3", key="k")
    assert store.ids() == ["p-2", "p-3"]


def test_a_key_is_a_sessions_own(store: Store) -> None:
    store.add("p-1", key="k")
    store.add("p-2", key="k", sid=OTHER)
    assert (store.ids(), store.ids(OTHER)) == (["p-1"], ["p-2"])


def test_nothing_of_a_run_follows_its_final_message_and_a_greater_run_begins_anew(
    store: Store,
) -> None:
    assert store.add("p-1", key="k", run="1", final=True)
    assert not store.add("p-2", key="k", run="1")
    assert store.add("p-3", key="k", run="2")
    assert not store.add("p-4", key="k", run="1", final=True)
    assert store.ids() == ["p-3"]


def test_a_repetition_of_a_dedupe_is_dropped_and_its_id_is_another_name(store: Store) -> None:
    assert store.add("p-1", dedupe="d")
    assert not store.add("q-5", dedupe="d")
    session = store.history.session(SID)
    assert session is not None
    (entry,) = session.after(0)
    assert entry.is_covered({"q": 5})
    assert entry.is_covered({"p": 1})
    assert not entry.is_covered({"q": 4})


def test_a_dedupe_is_known_after_its_message_was_replaced(store: Store) -> None:
    store.add("p-1", key="k", dedupe="d")
    store.add("p-2", key="k")
    assert not store.add("q-1", key="k", dedupe="d")
    assert store.ids() == ["p-2"]


def test_a_dedupe_is_a_sessions_own_and_forgotten_with_age(store: Store) -> None:
    assert store.add("p-1", dedupe="d")
    assert store.add("p-2", dedupe="d", sid=OTHER)
    store.now_s += 301
    store.history.expire()
    assert store.add("p-3", dedupe="d")


def test_turned_off_it_retains_nothing() -> None:
    for off in (Store(max_bytes=0), Store(max_age_s=0)):
        assert off.add("p-1", key="k", final=True)
        assert off.add("p-2", key="k")
        assert (len(off.history), off.history.size, off.ids()) == (0, 0, [])


# -- what goes ------------------------------------------------------------------------------------


def test_nothing_is_retained_beyond_the_age_final_ones_neither(store: Store) -> None:
    store.add("p-1")
    store.add("p-2", key="k", final=True)
    store.now_s += 200
    store.add("p-3")
    store.now_s += 101
    assert store.ids() == ["p-3"]
    store.now_s += 200
    assert (store.ids(), store.history.sessions, store.history.size) == ([], 0, 0)


def test_for_want_of_bytes_the_oldest_go_first_and_final_ones_last(tight: Store) -> None:
    tight.add("p-1", key="k", final=True)
    tight.fill(2, 60)
    first, *rest = tight.ids()
    assert first == "p-1"
    assert rest == [f"p-{seq}" for seq in range(61 - len(rest), 61)]
    assert 5 < len(rest) < 59


def test_a_session_beyond_its_share_loses_its_own_and_no_others(tight: Store) -> None:
    tight.add("q-1", sid=OTHER)
    tight.fill(1, 200)
    assert tight.ids(OTHER) == ["q-1"]
    session = tight.history.session(SID)
    assert session is not None
    assert session.measure() <= TIGHT // 8


def test_many_sessions_together_stay_within_the_bound(tight: Store) -> None:
    for n in range(500):
        tight.add(f"p-{n + 1}", sid=f"{n:022}")
        assert tight.history.size <= TIGHT
    assert tight.ids(f"{0:022}") == []
    assert tight.ids(f"{499:022}") == ["p-500"]


def test_what_is_larger_than_a_share_is_not_retained(tight: Store) -> None:
    tight.add("p-1", "x" * TIGHT)
    assert (tight.ids(), tight.history.size) == ([], 0)


# -- what is known of what has gone ---------------------------------------------------------------


def test_a_session_of_which_nothing_has_gone_is_whole(store: Store) -> None:
    store.fill(1, 3)
    assert store.history.is_whole(SID, 0.0, {"p": 1})
    assert store.history.is_whole(OTHER, 0.0, {"p": 1})


def test_what_has_gone_makes_only_positions_before_it_unsure(tight: Store) -> None:
    tight.fill(1, 60)
    kept = len(tight.ids())
    assert not tight.history.is_whole(SID, 0.0, {"p": 60 - kept - 1})
    assert tight.history.is_whole(SID, 0.0, {"p": 60 - kept})
    assert not tight.history.is_whole(SID, 0.0, {"q": 60})


def test_what_went_long_before_the_position_does_not_matter(store: Store) -> None:
    store.add("q-1")
    store.now_s += 301
    store.add("p-1")
    assert store.history.is_whole(SID, store.now_s - 60, {"p": 1})


def test_a_final_message_that_goes_last_does_not_hide_what_went_before_it(tight: Store) -> None:
    tight.add("p-1", key="k", final=True)
    tight.now_s += 290
    tight.fill(2, 60)
    tight.now_s += 11  # now the final one is too old
    assert "p-1" not in tight.ids()
    assert not tight.history.is_whole(SID, tight.now_s - 60, {"p": 5})


def test_that_a_whole_session_has_gone_is_not_forgotten(tight: Store) -> None:
    tight.fill(1, 3)
    for n in range(500):
        tight.add(f"q-{n + 1}", sid=f"{n:022}")
    assert tight.ids() == []
    assert not tight.history.is_whole(SID, 0.0, {"p": 1})
    tight.add("p-4")
    assert not tight.history.is_whole(SID, 0.0, {"p": 1})


def test_of_too_many_publishers_it_is_only_known_until_when_something_went(tight: Store) -> None:
    for n in range(EVICTED_MAX + 100):
        tight.add(f"p{n}-1", "x" * 500)
    everything = {f"p{n}": 1 for n in range(EVICTED_MAX + 100)}
    assert not tight.history.is_whole(SID, tight.now_s, everything)
    assert tight.history.is_whole(SID, tight.now_s + 1, everything)


def test_an_unnumbered_one_that_has_gone_is_covered_by_no_position(tight: Store) -> None:
    for n in range(60):
        tight.add(None, f"{n}" + "x" * 500)
    tight.add("p-1")
    assert not tight.history.is_whole(SID, tight.now_s, {"p": 1})


def test_a_repetition_has_so_many_names_and_no_more(store: Store) -> None:
    store.add("p-1", dedupe="d")
    for n in range(ALIASES_MAX + 5):
        store.add(f"q{n}-1", dedupe="d")
    session = store.history.session(SID)
    assert session is not None
    (entry,) = session.after(0)
    assert entry.aliases == tuple(Number(f"q{n}", 1) for n in range(ALIASES_MAX))
