"""`progress-ws doctor` against a real RabbitMQ and real nodes, with real faults."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import Node, RabbitMQ
from progress_ws import cli
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.rights import Role, permissions
from progress_ws.doctor import broker, environment
from progress_ws.doctor.examine import examine
from progress_ws.doctor.findings import Finding, State
from progress_ws.node.settings import Settings
from tests.broker.conftest import NAMES, Users, listening, proxied_url, proxy, users
from tests.cli.conftest import TOKEN, Here, Place, run
from tests.node.conftest import live_when_ready
from tests.publish.test_alarm import alarm
from tests.support.proxy import Proxy
from tests.support.server import serving
from tests.support.waiting import eventually

__all__ = ["proxied_url", "proxy", "users"]

KINDS = ("configure", "write", "read")
EXCHANGE, HISTORY = "progress-ws", "progress-ws.history"
FANOUT = {"type": "fanout", "durable": True}
STREAM = {"durable": True, "arguments": {"x-queue-type": "stream"}}


class Report:
    """What the doctor found."""

    def __init__(self, found: list[Finding]) -> None:
        self.found = found

    def problems(self) -> dict[str, str]:
        """What is wrong, and the mend, by check."""
        return {f.check: f"{f.text} -> {f.mend}" for f in self.found if f.mend}

    def of(self, check: str) -> Finding:
        """The first finding of a check."""
        return next(finding for finding in self.found if finding.check == check)


async def look(
    *, role: Role | None = None, management: RabbitMQ | None = None, **environ: str
) -> Report:
    """Examine an environment; settings go by their names in lower case."""
    given = {f"PROGRESS_WS_{name.upper()}": value for name, value in environ.items()}
    subject, found = environment.read(given, role)
    url = None
    if management is not None:
        port = management.management_port
        url = f"http://guest:guest@127.0.0.1:{port}"
    return Report(found + await examine(subject, management_url=url))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not listen for long: there is nobody, or who is there does not matter."""
    monkeypatch.setattr(broker, "LISTEN_S", 0.5)


