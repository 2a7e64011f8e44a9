"""What `progress-ws doctor` makes of what it saw and heard: decided without a broker."""

import json
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest

from progress_ws.broker.questions import NAME
from progress_ws.broker.rights import Right, Role, needs, permissions
from progress_ws.broker.seam import LinkLost, LinkRefused
from progress_ws.broker.topology import NODE_QUEUE_BYTES
from progress_ws.core.intake import HEARTBEAT, Delivery
from progress_ws.doctor import environment, examine, heard, login, management, node, reach
from progress_ws.doctor.findings import Finding, State
from progress_ws.doctor.web import Answer

BROKER = reach.broker("RabbitMQ at rabbit:5672")
DEFINITIONS = Path(__file__).parents[2] / "deploy" / "rabbitmq" / "definitions.json"
URL = "http://node:8080"
SID = "s" * 22
NOW = 1_700_000_000.0


def problems(findings: Iterable[Finding]) -> list[str]:
    """The check, what was found and the mend of each problem."""
    wrong = [finding for finding in findings if finding.state is State.PROBLEM]
    assert all(finding.mend for finding in wrong)
    return [f"{finding.check}: {finding.text} -> {finding.mend}" for finding in wrong]


# -- what was heard -----------------------------------------------------------------------------


class Ear:
    """Hears heartbeats at times of the test's choice."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.said = heard.Heard(clock_s=lambda: self.now_s, wall_clock_s=lambda: NOW)
        self.said.is_complete = True

    def beat(self, at_s: float, node: str, *, version: str = "1", **fields: object) -> None:
        beat = {"node": node, "instance": f"of {node}", "connections": 0, "sessions": 0}
        body = json.dumps(beat | {"version": version} | fields).encode()
        self.now_s = at_s
        self.said.take(Delivery(body, HEARTBEAT, timestamp=NOW))

    def beats(self, node: str, *times_s: float, **fields: object) -> None:
        for at_s in times_s:
            self.beat(at_s, node, **fields)  # type: ignore[arg-type]

    def findings(self, *, is_node: bool = False) -> list[Finding]:
        return list(heard.findings(self.said, for_s=5, prefix="p", is_node=is_node))


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_nodes_that_hear_themselves_are_no_problem(ear: Ear) -> None:
    ear.beats("a", 0, 2, 4)
    ear.beats("b", 1, 3, 4.9)
    assert problems(ear.findings()) == []
    assert "2 nodes" in ear.findings()[0].text


def test_a_node_that_beats_eagerly_to_the_end_is_deaf(ear: Ear) -> None:
    for n in range(25):
        ear.beat(n / 5, "b")
        if n % 10 == 0:
            ear.beat(n / 5, "a")
    (told,) = problems(ear.findings())
    assert "deaf" in told
    assert ": b;" in told


def test_a_node_that_has_come_to_hear_itself_is_not(ear: Ear) -> None:
    ear.beats("a", 0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 3.2, 5.0)
    assert problems(ear.findings()) == []


def test_two_nodes_of_one_name(ear: Ear) -> None:
    ear.beats("a", 0, 2, 4)
    ear.beats("a", 1, 3, 5, instance="another")
    (told,) = problems(ear.findings())
    assert "PROGRESS_WS_NODE" in told


def test_a_restarted_node_is_one(ear: Ear) -> None:
    ear.beats("a", 0, 1)
    ear.beat(2, "a", leaving=True)
    ear.beats("a", 3, 4, instance="the next")
    assert problems(ear.findings()) == []


def test_nodes_of_two_versions(ear: Ear) -> None:
    ear.beats("a", 0, 2, 4, version="1.0")
    ear.beats("b", 1, 3, 5, version="1.1")
    (told,) = problems(ear.findings())
    assert told.startswith("versions: ")
    assert "1.0: a; 1.1: b" in told


def test_nobody_is_a_problem_of_publishers_only(ear: Ear) -> None:
    assert "no node was heard" in problems(ear.findings())[0]
    assert problems(ear.findings(is_node=True)) == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"node": 1}', b"\xff"])
def test_odd_heartbeats_are_not_heard(ear: Ear, body: bytes) -> None:
    ear.said.take(Delivery(body, HEARTBEAT, timestamp=NOW))
    assert ear.said.beats == []


# -- clocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "said"), [(4, ""), (-4, ""), (60, "60 s behind"), (-3600, "3600 s ahead of")]
)
def test_a_clock_that_is_off_is_told_with_what_it_disturbs(
    ear: Ear, ahead_s: float, said: str
) -> None:
    ear.said.clocks.note("node a", ahead_s)
    ear.said.clocks.note("node a", ahead_s * 3)  # delayed on its way
    finding = ear.said.clocks.finding()
    assert (finding.state is State.PROBLEM) == bool(said)
    assert said in finding.text
    if said:
        assert "shown" in str(finding.mend)


def test_a_clock_that_differs_from_all_others_is_wrong_itself(ear: Ear) -> None:
    for sender in ("a", "b", "c"):
        ear.said.clocks.note(sender, 100)
    assert "wrong itself" in ear.said.clocks.finding().text


def test_messages_tell_the_time_too(ear: Ear) -> None:
    ear.said.take(Delivery(b"{}", "message", "p-1", NOW + 99))
    assert ear.said.clocks.finding().state is State.PROBLEM


# -- rights -------------------------------------------------------------------------------------


def judged(role: Role, refused: Iterable[Right]) -> Finding:
    return login.finding(frozenset(refused), role=role, prefix="progress-ws", user="u", vhost="/")


def test_the_role_is_told_that_a_login_is_enough_for() -> None:
    only_node = needs(Role.NODE, "progress-ws") - needs(Role.PUBLISHER, "progress-ws")
    only_cancel = needs(Role.WORKER, "progress-ws") - needs(Role.PUBLISHER, "progress-ws")
    everything = judged(Role.PUBLISHER, [])
    assert everything.text.endswith("enough to publish, to be cancelled, to be a node")
    publisher = judged(Role.PUBLISHER, only_node | only_cancel)
    assert publisher.text.endswith("enough to publish; not to be cancelled or to be a node")
    assert publisher.state is State.OK
    assert judged(Role.WORKER, only_node).state is State.OK


@pytest.mark.parametrize("role", Role)
def test_a_right_that_a_role_lacks_is_named_with_the_command(role: Role) -> None:
    for right in needs(role, "progress-ws"):
        (told,) = problems([judged(role, [right])])
        assert f"{right.verb} on {right.name!r}" in told
        assert "rabbitmqctl set_permissions -p / u " in told


def test_the_rights_are_those_that_deploy_gives() -> None:
    given = {
        each["user"]: tuple(each[kind] for kind in ("configure", "write", "read"))
        for each in json.loads(DEFINITIONS.read_text())["permissions"]
    }
    assert {role: permissions(role, "progress-ws") for role in Role} == {
        role: given[role] for role in Role
    }


# -- errors of the network ----------------------------------------------------------------------


def of_tls(exc: ssl.SSLError) -> ssl.SSLError:
    """As the standard library makes it."""
    exc.reason = "WRONG_VERSION_NUMBER"
    if isinstance(exc, ssl.SSLCertVerificationError):
        exc.verify_message = "self-signed certificate"
    return exc


def caused(cause: BaseException) -> LinkLost:
    lost = LinkLost("RabbitMQ at rabbit:5672: something")
    lost.__cause__ = ConnectionError("the library's")
    lost.__cause__.__cause__ = cause
    cause.__context__ = lost.__cause__  # as the library does: round and round
    return lost


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "nobody listens"),
        (OSError("Multiple exceptions: [Errno 111] x, [Errno 111] y"), "nobody listens"),
        (socket.gaierror(-2, "Name or service not known"), "has no address"),
        (TimeoutError(), "does not answer"),
        (OSError(113, "No route to host"), "no way"),
        (ConnectionResetError(104, "reset"), "hung up"),
        (EOFError(), "hung up"),
        (of_tls(ssl.SSLError(1, "wrong version")), "TLS"),
        (of_tls(ssl.SSLCertVerificationError(1, "self-signed")), "certificate"),
        (ValueError("no idea"), "something"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_network_said_is_put_into_words(cause: BaseException, said: str) -> None:
    (told,) = problems([reach.unreachable(BROKER, caused(cause))])
    assert said in told
    assert "PROGRESS_WS_AMQP_URL" in told


def test_a_refusal_says_its_mend_itself() -> None:
    exc = LinkRefused("RabbitMQ at rabbit:5672 refused the login: check the password")
    finding = reach.unreachable(BROKER, exc)
    assert (finding.text, finding.mend) == (
        "RabbitMQ at rabbit:5672 refused the login",
        "check the password",
    )


# -- what a node answers ------------------------------------------------------------------------


def answer(status: int, body: object, type: str = "application/json") -> Answer:
    return Answer(status, type, json.dumps(body).encode())


def refusal(status: int) -> Answer:
    return answer(status, {"status": status}, "application/problem+json")


READY = answer(200, {"ok": True})
CLUSTER = answer(200, {"node": "a", "nodes": [{"node": "a", "version": "1"}]})
REFUSED = refusal(400)
PAGE = Answer(404, "text/html", b"<html>")


def judged_node(
    ear: Ear,
    ready: Answer | LinkLost = READY,
    cluster: Answer | LinkLost = CLUSTER,
    messages: Answer | LinkLost = REFUSED,
    *,
    has_token: bool = True,
    is_guess: bool = False,
) -> list[Finding]:
    return list(
        node.findings(
            URL,
            [ready, cluster, messages],
            ear.said,
            has_token=has_token,
            needs_token=True,
            is_guess=is_guess,
        )
    )


def test_a_node_that_is_ready_and_heard(ear: Ear) -> None:
    ear.beat(0, "a")
    assert problems(judged_node(ear)) == []


def test_a_ready_node_that_is_not_heard_is_on_another_exchange(ear: Ear) -> None:
    (told,) = problems(judged_node(ear))
    assert "another exchange" in told
    ear.said.is_complete = False  # nobody could have been heard
    assert problems(judged_node(ear)) == []


@pytest.mark.parametrize(
    "reason",
    [
        "draining: this node shuts down",
        "catching up with what it missed",
        "cannot receive: RabbitMQ at h refused the login",
        "no heartbeat of this node comes back through the exchange",
    ],
)
def test_a_node_that_is_not_ready_says_why(ear: Ear, reason: str) -> None:
    (told,) = problems(judged_node(ear, answer(503, {"ok": False, "reason": reason})))
    assert reason in told


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refuses"), (403, "off"), (400, ""), (429, ""), (503, "")]
)
def test_the_answer_to_a_request_without_message_tells_of_the_token(
    ear: Ear, status: int, said: str
) -> None:
    ear.beat(0, "a")
    told = problems(judged_node(ear, messages=refusal(status)))
    assert len(told) == bool(said)
    assert all(said in text and text.startswith("token: ") for text in told)


def test_no_token_is_a_problem_where_there_is_no_other_way(ear: Ear) -> None:
    ear.beat(0, "a")
    (told,) = problems(judged_node(ear, messages=refusal(401), has_token=False))
    assert "PROGRESS_WS_PUBLISH_TOKEN is unset" in told


def test_a_node_behind_a_proxy_is_known_by_its_refusals(ear: Ear) -> None:
    assert problems(judged_node(ear, PAGE, PAGE)) == []


def test_something_else_than_a_node(ear: Ear) -> None:
    (told,) = problems(judged_node(ear, PAGE, PAGE, PAGE))
    assert "no progress-ws node" in told
    (told,) = problems(judged_node(ear, PAGE, PAGE, PAGE, is_guess=True))
    assert "PROGRESS_WS_PORT" in told
    moved = Answer(301, "text/html", b"", "https://node/readyz")
    (told,) = problems(judged_node(ear, moved, moved, moved))
    assert "https://node/readyz" in told


def test_a_guessed_node_need_not_run(ear: Ear) -> None:
    lost = LinkLost("refused")
    assert problems(judged_node(ear, lost, lost, lost, is_guess=True)) == []
    assert len(problems(judged_node(ear, lost, lost, lost))) == 1


# -- what the management API answers ------------------------------------------------------------


def judged_queues(ear: Ear, *queues: dict[str, object], **broker: object) -> list[Finding]:
    answers = [
        answer(200, {"items": queues}),
        answer(200, [{"name": "rabbit@a"} | broker]),
        answer(200, {"type": "fanout", "durable": True}),
    ]
    return list(management.findings("http://u:SECRET@m", answers, ear.said, prefix="p"))


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        ({"consumers": 1, "message_bytes": NODE_QUEUE_BYTES, "messages": 9}, "at its bound"),
        ({"consumers": 0}, "nobody reads"),
        ({"consumers": 1, "message_bytes": 1}, ""),
        ({}, ""),  # made a moment ago
    ],
)
def test_queues_of_nodes(ear: Ear, statistics: dict[str, object], said: str) -> None:
    ear.said.is_complete = False
    told = problems(judged_queues(ear, {"name": "p.node.a.b.0f3a"} | statistics))
    assert len(told) == bool(said)
    assert all(said in text and "'a.b'" in text for text in told)


def test_a_queue_of_a_node_that_was_not_heard(ear: Ear) -> None:
    (told,) = problems(judged_queues(ear, {"name": "p.node.a.0f3a", "consumers": 1}))
    assert "was not heard" in told


def test_a_node_that_was_heard_has_subscribed_since(ear: Ear) -> None:
    ear.beat(0, "a")
    assert problems(judged_queues(ear, {"name": "p.node.a.0f3a", "consumers": 0})) == []


def test_the_queue_of_a_doctor_is_no_node(ear: Ear) -> None:
    assert problems(judged_queues(ear, {"name": f"p.node.{NAME}.0f3a", "consumers": 0})) == []


@pytest.mark.parametrize(
    ("alarm", "said"),
    [
        ({"mem_alarm": True}, "memory"),
        ({"disk_free_alarm": True}, "disk"),
        ({"running": False}, "down"),
    ],
)
def test_alarms_say_what_is_short(ear: Ear, alarm: dict[str, bool], said: str) -> None:
    (told,) = problems(judged_queues(ear, **alarm))
    assert said in told
    assert "rabbit@a" in told


@pytest.mark.parametrize("first", [refusal(401), PAGE, LinkLost("refused")])
def test_a_management_api_that_does_not_answer_as_such(ear: Ear, first: Answer | LinkLost) -> None:
    found = management.findings("http://u:SECRET@m", [first] * 3, ear.said, prefix="p")
    (told,) = problems(found)
    assert "--management" in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("ok", "problem", "second"),
        ("problem", "ok", "first"),
        ("problem", "problem", "second"),
        ("ok", "ok", "first"),
        ("not checked", "ok", "second"),
        ("ok", "not checked", "first"),
        ("not checked", None, "first"),
        (None, "ok", "second"),
    ],
)
def test_of_two_ways_to_see_an_alarm_the_one_counts_that_saw_it(
    first: str | None, second: str | None, kept: str
) -> None:
    found = [[Finding("alarm", State(state), who)] if state else [] for state, who in
             ((first, "first"), (second, "second"))]  # fmt: skip
    assert [finding.text for finding in examine.joined(*found)] == [kept]


# -- the environment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, ["PROGRESS_WS_AMQP_URL and PROGRESS_WS_URL are unset"]),
        ({"AMQP_URL": "rabbit", "PORT": "x"}, ["PROGRESS_WS_AMQP_URL", "PROGRESS_WS_PORT"]),
        ({"URL": "u:SECRET@h"}, ["PROGRESS_WS_URL"]),
        ({"URL": URL, "AMPQ_URL": "amqp://h"}, ["PROGRESS_WS_AMPQ_URL is no setting"]),
        ({"AMQP_URL": "amqp://h", "PREFIX": "a b"}, ["PROGRESS_WS_PREFIX"]),
        ({"AMQP_URL": "amqp://h", "WORKERS": "4"}, []),
        ({"WORKERS": "4"}, ["PROGRESS_WS_WORKERS"]),
        ({"AMQP_URL": "amqp://u:SECRET@h", "NODE": "a"}, []),
    ],
)
def test_wrong_settings_are_all_told(environ: dict[str, str], said: list[str]) -> None:
    given = {f"PROGRESS_WS_{name}": value for name, value in environ.items()}
    _, found = environment.read(given, None)
    told = problems(found)
    assert len(told) == len(said)
    assert all(each in text for each, text in zip(said, told, strict=True))
    assert "SECRET" not in str(found)


def test_a_nodes_own_settings_make_it_a_nodes_environment() -> None:
    given = {"PROGRESS_WS_AMQP_URL": "amqp://h"}
    assert environment.read(given, None)[0].role is Role.PUBLISHER
    read, _ = environment.read(given | {"PROGRESS_WS_HOST": "0.0.0.0"}, None)
    assert (read.role, read.node_url) == (Role.NODE, "http://127.0.0.1:8080")
    assert environment.read(given | {"PROGRESS_WS_HOST": "h"}, Role.PUBLISHER)[0].node_url is None


@pytest.mark.parametrize(
    "bad", ["short", "s" * 129, f'"{SID}"', f"{SID}\n", "sid with blanks ...."]
)
def test_a_malformed_sid_is_a_problem_and_not_shown(bad: str) -> None:
    (told,) = problems([environment.sid(bad, {})])
    assert "--sid" in told
    assert bad not in told
    (told,) = problems([environment.sid(None, {"PROGRESS_WS_SID": bad})])
    assert "PROGRESS_WS_SID" in told


def test_a_good_sid_is_not_shown_either() -> None:
    finding = environment.sid(SID, {"PROGRESS_WS_SID": "bad"})
    assert finding.state is State.OK
    assert SID not in finding.text
    assert environment.sid(None, {}).state is State.UNCHECKED
