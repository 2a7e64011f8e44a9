"""Whom to ask, and what waits for workers that publish over HTTP: plain calls and a clock."""

import json
from typing import Any

import pytest

from progress_ws.core import codec
from progress_ws.core.cancels import (
    ASKED_MAX,
    KEPT_MAX,
    KEPT_S,
    NAMES_MAX,
    CancelRequest,
    Cancels,
    Nobody,
    Route,
)
from progress_ws.core.cluster import Cluster, Heartbeat
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.memory import Memory
from progress_ws.core.message import Number, Numbered
from tests.core.making import SID, draft, message

OTHER = "o" * 22
RUNNING = {"kind": "progress", "state": "running", "cancellable": True}


class Node:
    """A node that knows of another one, which publishes as `node-p`."""

    def __init__(self, *, max_bytes: int = 2**20) -> None:
        self.now_s = 1000.0
        history = History(max_age_s=300, max_bytes=max_bytes, clock=lambda: self.now_s)
        self.memory = Memory(history, Hub(), clock=lambda: self.now_s)
        self.memory.begins()
        cluster = Cluster(instance="me", clock=lambda: self.now_s)
        cluster.hear(
            Heartbeat(
                node="n",
                instance="i",
                version="1",
                connections=0,
                sessions=0,
                publisher="node-p",
            )
        )
        self.cancels = Cancels(self.memory, cluster, clock=lambda: self.now_s)
        self.sent = 0

    def publish(self, value: Any = RUNNING, *, publisher: str = "worker", **fields: Any) -> None:
        self.sent += 1
        made = message(value, **({"key": "k"} | fields), id=f"{publisher}-{self.sent}")
        self.memory.receive(Numbered(Number(publisher, self.sent), made))

    def route(self, key: str = "k") -> Route | Nobody:
        return self.cancels.route(SID, key)

    def hear(self, name: str = "r", *, sid: str = SID, key: str = "k") -> None:
        self.cancels.hear(CancelRequest(name, sid, key))

    def hand_over(self, *keys: str, **fields: Any) -> tuple[list[str], list[str]]:
        """What a publish request with these keys is told: keys, and the names of requests."""
        drafts = [draft(key=key, **fields) for key in keys or ("k",)]
        slots, names = self.cancels.hand_over([*drafts, draft()])
        assert all(sid == SID for sid, _ in slots)
        return [key for _, key in slots], names


@pytest.fixture
def node() -> Node:
    return Node()


# -- whom to ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [RUNNING, "50 %", 1, None, [1], {"kind": "mine"}])
def test_the_publisher_of_the_newest_message_is_asked(node: Node, value: Any) -> None:
    node.publish(RUNNING, publisher="earlier")
    node.publish(value)
    assert node.route() == Route("worker", is_sure=value == RUNNING)


def test_the_publisher_is_asked_without_history_as_well() -> None:
    node = Node(max_bytes=0)
    node.publish()
    assert node.route() == Route("worker", is_sure=True)
    node.publish(publisher="node-p")
    assert node.route() == Route(None, is_sure=True)
    node.publish(final=True)
    assert isinstance(node.route(), Nobody)
    assert isinstance(node.route("another"), Nobody)


def test_for_what_came_in_over_http_all_nodes_are_asked(node: Node) -> None:
    node.publish("50 %", publisher="node-p")
    assert node.route() == Route(None)


@pytest.mark.parametrize(("value", "fields"), [(RUNNING, {}), ("50 %", {"stall_s": 10})])
def test_who_says_that_it_is_there_is_taken_at_its_word(
    node: Node, value: Any, fields: dict[str, Any]
) -> None:
    node.publish(value, publisher="node-p", **fields)
    assert node.route() == Route(None, is_sure=True)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (RUNNING, {"key": "other"}),
        (RUNNING, {"sid": OTHER}),
        (RUNNING, {"final": True}),
        (RUNNING | {"cancellable": False}, {}),
        (RUNNING | {"cancellable": 1}, {}),
        ({"kind": "progress"}, {}),
    ],
)
def test_who_is_not_asked(node: Node, value: Any, fields: dict[str, Any]) -> None:
    node.publish(value, **fields)
    assert isinstance(node.route(), Nobody)


def test_nobody_is_asked_for_a_message_without_a_number(node: Node) -> None:
    node.memory.take(message(RUNNING, key="k"))
    assert isinstance(node.route(), Nobody)


def test_nobody_is_asked_who_has_fallen_silent(node: Node) -> None:
    node.publish(stall_s=5)
    assert isinstance(node.route(), Route)
    node.now_s += 6
    for beat in (0, 1):
        node.memory.tell_stalled(sent=beat, heard=beat)
    assert isinstance(node.route(), Nobody)
    node.publish(stall_s=5)
    assert isinstance(node.route(), Route)