@pytest.fixture
def patient(hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen long enough to hear every node, in the stream too."""
    monkeypatch.setattr(broker, "LISTEN_S", 3.4)


hears_nodes = pytest.mark.usefixtures("patient")


@pytest.fixture
def ask(rabbitmq: RabbitMQ, vhost: str) -> Callable[..., Any]:
    """Change something in this test's virtual host: `ask("PUT", "queues", name, body=…)`."""

    def ask(method: str, kind: str, *name: str, body: object = None) -> Any:
        return rabbitmq.management.request(method, kind, vhost, *name, body=body)

    return ask


Ask = Callable[..., Any]


# -- all is well --------------------------------------------------------------------------------


@pytest.mark.broker
@hears_nodes
@pytest.mark.slow
async def test_all_is_well(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    settings = Settings(amqp_url=amqp_url, node="a", publish_token=TOKEN)
    async with live_when_ready(settings) as node:
        report = await look(
            amqp_url=amqp_url, url=node.url, publish_token=TOKEN, management=rabbitmq
        )
    assert report.problems() == {}
    expected = {"broker", "rights", "exchange", "history", "alarm", "nodes", "node", "token"}
    well = {finding.check for finding in report.found if finding.state is State.OK}
    assert expected | {"cancel", "clock", "queues"} <= well
    assert ": a " in report.of("nodes").text


@pytest.mark.broker
async def test_it_prints_a_line_for_each_check(broker_place: Place) -> None:
    done = await run(broker_place.environ, "doctor", "--sid", "s" * 22)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-1] == "no problems"
    assert all(line.startswith(("ok ", "not checked ")) for line in lines[:-2])
    assert "guest:guest" not in done.out


async def test_over_a_nodes_url_too(node_place: Place, run_here: Here) -> None:
    done = await run_here(node_place.environ, "doctor", "--json")
    said = json.loads(done.out)
    assert (done.status, said["ok"]) == (0, True)
    states = {finding["check"]: finding["state"] for finding in said["findings"]}
    assert states["node"] == states["token"] == states["clock"] == "ok"
    assert states["broker"] == "not checked"
    assert TOKEN not in done.out


async def test_a_problem_is_1_with_its_mend(run_here: Here) -> None:
    done = await run_here({"PROGRESS_WS_AMQP_URL": "amqp://u:SECRET@127.0.0.1:1"}, "doctor")
    assert done.status == 1
    assert "PROBLEM      broker: nobody listens" in done.out
    assert "\n             -> start it" in done.out
    assert done.out.endswith("\n1 problem\n")
    assert "SECRET" not in done.out + done.err
    done = await run_here({"PROGRESS_WS_AMQP_URL": "amqp://127.0.0.1:1"}, "doctor", "--json")
    assert json.loads(done.out)["ok"] is False


def test_help_says_what_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name in ("AMQP_URL", "URL", "PUBLISH_TOKEN", "PREFIX", "SID"):
        assert f"PROGRESS_WS_{name}" in text


@pytest.mark.parametrize("arguments", [["--role", "king"], ["--management", "h"], ["x"]])
async def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = await run({}, "doctor", *arguments)
    assert (done.status, done.out) == (2, "")


@pytest.mark.broker
async def test_it_sends_nothing_and_leaves_nothing(amqp_url: str, ask: Ask) -> None:
    def left() -> tuple[list[str], list[str], int]:
        """Exchanges and queues of ours, and bindings to the exchange."""
        exchanges = [x["name"] for x in ask("GET", "exchanges") if EXCHANGE in x["name"]]
        bindings = [b for b in ask("GET", "bindings") if b["source"] == EXCHANGE]
        return exchanges, [q["name"] for q in ask("GET", "queues")], len(bindings)

    async def look_as_each() -> None:
        await asyncio.gather(*(look(amqp_url=amqp_url, role=role) for role in Role))

    await look_as_each()
    assert left() == ([], [], 0)
    ask("PUT", "queues", HISTORY, body=STREAM)
    async with listening(AmqpFeed(amqp_url, NAMES, node="a")) as ear:
        await look_as_each()
        assert ear.heard == []
    await eventually(lambda: left() == ([EXCHANGE], [HISTORY], 0))


# -- the broker ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://127.0.0.1:1", "nobody listens"),
        ("amqp://localhost:1", "nobody listens"),
        ("amqp://no-such-host.invalid", "has no address"),
    ],
)
async def test_a_broker_that_is_not_there(url: str, said: str) -> None:
    assert said in (await look(amqp_url=url)).problems()["broker"]


@pytest.mark.broker
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("guest:guest@", "guest:SECRET@"), "check user and password"),
        (("?heartbeat", "-not?heartbeat"), "rabbitmqctl list_vhosts"),
        (("amqp://", "amqps://"), "does not speak TLS"),
    ],
)
async def test_a_broker_that_refuses(amqp_url: str, wrong: tuple[str, str], said: str) -> None:
    report = await look(amqp_url=amqp_url.replace(*wrong))
    assert said in report.problems()["broker"]
    assert "SECRET" not in str(report.found)


async def test_what_is_no_broker() -> None:
    """A port that hangs up, one with TLS, one that waits."""

    async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass

    async with serving(hang_up) as deaf, serving(wait) as silent:
        told = await asyncio.gather(
            *(look(amqp_url=f"amqp://127.0.0.1:{p}") for p in (deaf, silent))
        )
    assert "5671" in told[0].problems()["broker"]
    assert "does not answer" in told[1].problems()["broker"]


