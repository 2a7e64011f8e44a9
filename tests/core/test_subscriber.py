"""One browser's sessions, however it is connected; and a browser that hops from node to node."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.frames import FOLLOWS_MAX, pack
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.message import Numbered, parse_id
from progress_ws.core.outbox import TAKE_BYTES, Outbox
from progress_ws.core.position import After, Position, parse_position
from progress_ws.core.subscriber import Subscriber
from progress_ws.core.update import Update
from progress_ws.errors import ProtocolError
from tests.core.making import SID, message

OTHER = "o" * 22


class Node:
    """A memory and its hub; time stands still unless it is moved."""

    def __init__(self, *, history_s: float = 300) -> None:
        self.now_s = 1000.0
        self.hub = Hub()
        history = History(max_age_s=history_s, max_bytes=10**8, clock=lambda: self.now_s)
        self.memory = Memory(history, self.hub, clock=lambda: self.now_s)
        self.memory.begins()

    def browser(self, *, as_text: bool = False) -> tuple[Subscriber, Outbox]:
        box = Outbox(on_overflow=lambda: None, messages_only=as_text)
        made = Subscriber(box, hub=self.hub, memory=self.memory, node="n", as_text=as_text)
        return made, box

    def receive(self, id: str, value: Any = 1, *, sid: str = SID, **fields: Any) -> None:
        number = parse_id(id)
        assert number is not None
        self.memory.receive(Numbered(number, message(value, sid=sid, id=id, **fields)))

    def fall_silent(self) -> None:
        """Prove that every promise of news was broken."""
        for sent, heard in ((0, 0), (1, 2)):
            self.now_s += 1.5
            self.memory.tell_stalled(sent=sent, heard=heard)


def frames(box: Outbox) -> list[dict[str, Any]]:
    """All that waits, to the end of a replay."""
    found = []
    while batch := box.take_now():
        found += [json.loads(i.frame() if isinstance(i, Update) else i) for i in batch]
    return found


def short(box: Outbox) -> list[str]:
    """The same: messages by their ids, other frames by their types."""
    return [str(frame.get("id", frame["type"])) for frame in frames(box)]


def test_the_welcome_comes_first_then_what_is_retained_then_what_is_live() -> None:
    node = Node()
    node.receive("p-1")
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, None)
        node.receive("p-2")
        assert frames(box)[0] == {
            "type": "welcome",
            "sid": SID,
            "node": "n",
            "protocol": 1,
            "ping_s": 25,
        }
        node.receive("p-3")
        assert short(box) == ["p-3"]


def test_without_a_sid_nothing_is_attached() -> None:
    node = Node()
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome("", None)
        assert "sid" not in frames(box)[0]
        assert node.hub.sessions == 0


@pytest.mark.parametrize(
    ("after", "recovered"), [(None, None), ({}, None), ({"p": 1}, True), ({"unknown": 1}, False)]
)
def test_a_position_is_answered(after: After, recovered: bool | None) -> None:
    node = Node()
    node.receive("p-1")
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, after)
        subscriber.follow(OTHER, after)
        told = [f for f in frames(box) if f["type"] in ("welcome", "followed")]
        assert [frame.get("recovered") for frame in told] == [recovered] * 2
    assert subscriber.glance(SID, after) is recovered


def test_leaving_detaches_from_everything() -> None:
    node = Node()
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, None)
        subscriber.follow(OTHER, None)
        assert node.hub.sessions == 2
    assert node.hub.sessions == 0
    frames(box)
    node.receive("p-1")
    assert short(box) == []


def test_what_is_unfollowed_is_silent() -> None:
    node = Node()
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, None)
        subscriber.unfollow(SID)
        assert short(box) == ["welcome", "unfollowed"]
        node.receive("p-1")
        assert short(box) == []
        for refused in (subscriber.unfollow, subscriber.check):
            with pytest.raises(ProtocolError) as refusal:
                refused(SID)
            assert (refusal.value.code, refusal.value.sid) == ("not_attached", SID)


def test_follows_are_bounded_and_the_own_session_is_none() -> None:
    node = Node()
    subscriber, _ = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, None)
        for n in range(FOLLOWS_MAX):
            subscriber.follow(f"{n:022}", None)
        subscriber.follow(SID, None)
        with pytest.raises(ProtocolError) as refusal:
            subscriber.follow(OTHER, None)
        assert refusal.value.code == "too_many_follows"


def test_what_the_browser_saw_elsewhere_does_not_come_again() -> None:
    """Its position is ahead of this node, which hears the same messages later."""
    node = Node()
    node.receive("p-1")
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, {"p": 3})
        for seq in (2, 3, 4):
            node.receive(f"p-{seq}")
        assert short(box)[1:] == ["p-4"]


@pytest.mark.parametrize("history_s", [300, 0])
def test_who_is_silent_is_told_last(history_s: float) -> None:
    node = Node(history_s=history_s)
    node.receive("p-1", key="k", stall_s=1)
    node.fall_silent()
    expected = ["p-1", "stalled"] if history_s else ["stalled"]
    subscriber, box = node.browser()
    with subscriber.attached():
        subscriber.welcome(SID, None)
        assert short(box) == ["welcome", *expected]
    subscriber.glance(SID, None)
    assert short(box) == expected


def test_the_article_is_greeted_in_its_own_wire() -> None:
    node = Node()
    node.receive("p-1", "10 %")
    subscriber, box = node.browser(as_text=True)
    with subscriber.attached():
        subscriber.welcome(SID, None)
        told = box.take_now()
        assert told[0] == f"连接成功{SID}".encode()
        assert [item.packed_text() for item in told[1:] if isinstance(item, Update)] == [
            pack(b"10 %")
        ]


# -- a glance ---------------------------------------------------------------------------------


def test_a_glance_leaves_nothing_attached() -> None:
    node = Node()
    subscriber, box = node.browser()
    assert subscriber.glance(SID, None) is None
    assert node.hub.sessions == 0
    assert short(box) == []


def test_a_glance_ends_however_much_is_published_meanwhile() -> None:
    node = Node()
    for seq in (1, 2, 3):
        node.receive(f"p-{seq}", "x" * TAKE_BYTES)
    subscriber, box = node.browser()
    subscriber.glance(SID, None)
    seen = []
    for seq in range(4, 20):
        seen += [item.message.id for item in box.take_now() if isinstance(item, Update)]
        node.receive(f"p-{seq}", "x" * TAKE_BYTES)
    assert seen == ["p-1", "p-2", "p-3"]


def test_a_value_that_is_replaced_meanwhile_is_no_gap() -> None:
    node = Node()
    node.receive("p-1", "x" * TAKE_BYTES)
    node.receive("p-2", key="k")
    subscriber, box = node.browser()
    subscriber.glance(SID, None)
    first = [item.message.id for item in box.take_now() if isinstance(item, Update)]
    node.receive("p-3", key="k")
    assert (first, short(box)) == (["p-1"], [])


# -- from node to node ------------------------------------------------------------------------


class Publishers:
    """What three publishers send to two sessions, and two nodes, each with its own order."""

    def __init__(self) -> None:
        self.sent: dict[str, list[tuple[str, str, str | None, bool]]] = {p: [] for p in "pqr"}
        self.nodes = Node(), Node()
        self._come: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def send(self, publisher: str, sid: str, key: str | None, final: bool) -> None:
        line = self.sent[publisher]
        # A key belongs to one publisher: of two at once it is a matter of taste which is newer.
        name = f"{publisher}{key}" if key is not None else None
        line.append((f"{publisher}-{len(line) + 1}", sid, name, final))

    def reach(self, at: int, publisher: str) -> None:
        """One more message of a publisher comes to a node."""
        come = self._come[at].get(publisher, 0)
        if come < len(self.sent[publisher]):
            name, sid, key, final = self.sent[publisher][come]
            self.nodes[at].receive(name, sid=sid, key=key, final=final or None)
            self._come[at][publisher] = come + 1

    def reach_all(self) -> None:
        for at in (0, 1):
            for publisher, line in self.sent.items():
                for _ in line:
                    self.reach(at, publisher)


class Browser:
    """Follows both sessions by one stream; all that it knows is the latest position."""

    def __init__(self, nodes: tuple[Node, Node]) -> None:
        self._nodes = nodes
        self.seen: dict[str, list[str]] = {SID: [], OTHER: []}
        self.last = ";"
        self._open: Any = None
        self.hop(0)

    def hop(self, at: int) -> None:
        """Come back to a node with the latest position."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
        sessions = list(zip((SID, OTHER), parse_position(self.last).afters, strict=True))
        self._position = Position(sessions)
        subscriber, self._box = self._nodes[at].browser()
        self._open = subscriber.attached()
        self._open.__enter__()
        (first, after), (second, also) = sessions
        subscriber.welcome(first, after)
        subscriber.follow(second, also)
        self._unread: list[Update] = []

    def read(self, count: int) -> None:
        """Read so many messages, wherever that ends."""
        while len(self._unread) < count and (batch := self._box.take_now()):
            self._unread += [item for item in batch if isinstance(item, Update)]
        for update in self._unread[:count]:
            sid, name = update.message.sid, str(update.message.id)
            self._position.come_to(sid, name)
            self.last = str(self._position)
            self.seen[sid].append(name)
        del self._unread[:count]


