"""The backlog in any order of events, beside a model of what it is meant to do."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from progress_ws import InvalidMessage, ProgressError, PublishError
from progress_ws.core.backlog import RESERVE, SHORT_BYTES, Backlog
from progress_ws.core.batch import Batch, Entry, entry_of
from progress_ws.core.message import Draft, supersedes
from tests.core.making import draft

MAX_BYTES = 8_000

sids = st.sampled_from(["a" * 22, "b" * 22])
fields = st.fixed_dictionaries(
    {"key": st.sampled_from([None, "k", "l"])},
    optional={"final": st.booleans()},
)
runs = st.sampled_from([None, "1", "2"])
sizes = st.sampled_from([1, 1, 1, 300, 3000])


class BacklogMachine(RuleBasedStateMachine):
    """Adds, takes, confirms, refuses, loses the connection, gives up: in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Backlog(publisher="p", max_bytes=MAX_BYTES)
        self.waiting: list[Entry] = []
        self.flight: list[Batch] = []
        self.again: list[Entry] = []
        self.members: dict[Batch, list[Entry]] = {}
        self.posts: set[Entry] = set()
        self.ids: dict[Entry, str] = {}
        self.told: dict[Entry, list[str | ProgressError]] = {}
        self.due: dict[Entry, list[str | ProgressError]] = {}
        self.nobody_waits: set[Entry] = set()
        self.values: dict[Entry, str] = {}
        self.sizes: dict[Entry, int] = {}
        self.voids: set[Entry] = set()

    # -- what a publisher does ------------------------------------------------------------------

    @rule(sid=sids, fields=fields, run=runs, size=sizes)
    def post(self, sid: str, fields: dict[str, Any], run: str | None, size: int) -> None:
        draft = self._draft(sid, fields, run, size)
        self._add(Entry(draft, ts=1.0), draft)

    @rule(sid=sids, fields=fields, run=runs, size=sizes)
    def send(self, sid: str, fields: dict[str, Any], run: str | None, size: int) -> None:
        told: list[str | ProgressError] = []
        draft = self._draft(sid, fields, run, size)
        entry = Entry(draft, ts=1.0, settle=told.append)
        self.told[entry], self.due[entry] = told, []
        self._add(entry, draft)

    @rule(sid=sids, size=sizes, count=st.sampled_from([1, 2, 20]))
    def post_plain(self, sid: str, size: int, count: int) -> None:
        """The way of a publisher: what is like those before joins them."""
        for _ in range(count):
            draft = self._draft(sid, {"key": None}, None, size)
            entry = Entry(draft, ts=1.0)
            if size <= SHORT_BYTES:
                entry = entry_of((draft.sid, bytes(draft.message), 1.0))
                self.posts.add(entry)
            self._add(entry, draft, add=lambda entry: self.log.post(entry.draft, ts=1.0))

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(list(self.told)))
        assert self.log.give_up(entry) == (entry in self.waiting)
        self._forsake(entry)
        if entry in self.waiting:
            self.waiting.remove(entry)

    # -- what a connection does -----------------------------------------------------------------

    @rule()
    def take(self) -> None:
        batch = self.log.take()
        if batch is None:
            assert not self.waiting
            assert not self.again
            return
        count = len(batch)
        if self.again:
            members, self.again = self.again[:count], self.again[count:]
            assert batch.ids == [self.ids[entry] for entry in members]
        else:
            members, self.waiting = self.waiting[:count], self.waiting[count:]
            first = len(self.ids) + 1
            assert batch.ids == [f"p-{first + n}" for n in range(count)]
            self.ids |= dict(zip(members, batch.ids, strict=True))
        self.members[batch] = members
        assert [e for e in batch.awaited if e.settle] == [e for e in members if e.settle]
        self.flight.append(batch)
        self._check_body(batch)

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        batch = self._from_flight(data)
        self.log.confirm(batch, batch.ids)
        for entry in self.members[batch]:
            self._tell(entry, self.ids[entry])

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        batch, flaw = self._from_flight(data), InvalidMessage("no", reason="refused")
        self.log.refuse(batch, flaw)
        if len(batch) > 1:
            self._send_again(self.members[batch])
        else:
            self._tell(self.members[batch][0], flaw)

    @rule()
    def lose(self) -> None:
        self.log.rewind()
        for batch in self.flight:
            self._send_again(self.members[batch])
        self.flight = []

    @rule()
    def fail(self) -> None:
        reason = PublishError("gone")
        self.log.fail_awaited(reason)
        unconfirmed = [*self.again, *(e for batch in self.flight for e in self.members[batch])]
        for entry in self.told.keys() & {*self.waiting, *unconfirmed}:
            self._tell(entry, reason)
            self._forsake(entry)
        self.waiting = [entry for entry in self.waiting if entry not in self.told]

    # -- what must always hold ------------------------------------------------------------------

    @invariant()
    def everybody_is_told_what_he_should_be_and_once(self) -> None:
        assert self.told == self.due
        assert all(len(told) <= 1 for told in self.told.values())

    @invariant()
    def it_knows_how_much_is_unconfirmed(self) -> None:
        unconfirmed = self._unconfirmed()
        assert len(self.log) == len(unconfirmed)
        assert self.log.wanted == sum(entry not in self.nobody_waits for entry in unconfirmed)
        assert self.log.has_more == bool(self.waiting or self.again)

    @invariant()
    def it_is_bounded(self) -> None:
        most = MAX_BYTES + 2 * (MAX_BYTES // RESERVE)
        assert self._bytes() <= most or len(self._unconfirmed()) == 1

    @invariant()
    def what_nobody_wants_is_held_no_longer(self) -> None:
        assert all(bytes(entry.draft.message) == b"" for entry in self.voids)

    def teardown(self) -> None:
        """Empty at last, it has all its room again."""
        while self.again or self.waiting:
            self.take()
        for batch in self.flight:
            self.log.confirm(batch, batch.ids)
        assert len(self.log) == 0
        unit = Entry(draft("x"), ts=1.0)
        for _ in range(MAX_BYTES // unit.size):
            assert self.log.add(Entry(draft("x"), ts=1.0))
        assert not self.log.add(unit)

    # -- the model ------------------------------------------------------------------------------

    def _draft(self, sid: str, fields: dict[str, Any], run: str | None, size: int) -> Draft:
        value = f"{len(self.values)}".ljust(size, "x")
        return draft(value, sid=sid, run=run if fields["key"] else None, **fields)

    def _add(self, entry: Entry, new: Draft, *, add: Callable[[Entry], bool] | None = None) -> None:
        add = add or self.log.add
        is_awaited = entry in self.told
        self.values[entry], self.sizes[entry] = json.loads(bytes(new.message)), entry.size
        older = [
            e
            for e in self.waiting
            if not is_awaited
            and e not in self.told
            and new.key
            and (e.draft.sid, e.draft.key) == (new.sid, new.key)
        ]
        if older and not supersedes(new, older[0].draft):
            assert add(entry)
            return
        more = entry.size - sum(self.sizes[e] for e in older)
        bound = MAX_BYTES
        if not is_awaited:
            bound += MAX_BYTES // RESERVE * ((new.key is not None) + bool(new.final))
        fits = more <= 0 or self._bytes() + more <= bound or not self._unconfirmed()
        assert add(entry) == fits
        if fits:
            self.waiting = [e for e in self.waiting if e not in older] + [entry]

    def _bytes(self) -> int:
        """What is held: of a void its overhead only."""
        void = Entry(draft("x"), ts=1.0)
        overhead = void.size - len(void.draft.message)
        return sum(overhead if e in self.voids else self.sizes[e] for e in self._unconfirmed())

    def _forsake(self, entry: Entry) -> None:
        """Nobody waits for it; under a number it is a void until that is settled."""
        on_its_way = [e for e in self._unconfirmed() if e not in self.waiting]
        if entry in on_its_way and entry not in self.nobody_waits:
            self.voids.add(entry)
        self.nobody_waits.add(entry)

    def _check_body(self, batch: Batch) -> None:
        """A void stands in the place of what was given up, and everything else is as it was."""
        decoded = json.loads(batch.body())
        texts = decoded if len(batch) > 1 else [decoded]
        for entry, member in zip(self.members[batch], texts, strict=True):
            if entry in self.voids:
                assert member == {"id": self.ids[entry], "void": True}
            else:
                assert (member["id"], member["message"]) == (self.ids[entry], self.values[entry])

    def _from_flight(self, data: st.DataObject) -> Batch:
        index = data.draw(st.integers(0, len(self.flight) - 1))
        return self.flight.pop(index)

    def _send_again(self, entries: list[Entry]) -> None:
        self.again = sorted([*self.again, *entries], key=lambda e: int(self.ids[e][2:]))

    def _tell(self, entry: Entry, outcome: str | ProgressError) -> None:
        if entry in self.due and entry not in self.nobody_waits:
            self.due[entry].append(outcome)

    def _unconfirmed(self) -> list[Entry]:
        return [*self.waiting, *self.again, *(e for b in self.flight for e in self.members[b])]


BacklogMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestBacklog = BacklogMachine.TestCase