async def test_a_certificate_that_nobody_knows(tls: ssl.SSLContext) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    async with serving(serve, tls=tls) as port:
        amqp, https, nowhere = await asyncio.gather(
            look(amqp_url=f"amqps://localhost:{port}"),
            look(url=f"https://localhost:{port}"),
            look(amqp_url=f"amqps://localhost:{port}/?cafile=/no/such.pem"),
        )
    assert "cafile" in amqp.problems()["broker"]
    assert "cafile=/no/such.pem" in nowhere.problems()["broker"]
    assert "5671" not in nowhere.problems()["broker"]
    assert "SSL_CERT_FILE" in https.problems()["node"]


@pytest.fixture
async def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's side with a certificate of its own."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    process = await asyncio.create_subprocess_exec(*command, *files, stderr=asyncio.subprocess.PIPE)
    await process.communicate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.broker
@pytest.mark.slow
async def test_a_broker_that_is_silent_or_falls_silent_while_it_is_listened_to(
    proxy: Proxy, proxied_url: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "LISTEN_S", 2)
    monkeypatch.setattr(broker, "CONNECT_S", 2)
    ask("PUT", "exchanges", EXCHANGE, body=FANOUT)
    began_s = time.monotonic()
    looking = asyncio.create_task(look(amqp_url=proxied_url))
    # Rights, publishing and history have connections of their own; the one that listens is left.
    await eventually(lambda: (proxy.accepted, proxy.connections) == (4, 1))
    proxy.black_hole()
    silent = await look(amqp_url=proxied_url)
    assert "does not answer" in silent.problems()["broker"]
    assert "fell silent" in (await looking).problems()["broker"]
    assert time.monotonic() - began_s < 15


# -- rights -------------------------------------------------------------------------------------


@pytest.mark.broker
@pytest.mark.parametrize("role", Role)
async def test_the_rights_of_each_role_are_enough_and_each_is_missed(
    users: Users, ask: Ask, role: Role
) -> None:
    """What `deploy/` gives is enough; without one of the three kinds it is not, but for another."""
    ask("PUT", "exchanges", EXCHANGE, body=FANOUT)
    kinds = dict(zip(KINDS, permissions(role, EXCHANGE), strict=True))
    report = await look(amqp_url=users.add("whole", **kinds), role=role)
    assert report.of("rights").state is State.OK, report.found
    for kind, given in kinds.items():
        if given != "^$":
            lesser = users.add(f"without-{kind}", **kinds | {kind: "^$"})
            report = await look(amqp_url=lesser, role=role)
            assert report.of("rights").state is State.PROBLEM, report.found
            told = report.problems()["rights"]
            assert f"{kind} on 'progress-ws" in told or f"{kind}, " in told or f", {kind} " in told
            assert "set_permissions" in told


@pytest.mark.broker
async def test_a_publisher_need_not_be_able_to_listen(users: Users, amqp_url: str) -> None:
    publisher = users.add("publisher", write="^progress-ws$")
    async with live_when_ready(Settings(amqp_url=amqp_url)):
        report = await look(amqp_url=publisher)
    assert report.problems() == {}
    assert report.of("nodes").state is State.UNCHECKED
    assert "not to be cancelled or to be a node" in report.of("rights").text
    assert report.of("history").state is State.OK


# -- exchange and history -----------------------------------------------------------------------


@pytest.mark.broker
async def test_a_missing_exchange_is_a_problem_of_publishers(amqp_url: str) -> None:
    report = await look(amqp_url=amqp_url)
    assert "does not exist" in report.problems()["exchange"]
    report = await look(amqp_url=amqp_url, role=Role.NODE, url="http://127.0.0.1:1")
    assert "exchange" not in report.problems()


@pytest.mark.broker
@pytest.mark.parametrize(
    "kind", [{"type": "direct", "durable": True}, {"type": "fanout", "durable": False}]
)
async def test_an_exchange_of_another_kind(
    rabbitmq: RabbitMQ, amqp_url: str, users: Users, ask: Ask, kind: dict[str, object]
) -> None:
    ask("PUT", "exchanges", EXCHANGE, body=kind)
    publisher = users.add("publisher", write="^progress-ws$")
    of_node, of_publisher = await asyncio.gather(
        look(amqp_url=amqp_url), look(amqp_url=publisher, management=rabbitmq)
    )
    for report in (of_node, of_publisher):
        assert "not a durable fanout" in report.problems()["exchange"]
        assert "nodes" not in report.problems()