steps = st.one_of(
    st.tuples(
        st.just("send"),
        st.sampled_from("pqr"),
        st.sampled_from([SID, OTHER]),
        st.sampled_from([None, None, "k"]),
        st.booleans(),
    ),
    st.tuples(st.just("reach"), st.integers(0, 1), st.sampled_from("pqr")),
    st.tuples(st.just("read"), st.integers(1, 3)),
    st.tuples(st.just("hop"), st.integers(0, 1)),
)


@given(st.lists(steps, max_size=120))
def test_nothing_is_lost_and_nothing_comes_twice(script: list[tuple[Any, ...]]) -> None:
    """However the nodes' orders differ, and wherever in a replay the stream is cut."""
    publishers = Publishers()
    browser = Browser(publishers.nodes)
    for what, *given_ in script:
        match what:
            case "send":
                publishers.send(*given_)
            case "reach":
                publishers.reach(*given_)
            case "read":
                browser.read(*given_)
            case "hop":
                browser.hop(*given_)
    publishers.reach_all()
    browser.read(10**6)
    for sid, seen in browser.seen.items():
        assert len(seen) == len(set(seen)), "twice"
        sent = [m for line in publishers.sent.values() for m in line if m[1] == sid]
        # Without a run the newest of a key wins, whatever was final.
        newest = {key: name for name, _, key, _ in sent if key is not None}
        must = {name for name, _, key, _ in sent if key is None} | set(newest.values())
        assert must <= set(seen), "lost"
        for publisher in "pqr":
            numbers = [int(name[2:]) for name in seen if name.startswith(publisher)]
            assert numbers == sorted(numbers), "out of order"
