"""Browsers come, go and come back in any order of events, beside a ledger as naive as can be."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from progress_ws.core.codec import encode
from progress_ws.core.history import SHARE, History
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.message import Message, Number, Numbered
from progress_ws.core.outbox import Outbox
from progress_ws.core.series import decode_series
from progress_ws.core.update import Update
from tests.core.making import message, taken

SIDS = ["a" * 22, "b" * 22]
sids = st.sampled_from(SIDS)
publishers = st.sampled_from(["p", "q"])
fields = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"key": st.sampled_from("kl"), "run": st.sampled_from([None, "1", "2"])},
        optional={"final": st.just(True)},
    ),
)
names = st.sampled_from([None, None, None, "d", "e"])
sizes = st.sampled_from([1, 1, 200, 2000])


class Browser:
    """One that keeps its position; `got` and `told` go over all its visits."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.outbox: Outbox | None = None
        self.positions: dict[str, int] = {}
        self.got: list[Message] = []
        self.due: list[str | None] = []  # what was retained when it came, and it has not seen
        self.excused_until = 0  # of what had come in by then, some may be missing: it was told so

    def receive(self, items: list[Update | bytes], count: int) -> None:
        for item in items:
            if isinstance(item, bytes):
                assert b'"gap"' in item
                self.excused_until = count
                self.due = []
                continue
            self.got.append(item.message)
            publisher, _, seq = (item.message.id or "").rpartition("-")
            assert int(seq) > self.positions.get(publisher, 0), "a number twice, or out of order"
            self.positions[publisher] = int(seq)

    def has_seen(self, retained: Message) -> bool:
        publisher, _, seq = (retained.id or "").rpartition("-")
        return int(seq) <= self.positions.get(publisher, 0)