# -- asking ---------------------------------------------------------------------------------------


def test_whoever_asked_is_told_when_it_is_taken(node: Node) -> None:
    taken: list[str] = []
    request = node.cancels.ask(SID, "k", lambda: taken.append("k"))
    assert request is not None
    assert (request.sid, request.key) == (SID, "k")
    node.cancels.hear_taken("another")
    assert taken == []
    node.cancels.hear_taken(request.request)
    assert taken == ["k"]
    node.cancels.settle(request, taken=True)
    node.cancels.hear_taken(request.request)
    assert taken == ["k"]
    assert (node.cancels.taken, node.cancels.refused) == (1, 0)


def test_only_so_many_are_underway(node: Node) -> None:
    asked = [node.cancels.ask(SID, f"k{n}", lambda: None) for n in range(ASKED_MAX + 1)]
    assert asked[-1] is None
    assert asked[0] is not None
    node.cancels.settle(asked[0], taken=False)
    assert node.cancels.ask(SID, "k", lambda: None) is not None


def test_a_request_reads_as_it_was_written() -> None:
    text = codec.encode(CancelRequest("r", SID, "k"))
    assert json.loads(text) == {"request": "r", "sid": SID, "key": "k"}
    assert codec.decode(text, CancelRequest) == CancelRequest("r", SID, "k")


# -- workers over HTTP ----------------------------------------------------------------------------


def test_a_worker_is_told_once(node: Node) -> None:
    node.hear()
    assert node.hand_over("other") == ([], [])
    assert node.hand_over("k") == (["k"], ["r"])
    assert node.hand_over("k") == ([], [])
    assert len(node.cancels) == 0


def test_a_request_comes_once_whatever_it_is_for(node: Node) -> None:
    node.hear("r", key="j")
    node.hear("r", key="j")
    node.hear("r", key="k")
    assert node.hand_over("j", "k") == (["j"], ["r"])


def test_another_session_is_not_told(node: Node) -> None:
    node.hear(sid=OTHER)
    assert node.hand_over() == ([], [])


def test_several_requests_for_a_key_are_one_for_the_worker(node: Node) -> None:
    node.hear("r1")
    node.hear("r2")
    node.hear("r3", key="j")
    assert node.hand_over("k", "j", "k") == (["k", "j"], ["r1", "r2", "r3"])


def test_what_was_taken_elsewhere_is_forgotten(node: Node) -> None:
    node.hear("r1")
    node.hear("r2")
    node.cancels.hear_taken("r2")
    assert node.hand_over() == ([], [])
    node.cancels.hear_taken("r1")


def test_a_request_is_kept_for_so_long(node: Node) -> None:
    node.hear("r1", key="j")
    node.now_s += KEPT_S - 1
    node.hear("r2")
    node.now_s += 2
    assert node.hand_over("j", "k") == (["k"], ["r2"])


def test_a_later_request_for_a_key_is_kept_as_long_as_any(node: Node) -> None:
    node.hear("r1")
    node.hear("r3", key="j")
    node.now_s += KEPT_S - 1
    node.hear("r2")
    node.now_s += 2
    assert len(node.cancels) == 2
    assert node.hand_over() == (["k"], ["r1", "r2"])


@pytest.mark.parametrize(
    ("meant", "run", "told"),
    [
        ("2", "2", True),
        ("2", None, True),
        (None, "2", True),
        ("2", "3", False),
        ("2", "1", False),
    ],
)
def test_a_request_is_for_the_run_that_was_seen(
    node: Node, meant: str | None, run: str | None, told: bool
) -> None:
    node.publish(run=meant)
    node.hear()
    assert node.hand_over(run=run) == ((["k"], ["r"]) if told else ([], []))
    assert len(node.cancels) == (run == "1")


def test_a_job_that_ends_by_itself_is_not_told(node: Node) -> None:
    node.hear()
    assert node.hand_over(final=True) == ([], [])
    assert node.hand_over() == ([], [])


def test_of_too_many_the_oldest_goes(node: Node) -> None:
    for n in range(KEPT_MAX + 1):
        node.hear(f"r{n}", key=f"k{n}")
    assert len(node.cancels) == KEPT_MAX
    assert node.hand_over("k0", "k1") == (["k1"], ["r1"])


def test_of_many_requests_for_one_key_only_some_are_told_to_be_taken(node: Node) -> None:
    for n in range(1000):
        node.hear(f"r{n}")
    assert node.hand_over() == (["k"], [f"r{n}" for n in range(NAMES_MAX)])
    assert node.cancels._slots == {}
