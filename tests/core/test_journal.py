"""What is retained in one piece: read back, let go, freed; and one session does not take it all."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from progress_ws.core.history import History
from progress_ws.core.journal import Journal
from progress_ws.core.message import Message, Number
from progress_ws.core.series import Series, decode_series
from tests.core.making import SID, message

OTHER, THIRD = "o" * 22, "t" * 22


class Store:
    """A history that gets series; of each publisher the numbers go on."""

    def __init__(self, max_bytes: int = 10**9) -> None:
        self.now_s = 1000.0
        self.history = History(max_age_s=300, max_bytes=max_bytes, clock=lambda: self.now_s)
        self.seqs: dict[str, int] = {}

    def add(
        self, *sids: str, value: Any = "x", publisher: str = "p", separators: Any = (",", ":")
    ) -> None:
        """One series, a message to each."""
        first = self.seqs.get(publisher, 0) + 1
        self.seqs[publisher] = first + len(sids) - 1
        members = [
            {"sid": sid, "message": value, "id": f"{publisher}-{seq}", "ts": 1.5}
            for seq, sid in enumerate(sids, first)
        ]
        body = json.dumps(members, separators=separators, ensure_ascii=False).encode()
        self.history.add_series(
            self._read(body), number=Number(publisher, first), arrived_s=self.now_s
        )

    def add_single(self, id: str, *, sid: str = SID, **fields: Any) -> None:
        publisher, _, seq = id.rpartition("-")
        number = Number(publisher, int(seq))
        self.history.add(message(1, sid=sid, id=id, **fields), number=number, arrived_s=self.now_s)

    def messages(self, sid: str = SID) -> list[Message]:
        session = self.history.session(sid)
        found = () if session is None else session.after(0)
        return [entry.message for entry in found if entry.message is not None]

    def ids(self, sid: str = SID) -> list[str | None]:
        return [each.id for each in self.messages(sid)]

    def _read(self, body: bytes) -> Series:
        series = decode_series(body, known=(), max_message_bytes=65536)
        assert series is not None
        return series


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.mark.parametrize("separators", [(",", ":"), (" ,\n ", " : ")], ids=["dense", "with blanks"])
def test_every_message_is_read_back_as_it_was(store: Store, separators: Sequence[str]) -> None:
    values = ["进度", {"a": [1, 2, "],["]}, None, "", '"', 1.5]
    for value in values:
        store.add(OTHER, SID, THIRD, value=value, separators=separators)
    assert [json.loads(bytes(m.message)) for m in store.messages()] == values
    assert {(m.sid, m.ts) for m in store.messages()} == {(SID, 1.5)}
    assert store.ids(THIRD) == [f"p-{3 * n + 3}" for n in range(len(values))]


def test_single_messages_and_series_stay_in_the_order_in_which_they_came(store: Store) -> None:
    store.add_single("q-1")
    store.add(SID, SID)
    store.add_single("q-2", key="k", final=True)
    store.add(SID, OTHER)
    store.add_single("q-3")
    assert store.ids() == ["q-1", "p-1", "p-2", "q-2", "p-3", "q-3"]
    session = store.history.session(SID)
    assert session is not None
    (*_, last) = session.after(0)
    assert [entry.place for entry in session.after(last.place - 1)] == [last.place]
    assert session.latest == last.place


def test_what_lies_beyond_positions_is_told_whatever_it_came_in(store: Store) -> None:
    for n in range(1, 5):
        store.add(SID, SID, OTHER, SID)
        store.add(SID, OTHER, publisher="q")
        store.add_single(f"r-{n}")
        store.add_single(f"r-{n + 4}", sid=OTHER)
    session = store.history.session(SID)
    assert session is not None
    everything = [*session.after(0)]
    for positions in (
        {"p": seq, "q": seq // 2, "r": seq // 4, "x": 9} for seq in range(store.seqs["p"] + 2)
    ):
        for place in (0, everything[5].place, everything[-1].place):
            assert [entry.number for entry in session.after(place, positions)] == [
                entry.number
                for entry in everything
                if entry.place > place and not entry.is_covered(positions)
            ]


def test_what_a_browser_has_seen_is_not_even_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume at the end of a busy session may have very much behind it."""
    for _ in range(3):
        store.add(*[SID] * 1000)
    made: list[int] = []
    make = Journal.entry
    monkeypatch.setattr(Journal, "entry", lambda *args: made.append(args[1]) or make(*args))
    session = store.history.session(SID)
    assert session is not None
    (last,) = session.after(0, {"p": 2999})
    assert (last.number, made) == (Number("p", 3000), [last.place])