@pytest.mark.broker
async def test_no_stream_and_another_queue_of_its_name(amqp_url: str, ask: Ask) -> None:
    ask("PUT", "exchanges", EXCHANGE, body=FANOUT)
    missing, off = await asyncio.gather(
        look(amqp_url=amqp_url), look(amqp_url=amqp_url, history_seconds="0")
    )
    assert "stream_queue" in missing.problems()["history"]
    assert off.of("history").state is State.UNCHECKED
    ask("PUT", "queues", HISTORY, body={"durable": True})
    assert "not a durable stream" in (await look(amqp_url=amqp_url)).problems()["history"]


# -- nodes --------------------------------------------------------------------------------------


@pytest.mark.broker
@hears_nodes
@pytest.mark.slow
async def test_a_node_whose_binding_is_gone_is_deaf(
    rabbitmq: RabbitMQ, vhost: str, amqp_url: str, users: Users
) -> None:
    """And stays so while it may not subscribe anew."""
    url = users.add("node", **dict.fromkeys(KINDS, ".*"))
    (user,) = users.names

    async with live_when_ready(Settings(amqp_url=url, node="a")) as node:

        async def is_deaf() -> bool:
            return (await node.get("/readyz"))[0] == 503

        rabbitmq.management.permit(user, vhost, **dict.fromkeys(KINDS, "^progress-ws$"))
        rabbitmq.management.recreate_exchange(vhost, EXCHANGE)
        await eventually(is_deaf)
        report = await look(amqp_url=amqp_url)
        assert ": a;" in report.problems()["nodes"]
        assert "bind the queue" in report.problems()["history"]


@pytest.mark.broker
async def test_nobody_is_there(amqp_url: str, ask: Ask) -> None:
    ask("PUT", "exchanges", EXCHANGE, body=FANOUT)
    assert "start a node" in (await look(amqp_url=amqp_url)).problems()["nodes"]


@pytest.mark.broker
@hears_nodes
@pytest.mark.slow
async def test_a_node_on_another_exchange(amqp_url: str, ask: Ask) -> None:
    ask("PUT", "exchanges", "theirs", body=FANOUT)
    settings = Settings(amqp_url=amqp_url, node="a", publish_token=TOKEN)
    async with live_when_ready(settings) as node:
        environ = {"amqp_url": amqp_url, "url": node.url, "publish_token": TOKEN}
        theirs, missing = await asyncio.gather(
            look(prefix="theirs", **environ), look(prefix="nobodys", **environ)
        )
    assert "another exchange" in theirs.problems()["node"]
    assert "another exchange" in missing.problems()["node"]


@pytest.mark.broker
@hears_nodes
@pytest.mark.slow
async def test_a_frozen_node_and_a_queue_that_nobody_reads(
    rabbitmq: RabbitMQ, amqp_url: str, node_process: Callable[..., Node], ask: Ask
) -> None:
    node = node_process(amqp_url=amqp_url, node="frozen")
    ask("PUT", "queues", "progress-ws.node.left.0f3a", body={"durable": True})

    def consumers() -> list[int | None]:
        return sorted(q.get("consumers", -1) for q in ask("GET", "queues") if ".node." in q["name"])

    await eventually(lambda: consumers() == [0, 1], 20)
    node.freeze()
    try:
        report = await look(amqp_url=amqp_url, management=rabbitmq)
    finally:
        node.thaw()
    told = [finding.text for finding in report.found if finding.check == "queues"]
    assert any("'frozen'" in text and "not heard" in text for text in told)
    assert any("'left'" in text and "nobody reads" in text for text in told)


