"""From the bytes of a delivery to the outboxes: told apart, checked, counted, handed on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core import codec
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import HEARTBEAT, LAST, Delivery, Intake
from progress_ws.core.memory import Memory
from progress_ws.core.message import Message
from progress_ws.errors import InvalidMessage
from tests.core.making import LIMIT, SID, body

NOW = 1_700_000_000.0
BEAT = Heartbeat(node="a", instance="i", version="1", connections=2, sessions=1)


class Node:
    """An intake and what came out of it."""

    def __init__(self) -> None:
        self.delivered: list[Message] = []
        self.rejected: list[tuple[str, Delivery]] = []
        self.cluster = Cluster(instance="me", clock=lambda: 0.0)
        self.hub = Hub()
        self.hub.deliver = self.delivered.append  # type: ignore[method-assign]
        history = History(max_age_s=300, max_bytes=2**20, clock=lambda: 0.0)
        self.memory = Memory(history, self.hub, clock=lambda: 0.0)
        self.cancels = Cancels(self.memory, self.cluster, clock=lambda: 0.0)
        self.intake = Intake(
            self.memory,
            self.cluster,
            self.cancels,
            max_message_bytes=LIMIT,
            on_reject=self._reject,
            wall_clock=lambda: NOW,
        )

    def _reject(self, flaw: InvalidMessage, delivery: Delivery) -> None:
        self.rejected.append((flaw.reason, delivery))

    def deliver(self, raw: bytes, **properties: Any) -> None:
        self.intake.deliver(Delivery(raw, **properties))

    @property
    def values(self) -> list[Any]:
        return [json.loads(bytes(message.message)) for message in self.delivered]

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.rejected]


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_message_goes_to_the_hub(node: Node) -> None:
    node.deliver(body("50 %"))
    assert (node.values, node.intake.received) == (["50 %"], 1)
    assert node.delivered[0].sid == SID


def test_the_members_of_an_array_go_one_by_one_in_order(node: Node) -> None:
    node.deliver(b"[" + b",".join(body(n) for n in range(5)) + b"]")
    assert (node.values, node.intake.received) == ([0, 1, 2, 3, 4], 5)


def test_a_bad_member_is_counted_by_its_reason_and_the_others_go_on(node: Node) -> None:
    node.deliver(b'[%b,{"sid":"short","message":1},%b,2]' % (body(1), body(2)))
    assert node.values == [1, 2]
    assert node.reasons == ["bad_sid", "not_an_object"]
    assert node.intake.rejected == {"bad_sid": 1, "not_an_object": 1}


def test_a_body_that_is_no_message_is_told_with_its_delivery(node: Node) -> None:
    node.deliver(b"hello", message_id="m")
    assert node.rejected == [("not_json", Delivery(b"hello", message_id="m"))]
    assert (node.values, node.intake.received) == ([], 0)


def test_a_number_comes_once(node: Node) -> None:
    for seq in (1, 2, 1, 2, 3):
        node.deliver(body(seq, id=f"p-{seq}"))
    assert node.values == [1, 2, 3]
    assert (node.intake.received, node.memory.repeated) == (5, 2)


def test_a_number_is_its_publishers_whatever_the_session(node: Node) -> None:
    node.deliver(body(1, id="p-1"))
    node.deliver(body(2, sid="o" * 22, id="p-1"))
    node.deliver(body(3, id="q-1"))
    assert node.values == [1, 3]


def test_messages_without_a_number_are_never_repetitions(node: Node) -> None:
    for _ in range(3):
        node.deliver(body("typed by hand"))
    assert (len(node.values), node.memory.repeated) == (3, 0)


@pytest.mark.parametrize(
    ("ts", "timestamp", "seen"),
    [(5.5, 7.0, 5.5), (None, 7.0, 7.0), (None, None, NOW), (0, 7.0, 0), (-1.5, None, -1.5)],
)
def test_the_time_is_the_messages_own_else_the_amqp_timestamp_else_now(
    node: Node, ts: float | None, timestamp: float | None, seen: float
) -> None:
    raw = body() if ts is None else body(ts=ts)
    node.deliver(raw, timestamp=timestamp)
    assert node.delivered[0].ts == seen


def test_the_nodes_own_messages_are_not_for_browsers(node: Node) -> None:
    node.deliver(body("of a later version"), type="progress-ws.something")
    node.deliver(b"\xff", type="progress-ws.")
    assert (node.values, node.reasons, node.intake.received) == ([], [], 0)


@pytest.mark.parametrize("kind", ["message", "", "progress-ws", "Progress-ws.heartbeat", "order"])
def test_any_other_type_is_a_message(node: Node, kind: str) -> None:
    node.deliver(body(1), type=kind)
    assert node.values == [1]


def test_a_heartbeat_goes_to_the_cluster(node: Node) -> None:
    node.deliver(codec.encode(BEAT), type=HEARTBEAT)
    assert node.cluster.nodes() == [BEAT]


def test_a_heartbeat_of_a_later_version_may_say_more(node: Node) -> None:
    later = json.loads(codec.encode(BEAT)) | {"load": 0.5}
    node.deliver(json.dumps(later).encode(), type=HEARTBEAT)
    assert node.cluster.nodes() == [BEAT]


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"node":1}', b"[" * 100_000])
def test_a_heartbeat_that_is_none_is_rejected(node: Node, raw: bytes) -> None:
    node.deliver(raw, type=HEARTBEAT)
    assert (node.cluster.nodes(), node.reasons) == ([], ["bad_heartbeat"])


# -- numbers --------------------------------------------------------------------------------------


def test_a_void_counts_as_seen(node: Node) -> None:
    void = json.dumps({"id": "p-2", "void": True}).encode()
    node.deliver(b"[%b,%b,%b]" % (body(1, id="p-1"), void, body(3, id="p-3")))
    node.deliver(json.dumps({"id": "p-4", "void": True}).encode())
    assert (node.values, node.reasons, node.memory.numbers.last("p")) == ([1, 3], [], 4)


def test_the_number_of_a_bad_member_counts_as_seen(node: Node) -> None:
    bad = json.dumps({"sid": "short", "message": 2, "id": "p-2"}).encode()
    node.deliver(b"[%b,%b]" % (body(1, id="p-1"), bad))
    assert (node.values, node.reasons, node.memory.numbers.last("p")) == ([1], ["bad_sid"], 2)


def test_the_message_id_is_the_dedupe_of_what_has_neither(node: Node) -> None:
    node.deliver(body(1), message_id="m")
    node.deliver(body(2), message_id="m")
    node.deliver(body(3, dedupe="d"), message_id="m")
    node.deliver(body(4, id="p-1"), message_id="m")
    assert node.values == [1, 3, 4]


@pytest.mark.parametrize("properties", [{}, {"message_id": ""}])
@pytest.mark.parametrize("number", [False, True])
def test_an_empty_dedupe_is_none(node: Node, properties: dict[str, Any], number: bool) -> None:
    for n in range(1, 3):
        node.deliver(body(n, dedupe="", **({"id": f"p-{n}"} if number else {})), **properties)
    assert node.values == [1, 2]
    node.deliver(body(3, dedupe=""), message_id="m")
    node.deliver(body(3, dedupe=""), message_id="m")
    assert node.values == [1, 2, 3]


def test_the_members_of_an_array_are_told_apart_under_its_message_id(node: Node) -> None:
    for _ in range(2):
        node.deliver(b"[%b,%b]" % (body(1), body(2)), message_id="m")
    assert node.values == [1, 2]


def say_last(node: Node, **fields: Any) -> None:
    node.deliver(json.dumps(fields).encode(), type=LAST)


def test_a_last_number_that_has_not_come_opens_a_hole(node: Node) -> None:
    node.memory.begins()
    node.memory.watches_holes = True
    node.deliver(body(1, id="p-1"))
    say_last(node, publisher="p", seq=1)
    assert len(node.memory.holes) == 0
    say_last(node, publisher="p", seq=3)
    assert node.memory.holes.upto("p") == 3


def test_a_heartbeat_names_last_numbers_too(node: Node) -> None:
    node.memory.begins()
    node.memory.watches_holes = True
    beat = json.loads(codec.encode(BEAT)) | {"last": [["p", 2], ["q", 5]]}
    node.deliver(json.dumps(beat).encode(), type=HEARTBEAT)
    assert node.memory.holes.publishers() == ["p", "q"]


@pytest.mark.parametrize(
    ("publisher", "seq"), [("p", 0), ("p", -1), ("p", 2**53), ("p", 10**30), ("", 1), ("ü", 1)]
)
def test_a_last_number_that_is_none_is_harmless(node: Node, publisher: str, seq: int) -> None:
    node.memory.begins()
    node.memory.watches_holes = True
    say_last(node, publisher=publisher, seq=seq)
    say_last(node, publisher=f"{'p' * 100}", seq=1)
    assert len(node.memory.holes) == 0


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"publisher":1,"seq":1}'])
def test_a_last_number_that_is_not_said_rightly_is_rejected(node: Node, raw: bytes) -> None:
    node.deliver(raw, type=LAST)
    assert node.reasons == ["bad_last"]


def test_while_the_node_catches_up_live_deliveries_are_held_and_heartbeats_heard(
    node: Node,
) -> None:
    held: list[Delivery] = []
    node.intake.hold = held.append
    node.deliver(body(1))
    node.deliver(codec.encode(BEAT), type=HEARTBEAT)
    assert ([d.body for d in held], node.values) == ([body(1)], [])
    assert (node.cluster.nodes(), node.intake.own_beat) == ([BEAT], 0)
    own = json.loads(codec.encode(BEAT)) | {"instance": "me", "beat": 7}
    node.deliver(json.dumps(own).encode(), type=HEARTBEAT)
    assert node.intake.own_beat == 7


properties = st.fixed_dictionaries(
    {},
    optional={
        "type": st.text(max_size=20) | st.sampled_from([HEARTBEAT, "progress-ws.x", "message"]),
        "message_id": st.text(max_size=20),
        "timestamp": st.floats(allow_nan=True),
    },
)
fields = st.dictionaries(
    st.sampled_from(["sid", "message", "id", "ts", "key", "node", "instance", "sessions"]),
    st.sampled_from([SID, "p-1", "p-2", 0, 1, -1.5, None, True, [], {}, "k", "\udcff"]),
)
bodies = st.binary(max_size=100) | (fields | st.lists(fields, max_size=3)).map(
    lambda value: json.dumps(value).encode()
)


@given(st.lists(st.tuples(bodies, properties), max_size=5))
def test_nothing_makes_it_raise_and_everything_is_counted(
    deliveries: list[tuple[bytes, dict[str, Any]]],
) -> None:
    node = Node()
    for raw, props in deliveries:
        node.deliver(raw, **props)
    intake = node.intake
    assert intake.received == len(node.delivered) + node.memory.repeated + node.memory.stale
    assert sum(intake.rejected.values()) == len(node.rejected)
    for message in node.delivered:
        json.loads(codec.message_frame(message))


@given(st.floats(allow_nan=True))
def test_whatever_the_amqp_timestamp_the_frame_is_json(timestamp: float) -> None:
    node = Node()
    node.deliver(body(), timestamp=timestamp)

    def refuse(text: str) -> Callable[[], None]:
        raise AssertionError(text)

    json.loads(codec.message_frame(node.delivered[0]), parse_constant=refuse)


# -- cancel requests ------------------------------------------------------------------------------


def test_a_request_is_kept_until_somebody_has_taken_it(node: Node) -> None:
    asked = json.dumps({"request": "r", "sid": SID, "key": "k"}).encode()
    node.deliver(asked, type="progress-ws.cancel")
    assert len(node.cancels) == 1
    node.deliver(b'{"request":"r"}', type="progress-ws.taken")
    assert len(node.cancels) == 0
    assert node.reasons == []


@pytest.mark.parametrize(
    "fields",
    [
        {"request": ""},
        {"request": "r" * 65},
        {"request": 1},
        {"sid": "short"},
        {"key": None},
        {"key": "k" * 129},
    ],
)
def test_a_wrong_request_is_told_and_not_kept(node: Node, fields: dict[str, Any]) -> None:
    asked = {"request": "r", "sid": SID, "key": "k"} | fields
    node.deliver(json.dumps(asked).encode(), type="progress-ws.cancel")
    assert (len(node.cancels), node.reasons) == (0, ["bad_cancel"])


def test_wrong_word_of_what_was_taken_is_told(node: Node) -> None:
    for raw in (b"", b"{}", b'{"request":1}', b"[]"):
        node.deliver(raw, type="progress-ws.taken")
    assert node.reasons == ["bad_taken"] * 4