class Roomy(RuleBasedStateMachine):
    """Nothing is ever evicted: whoever comes back is told the truth, and it is `true`."""

    max_age_s, max_bytes = 1e9, 10**9

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.hub = Hub()
        self.history = History(
            max_age_s=self.max_age_s, max_bytes=self.max_bytes, clock=lambda: self.now_s
        )
        self.memory = Memory(self.history, self.hub, clock=lambda: self.now_s, margin_s=5)
        self.memory.begins()
        self.sent: dict[str, list[Message | None]] = {"p": [], "q": []}
        self.accepted: list[Message] = []
        self.browsers: list[Browser] = []

    # -- events -----------------------------------------------------------------------------------

    @rule(publisher=publishers, sid=sids, fields=fields, dedupe=names, size=sizes)
    def publish(
        self, publisher: str, sid: str, fields: dict[str, Any], dedupe: str | None, size: int
    ) -> None:
        seq = len(self.sent[publisher]) + 1
        new = message("x" * size, sid=sid, id=f"{publisher}-{seq}", dedupe=dedupe, **fields)
        self.sent[publisher].append(new)
        self._receive(new)

    @rule(publisher=publishers, members=st.lists(st.tuples(sids, sizes), min_size=1, max_size=12))
    def publish_series(self, publisher: str, members: list[tuple[str, int]]) -> None:
        sent = self.sent[publisher]
        first = len(sent) + 1
        new = [
            message("x" * size, sid=sid, id=f"{publisher}-{seq}", ts=1.5)
            for seq, (sid, size) in enumerate(members, first)
        ]
        series = decode_series(encode(new), known=self.memory.sids, max_message_bytes=65536)
        assert series is not None
        sent += new
        repeated = self.memory.repeated
        self.memory.receive_series(series)
        assert self.memory.repeated == repeated
        self.accepted += new

    @precondition(lambda self: any(self._sent()))
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self._sent()))
        count, repeated = len(self.accepted), self.memory.repeated
        self._receive(old)
        assert len(self.accepted) == count
        assert self.memory.repeated == repeated + 1

    @rule(publisher=publishers)
    def give_up(self, publisher: str) -> None:
        self.sent[publisher].append(None)
        self.memory.receive(Numbered(Number(publisher, len(self.sent[publisher]))))

    @rule(sid=sids)
    def open(self, sid: str) -> None:
        browser = Browser(sid)
        browser.excused_until = 0 if self.is_roomy else len(self.accepted)
        self.browsers.append(browser)
        self._attach(browser)

    @precondition(lambda self: self._away())
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        browser = data.draw(st.sampled_from(self._away()))
        recovered = self.memory.recovered(browser.sid, browser.positions)
        if browser.positions:
            assert recovered is not None
            assert recovered or not self.is_roomy
        if not recovered and browser.positions:
            browser.excused_until = len(self.accepted)
        if not browser.positions:  # it has seen nothing, and is told of nothing
            browser.excused_until = 0 if self.is_roomy else len(self.accepted)
        self._attach(browser)

    @precondition(lambda self: self._attached())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        browser = data.draw(st.sampled_from(self._attached()))
        assert browser.outbox is not None
        self.hub.detach(browser.sid, browser.outbox)
        browser.outbox = None
        browser.due = []

    @precondition(lambda self: self._attached())
    @rule(data=st.data())
    def read_a_little(self, data: st.DataObject) -> None:
        self._read(data.draw(st.sampled_from(self._attached())))

    @rule(seconds=st.sampled_from([1, 10, 40]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.history.expire()

    # -- what must always hold --------------------------------------------------------------------

    @invariant()
    def the_sizes_are_sums_and_within_the_bound(self) -> None:
        sessions = [s for sid in SIDS if (s := self.history.session(sid)) is not None]
        assert sum(s.measure() for s in sessions) <= self.history.size <= self.max_bytes
        assert len(self.history) == sum(len([*s.after(0)]) for s in sessions)
        assert all(s.measure() <= self.max_bytes // SHARE for s in sessions)

    @invariant()
    def nothing_is_too_old(self) -> None:
        for sid in SIDS:
            if (session := self.history.session(sid)) is not None:
                for entry in session.after(0):
                    assert self.now_s - entry.arrived_s <= self.max_age_s

    def teardown(self) -> None:
        """Everybody comes back and reads to the end; then nothing may be missing."""
        for browser in self._away():
            recovered = self.memory.recovered(browser.sid, browser.positions)
            if not recovered and not (self.is_roomy and not browser.positions):
                browser.excused_until = len(self.accepted)
            self._attach(browser)
        for browser in self.browsers:
            while self._read(browser):
                pass
            self._judge(browser)

    def _judge(self, browser: Browser) -> None:
        got = {m.id for m in browser.got}
        assert len(got) == len(browser.got), "twice"
        own = [(n, m) for n, m in enumerate(self.accepted) if m.sid == browser.sid]
        for n, m in own:
            is_replaced = m.key and any(o.key == m.key and k > n for k, o in own)
            # An outbox may still hold what ended its run when history has let go of that.
            is_old = any(o.key == m.key and _ends_run_of(m, o) for _, o in own[: own.index((n, m))])
            if m.id not in got and not is_replaced and not is_old:
                assert n < browser.excused_until, f"lost {m.id}"
                assert m.id not in browser.due, f"{m.id} was there, and was not given"
        order = [m.id for _, m in own]
        for key in "kl":
            places = [order.index(m.id) for m in browser.got if m.key == key]
            assert places == sorted(places), "an older one of a key after a newer one"

    # -- the rest ---------------------------------------------------------------------------------

    @property
    def is_roomy(self) -> bool:
        return type(self) is Roomy

    def _sent(self) -> list[Message]:
        return [m for sent in self.sent.values() for m in sent if m is not None]

    def _receive(self, new: Message) -> None:
        publisher, _, seq = (new.id or "").rpartition("-")
        repeated, stale = self.memory.repeated, self.memory.stale
        self.memory.receive(Numbered(Number(publisher, int(seq)), new))
        if self.memory.repeated > repeated:
            return
        is_news = self.memory.stale == stale
        if self.is_roomy:
            assert is_news == self._is_news(new)
        if is_news:
            self.accepted.append(new)

    def _is_news(self, new: Message) -> bool:
        own = [m for m in self.accepted if m.sid == new.sid]
        if new.dedupe and any(m.dedupe == new.dedupe for m in own):
            return False
        same = [m for m in own if new.key and m.key == new.key]
        if not same or same[-1].run is None or new.run is None:
            return True
        last = same[-1]
        return new.run > (last.run or "") or (new.run == last.run and not last.final)

    def _attach(self, browser: Browser) -> None:
        browser.outbox = Outbox(on_overflow=lambda: None)
        self.hub.attach(browser.sid, browser.outbox)
        replay = self.memory.replay(browser.sid, browser.positions)
        assert replay is not None
        browser.outbox.replay(replay, ahead=self.memory.ahead(browser.positions))
        session = self.history.session(browser.sid)
        retained = [] if session is None else [e.message for e in session.after(0)]
        browser.due = [m.id for m in retained if m is not None and not browser.has_seen(m)]

    def _read(self, browser: Browser) -> bool:
        """One write's worth; false when there is nothing."""
        assert browser.outbox is not None
        items = taken(browser.outbox)
        browser.receive(items, len(self.accepted))
        return bool(items)

    def _away(self) -> list[Browser]:
        return [b for b in self.browsers if b.outbox is None]

    def _attached(self) -> list[Browser]:
        return [b for b in self.browsers if b.outbox is not None]


def _ends_run_of(message: Message, older: Message) -> bool:
    if not (message.key and message.run and older.run):
        return False
    return older.run > message.run or (older.run == message.run and older.final)


class Tight(Roomy):
    """Age and bytes are always short: what is gone is never called there."""

    max_age_s, max_bytes = 30, 80_000

    @rule(publisher=publishers, sid=sids)
    def publish_more_than_there_is_room_for(self, publisher: str, sid: str) -> None:
        for _ in range(5):
            self.publish(publisher, sid, {}, None, 2000)


Roomy.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
Tight.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRoomy = Roomy.TestCase
TestTight = Tight.TestCase
