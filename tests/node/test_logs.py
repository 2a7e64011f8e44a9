"""Logs: one JSON object a line, and never what is private."""

import asyncio
import json
from collections.abc import Callable

import aiohttp
import pytest

from deploy.local import Node, RabbitMQ
from tests.node.conftest import TOKEN
from tests.support.metrics import metric
from tests.support.tab import tab
from tests.support.waiting import eventually

StartProcess = Callable[..., Node]

SID = "SECRET-sid-of-a-browser"
CONTENT = "SECRET content"
PASSWORD = "SECRET:password/of@rabbitmq"


def events(node: Node) -> list[dict[str, object]]:
    """All that was logged."""
    return [json.loads(line) for line in node.output.splitlines()]


@pytest.mark.broker
async def test_nothing_private_is_logged(
    rabbitmq: RabbitMQ, vhost: str, node_process: StartProcess
) -> None:
    """Through a whole life with all kinds of trouble, at the level debug."""
    management = rabbitmq.management
    user = f"user-of-{vhost}"
    management.add_user(user, PASSWORD)
    management.permit(user, vhost, configure=".*", write=".*", read=".*")
    token = f"SECRET-{TOKEN}"
    node = node_process(
        amqp_url=rabbitmq.amqp_url(vhost, user=user, password=PASSWORD),
        publish_token=token,
        log_level="debug",
        max_message_bytes=1000,
    )
    bearer = {"Authorization": f"Bearer {token}"}
    async with tab(node.url, sid=SID) as browser, aiohttp.ClientSession(node.url) as http:

        async def post(body: object, **headers: str) -> int:
            data = body if isinstance(body, str) else json.dumps(body)
            async with http.post("/api/v1/messages", data=data, headers=headers) as answer:
                assert "SECRET" not in await answer.text()
                return answer.status

        message = {"sid": SID, "message": CONTENT, "key": "SECRET-key"}
        assert await post(message, **bearer) == 202
        assert (await browser.frame())["message"] == CONTENT
        assert await post(message | {"sid": "SECRET"}, **bearer) == 400
        assert await post(message | {"message": CONTENT * 100}, **bearer) == 413
        assert await post('{"sid": SECRET}', **bearer) == 400
        assert await post(message, Authorization="Bearer SECRET-but-wrong") == 401

        for frame in ("SECRET", '{"type":"follow","sid":"SECRET"}', '{"type":"SECRET"}'):
            await browser.socket.send(frame)
        await browser.socket.send(b"SECRET")

        for body in (
            CONTENT,
            "",
            '{"sid":"SECRET"}',
            '["SECRET"]',
            json.dumps({"sid": SID}),
            json.dumps(message | {"key": 5}),
            json.dumps(message | {"id": "SECRET"}),
        ):
            await asyncio.to_thread(management.publish, vhost, "progress-ws", body)
            properties = {"type": "progress-ws.heartbeat"}
            await asyncio.to_thread(
                management.publish, vhost, "progress-ws", body, properties=properties
            )
        async with http.get(f"/websocket/progress?sid={SID}") as answer:
            assert answer.status == 400
        for request in (
            f"GET /websocket/progress?sid={SID}\0 HTTP/1.1\r\n\r\n",
            f"GET / HTTP/1.1\r\nAuthorization: Bearer\0 {token}\r\n\r\n",
            f"{SID}\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
            writer.write(request.encode())
            await reader.read()
            writer.close()
        received = await asyncio.to_thread(metric, node, "messages_rejected_total")
        assert received > 0
        assert await asyncio.to_thread(node.status, "/readyz") == 200

        # The broker cuts the connections and refuses the login from now on.
        management.add_user(user, "another")
        await eventually(lambda: management.connections(vhost))
        for connection in management.connections(vhost):
            management.close_connection(connection["name"])
        await eventually(lambda: "refused the login" in node.output, 15)

    node.terminate()
    await eventually(lambda: not node.alive)
    assert node.returncode == 0
    leaks = [line for line in node.output.splitlines() if "SECRET" in line or "Traceback" in line]
    assert leaks == []
    assert PASSWORD.split(":")[1] not in node.output

    logged = events(node)
    (connected, *_) = (event for event in logged if event["event"] == "connected to the broker")
    assert connected["broker"] == f"RabbitMQ at 127.0.0.1:{rabbitmq.port}"
    for name in ("listening", "message rejected", "socket closed", "draining", "stopped"):
        assert name in [event["event"] for event in logged]


async def test_every_line_is_an_event(node_process: StartProcess) -> None:
    """Each with a name, a level and a time; a socket's end is one event with its sums."""
    node = node_process(node="node-7")
    async with tab(node.url):
        pass
    node.terminate()
    await eventually(lambda: not node.alive)
    logged = events(node)
    for event in logged:
        assert event["event"]
        assert event["level"] in ("debug", "info", "warning", "error", "critical")
        assert str(event["timestamp"]).endswith("Z")
        assert event["node"] == "node-7"
    assert {event["level"] for event in logged} == {"info"}
    (listening,) = (event for event in logged if event["event"] == "listening")
    assert listening["url"] == node.url
    (connected,) = (event for event in logged if event["event"] == "connected to the broker")
    assert connected["broker"] == "embedded"
    (closed,) = (event for event in logged if event["event"] == "socket closed")
    assert closed["code"] == 1000
    assert float(str(closed["duration_s"])) >= 0


async def test_level_and_format_are_settings(node_process: StartProcess) -> None:
    """At `error`, a life without trouble logs nothing; `console` is for people, not JSON."""
    quiet = node_process(log_level="error", wait=False)
    human = node_process(log_format="console", wait=False)
    for node in (quiet, human):
        await asyncio.to_thread(node.wait_ready)
        async with tab(node.url):
            pass
        node.terminate()
    await eventually(lambda: not quiet.alive and not human.alive)
    assert quiet.output == ""
    (line,) = (line for line in human.output.splitlines() if "listening" in line)
    assert human.url in line
    assert "\x1b" not in human.output  # colours are for terminals, not for files
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


@pytest.mark.broker
async def test_what_is_no_message_is_logged_once_per_reason(
    rabbitmq: RabbitMQ, vhost: str, node_process: StartProcess
) -> None:
    """A foreign publisher that sends nonsense all day does not fill the disk."""
    node = node_process(amqp_url=rabbitmq.amqp_url(vhost))
    bodies = ["no JSON", '{"sid":"short","message":1}'] * 20
    for body in bodies:
        await asyncio.to_thread(rabbitmq.management.publish, vhost, "progress-ws", body)

    async def all_counted() -> bool:
        rejected = await asyncio.to_thread(metric, node, "messages_rejected_total")
        return rejected == len(bodies)

    await eventually(all_counted)
    rejected = [event for event in events(node) if event["event"] == "message rejected"]
    assert len(rejected) == 2
    assert len({event["reason"] for event in rejected}) == 2
    assert all(event["level"] == "warning" for event in rejected)


async def test_a_misspelt_variable_is_told(node_process: StartProcess) -> None:
    """Once, with what was meant; what publishers and the demo read is no mistake."""
    node = node_process(ampq_url="amqp://user:SECRET@h/", sid="x", url="http://h", demo_dir="/tmp")
    (told,) = (event for event in events(node) if event["level"] == "warning")
    assert told["variables"] == ["PROGRESS_WS_AMPQ_URL: did you mean PROGRESS_WS_AMQP_URL?"]
    assert "SECRET" not in node.output


@pytest.mark.slow
@pytest.mark.broker
async def test_the_lines_of_workers_can_be_told_apart(
    rabbitmq: RabbitMQ, vhost: str, node_process: StartProcess
) -> None:
    """Each line says which node it is of."""
    node = node_process(amqp_url=rabbitmq.amqp_url(vhost), workers=2, node="host")
    node.terminate()
    await eventually(lambda: not node.alive, 15)
    for name in ("listening", "connected to the broker", "draining", "stopped"):
        told = {event["node"] for event in events(node) if event["event"] == name}
        assert told == {"host-1", "host-2"}, name