def test_nothing_is_retained_beyond_the_age(store: Store) -> None:
    store.add(SID, OTHER)
    store.now_s += 200
    store.add(SID)
    store.now_s += 101
    assert (store.ids(), store.ids(OTHER)) == (["p-3"], [])
    assert not store.history.is_whole(SID, 0.0, {"p": 0})
    assert store.history.is_whole(SID, 0.0, {"p": 1})
    store.now_s += 200
    assert store.ids() == []
    assert (len(store.history), store.history.sessions, store.history.size) == (0, 0, 0)


def test_for_want_of_bytes_the_oldest_go_first_whatever_they_came_in() -> None:
    store = Store(max_bytes=200_000)
    sids = [f"{n:022}" for n in range(20)]
    store.add_single("q-1", sid=sids[0], final=True, key="k")
    for n in range(400):
        store.add(*sids[:19])
        store.add_single(f"q-{n + 2}", sid=sids[19])
        assert store.history.size <= 200_000
    assert store.ids(sids[0])[0] == "q-1"
    kept = [store.ids(sid) for sid in sids]
    assert all(ids[-1] in {f"p-{store.seqs['p'] - 18 + n}", "q-401"} for n, ids in enumerate(kept))
    lengths = sorted(map(len, kept))
    assert lengths[0] > 10
    assert lengths[-1] - lengths[0] <= lengths[-1] // 8 + 2
    for ids in kept[1:]:
        assert ids == sorted(ids, key=lambda name: int(name[2:]))


def test_what_a_flood_of_one_session_leaves_behind_does_not_cost_the_others_theirs() -> None:
    """Its own oldest messages lie in one piece with others', and have to be taken out of it."""
    bound = 400_000
    store = Store(max_bytes=bound)
    quiet = [f"{n:022}" for n in range(50)]
    for sid in quiet:
        store.add(sid, *[SID] * 9, value="x" * 200)
    before = {sid: store.messages(sid) for sid in quiet}
    for _ in range(300):
        store.add(*[SID] * 20, value="x" * 200)
        assert store.history.size <= bound
        session = store.history.session(SID)
        assert session is not None
        assert session.measure() <= bound // 8
    assert {sid: store.messages(sid) for sid in quiet} == before
    assert all(store.history.is_whole(sid, 0.0, {"p": 0}) for sid in quiet)
    assert store.ids() == [f"p-{n}" for n in range(store.seqs["p"] + 1)[-len(store.ids()) :]]
    store.now_s += 301
    assert (store.ids(), store.history.size, len(store.history)) == ([], 0, 0)


def test_of_each_publisher_it_is_known_how_far_its_messages_have_gone() -> None:
    store = Store(max_bytes=80_000)
    for _ in range(100):
        store.add(SID, OTHER, publisher="p")
        store.add(SID, publisher="q")
    ids = store.ids()
    gone = {name: min(int(i[2:]) for i in ids if i and i[0] == name) - 1 for name in "pq"}
    # Of what went, p's latest was for SID at an odd number.
    assert store.history.is_whole(SID, 0.0, gone)
    assert not store.history.is_whole(SID, 0.0, gone | {"p": gone["p"] - 2})
    assert not store.history.is_whole(SID, 0.0, gone | {"q": gone["q"] - 1})
    assert not store.history.is_whole(SID, 0.0, {"p": gone["p"]})


def test_turned_off_it_retains_nothing() -> None:
    store = Store(max_bytes=0)
    store.add(SID, OTHER)
    assert (len(store.history), store.history.size, store.ids()) == (0, 0, [])
