"""What RabbitMQ's management UI shows of a message of ours."""

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from deploy.local import RabbitMQ
from progress_ws import Publisher, new_sid
from progress_ws.broker.feed import AmqpFeed
from tests.broker.conftest import NAMES, listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

Seen = Callable[[], Any]


@pytest.fixture
async def next_message(amqp_url: str, rabbitmq: RabbitMQ, vhost: str) -> AsyncIterator[Seen]:
    """Look into a queue beside the nodes', as a person does with "Get messages"."""
    ask = rabbitmq.management.request
    async with listening(AmqpFeed(amqp_url, NAMES, node="a")):
        ask("PUT", "queues", vhost, "look", body={})
        ask("POST", "bindings", vhost, "e", "progress-ws", "q", "look", body={})

        async def get() -> dict[str, Any]:
            body = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}
            found = await eventually(lambda: ask("POST", "queues", vhost, "look", "get", body=body))
            return dict(found[0])

        yield get


async def test_a_single_message(next_message: Seen, amqp_url: str) -> None:
    sid, before = new_sid(), time.time()
    async with Publisher(amqp_url) as publisher:
        id_ = await publisher.send(sid, {"rows": 1}, key="report", final=True)
    seen = await next_message()
    payload = json.loads(seen["payload"])
    ts = payload.pop("ts")
    assert before - 1 <= ts <= time.time() + 1
    assert payload == {
        "sid": sid,
        "message": {"rows": 1},
        "id": id_,
        "key": "report",
        "final": True,
    }
    assert (seen["exchange"], seen["routing_key"]) == ("progress-ws", sid)
    properties = seen["properties"]
    assert properties["content_type"] == "application/json"
    assert properties["message_id"] == id_
    assert abs(properties["timestamp"] - ts) <= 2
    assert properties["app_id"].startswith("progress-ws")
    assert not properties["type"].startswith("progress-ws.")
    assert properties["headers"] == {"sid": sid, "key": "report"}


async def test_what_does_not_apply_is_not_shown(next_message: Seen, amqp_url: str) -> None:
    sid = new_sid()
    async with Publisher(amqp_url) as publisher:
        await publisher.send(sid, "50 %")
    seen = await next_message()
    assert seen["properties"]["headers"] == {"sid": sid}
    assert json.loads(seen["payload"]).keys() == {"sid", "message", "id", "ts"}


async def test_an_array(next_message: Seen, amqp_url: str) -> None:
    sids = [new_sid() for _ in range(3)]
    async with Publisher(amqp_url) as publisher:
        for sid in sids:
            publisher.post(sid, 1)
    seen = await next_message()
    assert [member["sid"] for member in json.loads(seen["payload"])] == sids
    assert seen["routing_key"] == ""
    properties = seen["properties"]
    assert properties["content_type"] == "application/json"
    assert properties["message_id"] == json.loads(seen["payload"])[0]["id"]
    assert not properties["type"].startswith("progress-ws.")


async def test_the_publishers_connection_tells_where_it_runs(
    next_message: Seen, amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    assert next_message
    async with Publisher(amqp_url):

        def names() -> list[str]:
            connections = rabbitmq.management.connections(vhost)
            return [c["client_properties"]["connection_name"] for c in connections]

        await eventually(lambda: [n for n in names() if n.startswith("progress-ws publisher ")])


async def test_a_key_of_any_characters_is_shown(next_message: Seen, amqp_url: str) -> None:
    key = "进度\x00\n" + "k" * 100
    async with Publisher(amqp_url) as publisher:
        await publisher.send(new_sid(), 1, key=key)
    assert (await next_message())["properties"]["headers"]["key"] == key
