"""What others put on the exchange: typed by hand, foreign, broken. None of it harms."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pika
import pytest

from deploy.local import RabbitMQ
from progress_ws import new_sid
from tests.node.conftest import LiveNode, Start, still_serves
from tests.support.tab import Tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

EXCHANGE = "progress-ws"
SID = "a-sid-that-nobody-reads"
LAST = "the last one"

Put = Callable[..., Any]


@pytest.fixture
async def node(amqp_url: str, start: Start) -> LiveNode:
    return await start(amqp_url=amqp_url)


@pytest.fixture
def put(amqp_url: str) -> Put:
    """Publish a body as a foreign program does: `await put(body, **properties)`."""

    def publish(body: bytes, routing_key: str, properties: dict[str, Any]) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        try:
            connection.channel().basic_publish(
                EXCHANGE, routing_key, body, pika.BasicProperties(**properties)
            )
        finally:
            connection.close()

    async def put(body: bytes, *, routing_key: str = "", **properties: Any) -> None:
        await asyncio.to_thread(publish, body, routing_key, properties)

    return put


def body(sid: str, message: object, **fields: object) -> bytes:
    """A message in the form of the exchange."""
    return json.dumps({"sid": sid, "message": message} | fields).encode()


async def comes_through(put: Put, browser: Tab) -> bool:
    """Whether the next message of the exchange is the next frame of the browser."""
    await put(body(browser.sid, LAST))
    return (await browser.frame())["message"] == LAST


# -- good ones, from others -------------------------------------------------------------------


async def test_a_message_typed_by_hand(rabbitmq: RabbitMQ, vhost: str, node: LiveNode) -> None:
    """The two required fields in the form of the management UI reach the browser."""
    async with node.tab() as browser:
        text = '{"sid": "SID",\n "message": "你好, \\"world\\""}'.replace("SID", browser.sid)
        assert await asyncio.to_thread(rabbitmq.management.publish, vhost, EXCHANGE, text)
        frame = await browser.frame()
        assert frame.pop("ts") > 0
        assert frame == {"type": "message", "sid": browser.sid, "message": '你好, "world"'}


async def test_a_publisher_of_another_language(node: LiveNode, put: Put) -> None:
    """No content type, a routing key of its own, properties as Java clients set them."""
    async with node.tab() as browser:
        properties = {
            "delivery_mode": 2,
            "priority": 0,
            "app_id": "reports",
            "headers": {"__TypeId__": "java.util.HashMap", "retry": 3, "trace": None},
            "timestamp": 1_700_000_000,
        }
        await put(body(browser.sid, {"rows": 1}), routing_key="reports.created", **properties)
        frame = await browser.frame()
        assert frame["message"] == {"rows": 1}
        assert frame["ts"] == 1_700_000_000


async def test_all_fields_of_a_foreign_publisher(node: LiveNode, put: Put) -> None:
    """Who numbers his messages and sets time, key, run and final is shown so."""
    async with node.tab() as browser:
        fields = {"id": "java-1", "ts": 1_700_000_000.5, "key": "k", "run": "r", "final": True}
        await put(body(browser.sid, "x", **fields, stall_s=5, dedupe="d", more=[1]))
        frame = await browser.frame()
        assert fields.items() <= frame.items()


async def test_a_repeated_number_comes_once(node: LiveNode, put: Put) -> None:
    """A publisher that lost its confirm sends again what may have arrived."""
    async with node.tab() as browser:
        for seq, value in ((1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, LAST)):
            await put(body(browser.sid, value, id=f"kotlin-{seq}"))
        assert await browser.values_until(LAST) == ["a", "b"]
        assert await node.metric("messages_repeated_total") == 2


async def test_messages_without_a_number_are_all_delivered(node: LiveNode, put: Put) -> None:
    """Without ids nothing tells a repetition from the same message meant twice."""
    async with node.tab() as browser:
        for _ in range(3):
            await put(body(browser.sid, "tick"))
        await put(body(browser.sid, LAST))
        assert await browser.values_until(LAST) == ["tick"] * 3


async def test_a_large_array(node: LiveNode, put: Put) -> None:
    """Foreign arrays may hold any number of messages, for several sids."""
    async with node.tab() as one, node.tab() as two:
        members = [
            {"sid": sid, "message": n} for n in range(2500) for sid in (one.sid, two.sid, SID)
        ]
        members += [{"sid": sid, "message": LAST} for sid in (one.sid, two.sid)]
        await put(json.dumps(members).encode())
        for browser in (one, two):
            assert await browser.values_until(LAST) == list(range(2500))


# -- bad ones ---------------------------------------------------------------------------------

NO_MESSAGES = [
    b"",
    b" ",
    b"hello",
    b"null",
    b"5",
    b'"text"',
    b"{}",
    b"{",
    b"[",
    b"\xff\xfe\x00",
    b"\x00" * 1000,
    b'{"sid":"%b"}',
    b'{"message":1}',
    b'{"sid":"%b","message":}',
    b'{"sid":"%b","message":"\xff"}',
    b'{"sid":"%b","message":"\\ud800"}',
    b'{"sid":"short","message":1}',
    b'{"sid":"%b","message":1,"id":"no-number"}',
    b'{"sid":"%b","message":1,"id":"p-0"}',
    b'{"sid":"%b","message":1,"id":"p-9007199254740992"}',
    b'{"sid":"%b","message":1,"id":5}',
    b'{"sid":"%b","message":1,"ts":"now"}',
    b'{"sid":"%b","message":1,"key":["k"]}',
    b'{"sid":"%b","message":1,"run":"r"}',
    b'{"sid":"%b","message":1} trailing',
    b'{"sid":"%b","message":' + b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000,
    b"sid;;;message",
    b"<xml/>",
    b'{"sid":"%b","message":"' + b"x" * 65_537 + b'"}',
]


@pytest.mark.usefixtures("no_collector")
async def test_what_is_no_message_is_counted_and_harmless(node: LiveNode, put: Put) -> None:
    """Each broken body counts once, by reason; everything after it comes through."""
    async with node.tab() as browser:
        for count, broken in enumerate(NO_MESSAGES, 1):
            await put(broken.replace(b"%b", browser.sid.encode()))
            assert await comes_through(put, browser)
            assert await node.metric("messages_rejected_total") == count, broken[:60]
        assert await node.metric("broker_reconnects_total") == 0


async def test_a_bad_member_harms_no_other(node: LiveNode, put: Put) -> None:
    """Of an array the good members are delivered, in order, and the bad ones counted."""
    async with node.tab() as browser:
        members: list[object] = []
        for n, broken in enumerate(
            [5, None, "x", [], {}, {"sid": "short", "message": 1}, {"sid": browser.sid},
             {"sid": browser.sid, "message": "x" * 65_537},
             {"sid": browser.sid, "message": 1, "key": 5}]
        ):  # fmt: skip
            members += [{"sid": browser.sid, "message": n}, broken]
        members.append({"sid": browser.sid, "message": LAST})
        await put(json.dumps(members).encode())
        assert await browser.values_until(LAST) == list(range(9))
        assert await node.metric("messages_rejected_total") == 9


async def test_reasons_are_a_small_set(node: LiveNode, put: Put) -> None:
    """What a label of a metric is made of is not for strangers to choose."""
    await put(json.dumps([{f"sid{n}": n, "message": f"{n}"} for n in range(500)]).encode())
    await put(json.dumps([{"sid": SID, "message": 1, "key": n} for n in range(500)]).encode())

    async def counted() -> bool:
        return await node.metric("messages_rejected_total") == 1000

    await eventually(counted)
    _, text = await node.get("/metrics")
    rejected = [line for line in text.splitlines() if "messages_rejected_total{" in line]
    assert len(rejected) == 2


STRANGE = [
    {"timestamp": 0},
    {"timestamp": 1_795_422_178_567},  # milliseconds
    {"timestamp": 1_795_422_178_567_000},  # microseconds
    {"timestamp": 2**64 - 1},
    {"message_id": b"\xff\xfe"},
    {"type": b"\xff\xfe"},
    {"app_id": b"\xff\xfe"},
    {"content_type": b"\xff\xfe"},
    {"content_encoding": b"\xff\xfe"},
    {"correlation_id": b"\xff\xfe"},
    {"reply_to": b"\xff\xfe"},
    {"headers": {"deep": {"er": [1, None, {"bytes": b"\xff"}]}, "": -1, "long": 2**62}},
    {"content_type": "text/plain; charset=utf-16", "content_encoding": "gzip"},
    {"message_id": "m" * 255, "type": "t" * 255},
]


async def test_strange_properties_cost_nobody_the_connection(node: LiveNode, put: Put) -> None:
    """Whatever a foreign program writes beside the body, the body is what counts."""
    async with node.tab() as browser:
        for properties in STRANGE:
            await put(body(browser.sid, str(properties)), **properties)
            frame = await browser.frame()
            assert frame["message"] == str(properties)
            assert isinstance(frame["ts"], float | int)
        assert await node.metric("broker_reconnects_total") == 0


@pytest.mark.usefixtures("no_collector")
async def test_messages_of_the_nodes_own_are_no_messages(node: LiveNode, put: Put) -> None:
    """What has a type of ours is never delivered, and broken or of a later version harmless."""
    async with node.tab() as browser:
        for type_ in ("progress-ws.heartbeat", "progress-ws.of-a-later-version", "progress-ws."):
            for content in (body(browser.sid, "x"), b"", b"\xff", b"{}", b"[" * 100_000):
                await put(content, type=type_)
        assert await comes_through(put, browser)
        assert await still_serves(browser)
        assert (await node.get("/readyz"))[0] == 200


async def test_a_flood_of_nonsense_leaves_the_node_ready(node: LiveNode, put: Put) -> None:
    """Fifty thousand bad members are worked off, and then browsers are served as before."""
    async with node.tab() as browser:
        for _ in range(5):
            await put(b"[" + b",".join([b"5"] * 10_000) + b"]")
        assert await comes_through(put, browser)
        assert await node.metric("messages_rejected_total") == 50_000
        assert (await node.get("/readyz"))[0] == 200


# -- what an operator sees in the management UI -----------------------------------------------


async def test_a_node_has_a_queue_of_its_own(rabbitmq: RabbitMQ, vhost: str, start: Start) -> None:
    """Exclusive, auto-delete, bounded in bytes with the oldest dropped, and named after it."""
    await start(amqp_url=rabbitmq.amqp_url(vhost), node="node-7")
    queues = await asyncio.to_thread(rabbitmq.management.queues, vhost)
    (queue,) = (queue for queue in queues if queue["name"] not in ("spy", "progress-ws.history"))
    assert queue["name"].startswith("progress-ws.node.node-7.")
    assert len(queue["name"]) > len("progress-ws.node.node-7.") + 6
    assert (queue["exclusive"], queue["auto_delete"]) == (True, True)
    assert queue["arguments"]["x-max-length-bytes"] > 0
    assert queue["arguments"]["x-overflow"] == "drop-head"


async def test_connections_say_whose_they_are(rabbitmq: RabbitMQ, vhost: str, start: Start) -> None:
    """Consuming and publishing have a connection each, with the node's name in it."""
    await start(amqp_url=rabbitmq.amqp_url(vhost), node="node-7")

    async def both() -> bool:
        connections = await asyncio.to_thread(rabbitmq.management.connections, vhost)
        names = {c.get("client_properties", {}).get("connection_name", "") for c in connections}
        return len([name for name in names if "node-7" in name]) == 2

    await eventually(both)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_message_says_what_it_is(
    rabbitmq: RabbitMQ, vhost: str, node: LiveNode, count: int
) -> None:
    """Properties and headers for whoever looks into a queue; the routing key is the sid."""
    management = rabbitmq.management
    await asyncio.to_thread(_bind_spy, management, vhost)
    sid = new_sid()
    message = {"sid": sid, "message": {"rows": 1}, "key": "report"}
    status, answer = await node.post(message if count == 1 else [message] * count)
    assert status == 202
    taken = {"count": 100, "ackmode": "ack_requeue_false", "encoding": "auto"}
    path = ("queues", vhost, "spy", "get")
    seen = await asyncio.to_thread(management.request, "POST", *path, body=taken)
    (seen,) = [m for m in seen if not m["properties"].get("type", "").startswith("progress-ws.")]
    properties, payload = seen["properties"], json.loads(seen["payload"])
    assert properties["content_type"] == "application/json"
    assert properties["message_id"] == answer["ids"][0]
    assert properties["timestamp"] > 1_700_000_000
    assert properties["app_id"].startswith("progress-ws")
    assert properties["type"]
    if count == 1:
        assert seen["routing_key"] == sid
        assert properties["headers"] == {"sid": sid, "key": "report"}
        assert payload.pop("ts") > 1_700_000_000
        assert payload == message | {"id": answer["ids"][0]}
    else:
        assert seen["routing_key"] == ""
        assert [member["id"] for member in payload] == answer["ids"]


def _bind_spy(management: Any, vhost: str) -> None:
    queue = {"durable": False, "auto_delete": False, "arguments": {"x-expires": 60_000}}
    management.request("PUT", "queues", vhost, "spy", body=queue)
    path = ("bindings", vhost, "e", EXCHANGE, "q", "spy")
    management.request("POST", *path, body={"routing_key": ""})