@pytest.mark.broker
@hears_nodes
@pytest.mark.slow
async def test_forged_heartbeats_tell_of_versions_and_clocks(
    rabbitmq: RabbitMQ, vhost: str, amqp_url: str
) -> None:
    """What a node of another version, whose clock is off, would send."""
    beat = {"node": "old", "instance": "x", "version": "0.0.1", "connections": 0, "sessions": 0}
    properties: dict[str, object] = {
        "type": "progress-ws.heartbeat",
        "timestamp": int(time.time()) - 300,
    }

    def publish() -> None:
        rabbitmq.management.publish(vhost, EXCHANGE, json.dumps(beat), properties=properties)

    async with live_when_ready(Settings(amqp_url=amqp_url)):
        looking = asyncio.create_task(look(amqp_url=amqp_url))
        while not looking.done():
            await asyncio.to_thread(publish)
            await asyncio.wait([looking], timeout=1)
    problems = looking.result().problems()
    assert "0.0.1: old" in problems["versions"]
    assert "ahead of that of node old" in problems["clock"]


# -- over HTTP ----------------------------------------------------------------------------------


async def test_tokens() -> None:
    async with live_when_ready(Settings(publish_token=TOKEN)) as node:
        wrong, missing = await asyncio.gather(
            look(url=node.url, publish_token="SECRET-too"), look(url=node.url)
        )
        assert "refuses" in wrong.problems()["token"]
        assert "SECRET" not in str(wrong.found)
        assert "is unset" in missing.problems()["token"]
        assert await node.metric("received_total") == 0
    async with live_when_ready(Settings()) as node:
        assert "is off" in (await look(url=node.url, publish_token=TOKEN)).problems()["token"]


async def test_a_node_that_is_not_ready() -> None:
    from tests.node.conftest import live

    async with live(Settings(amqp_url="amqp://127.0.0.1:1", publish_token=TOKEN)) as node:
        told = (await look(url=node.url, publish_token=TOKEN)).problems()["node"]
    assert "cannot receive" in told
    assert "progress-ws doctor on its machine" in told


@asynccontextmanager
async def page(answer: bytes) -> AsyncIterator[str]:
    """An HTTP server that has one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no progress-ws node"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://n/\r\nContent-Length: 0\r\n\r\n", "https://n/"),
        (b"AMQP\0\0\x09\x01", "correct PROGRESS_WS_URL"),
    ],
)
async def test_what_is_no_node(answer: bytes, said: str) -> None:
    async with page(answer) as url:
        report = await look(url=url, publish_token=TOKEN)
    assert said in report.problems()["node"]
    assert report.problems().keys() == {"node"}


# -- a broker that may be broken ----------------------------------------------------------------


@pytest.mark.broker
@pytest.mark.slow
async def test_an_alarm_a_frozen_broker_and_a_stream_that_never_comes_back(
    own_rabbitmq: RabbitMQ,
) -> None:
    url, request = own_rabbitmq.amqp_url(), own_rabbitmq.management.request
    request("PUT", "exchanges", "/", EXCHANGE, body=FANOUT)
    async with alarm(own_rabbitmq):
        await eventually(lambda: request("GET", "nodes")[0].get("mem_alarm"), 20)
        report = await look(amqp_url=url)
        assert "memory or disk" in report.problems()["alarm"]
        assert "nodes" not in report.problems()
        report = await look(amqp_url=url, management=own_rabbitmq)
        assert "of memory is short" in report.problems()["alarm"]
    own_rabbitmq.freeze()
    try:
        assert "does not answer" in (await look(amqp_url=url)).problems()["broker"]
    finally:
        own_rabbitmq.thaw()
    if not (await look(amqp_url=url)).of("broker").text.startswith("RabbitMQ 3."):
        return  # newer ones bring it back
    request("PUT", "queues", "/", HISTORY, body=STREAM)
    own_rabbitmq.kill()
    own_rabbitmq.start()
    await asyncio.to_thread(own_rabbitmq.wait_ready)
    assert f"delete the queue '{HISTORY}'" in (await look(amqp_url=url)).problems()["history"]
