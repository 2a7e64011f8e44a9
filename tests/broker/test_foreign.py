"""What others publish to the exchange: read if it can be, and harmless whatever it is."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest

from deploy.local import RabbitMQ
from progress_ws.broker.feed import AmqpFeed
from tests.broker.conftest import NAMES, SID, Ear, listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

BODY = b'{"sid": "%b", "message": "hello"}' % SID.encode()
SECONDS, MILLIS = 1_700_000_000, 1_700_000_000_000

Publish = Callable[..., None]


class RawTable(pika.BasicProperties):
    """Properties of which some bytes are written as they are, right or wrong.

    Args:
        flag: the bit of the property in the content header (AMQP 0-9-1, section 4.2.6).
        raw: the property itself.
    """

    def __init__(self, flag: int, raw: bytes) -> None:
        super().__init__()
        self._flag, self._raw = flag, raw

    def encode(self) -> list[bytes]:
        """What pika writes after the size of the body."""
        return [struct.pack(">H", 1 << self._flag), self._raw]


CONTENT_TYPE, HEADERS, TIMESTAMP, MESSAGE_ID, TYPE, APP_ID = 15, 13, 6, 7, 5, 3


def short(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


def table(*members: bytes) -> bytes:
    raw = b"".join(members)
    return struct.pack(">I", len(raw)) + raw


@pytest.fixture
def publish(amqp_url: str) -> Iterator[Publish]:
    """Publish with pika, the plainest of clients, whatever properties a test thinks of."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()

    def send(
        properties: pika.BasicProperties | None = None, body: bytes = BODY, key: str = ""
    ) -> None:
        channel.basic_publish("progress-ws", key, body, properties)

    yield send
    connection.close()


@pytest.fixture
def feed(amqp_url: str) -> AmqpFeed:
    return AmqpFeed(amqp_url, NAMES, node="a")


async def heard_one(ear: Ear) -> Any:
    """The one delivery; the feed must not have needed a new connection for it."""
    await eventually(lambda: ear.heard or ear.feed.reconnects, what="a delivery")
    assert ear.feed.reconnects == 0
    (delivery,) = ear.heard
    ear.heard.clear()
    return delivery


async def test_the_two_required_fields_typed_into_the_management_ui(
    feed: AmqpFeed, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(feed) as ear:
        assert rabbitmq.management.publish(vhost, "progress-ws", BODY.decode(), routing_key="x")
        delivery = await heard_one(ear)
        assert (delivery.body, delivery.type) == (BODY, None)
        assert (delivery.message_id, delivery.timestamp) == (None, None)


async def test_the_properties_that_mean_something_are_handed_on(
    feed: AmqpFeed, publish: Publish
) -> None:
    async with listening(feed) as ear:
        publish(pika.BasicProperties(type="message", message_id="m-1", timestamp=SECONDS))
        delivery = await heard_one(ear)
        assert (delivery.type, delivery.message_id, delivery.timestamp) == (
            "message",
            "m-1",
            SECONDS,
        )


PROPERTIES = {
    "none": pika.BasicProperties(),
    "all": pika.BasicProperties(
        content_type="text/plain",
        content_encoding="gzip",
        headers={"a": [1, {"b": None}], "t": True},
        delivery_mode=2,
        priority=9,
        correlation_id="c",
        reply_to="r",
        message_id="m",
        timestamp=SECONDS,
        type="t",
        user_id="guest",
        app_id="a",
        cluster_id="c",
    ),
    "empty texts": pika.BasicProperties(type="", message_id="", content_type="", headers={}),
    "timestamp 0": pika.BasicProperties(timestamp=0),
    "timestamp in milliseconds": pika.BasicProperties(timestamp=MILLIS),
    "timestamp in microseconds": pika.BasicProperties(timestamp=MILLIS * 1000),
    "timestamp in nanoseconds": pika.BasicProperties(timestamp=MILLIS * 1_000_000),
    "greatest timestamp": pika.BasicProperties(timestamp=2**64 - 1),
    "type not UTF-8": RawTable(TYPE, short(b"\xff\xfe")),
    "message id not UTF-8": RawTable(MESSAGE_ID, short(b"caf\xe9")),
    "content type not UTF-8": RawTable(CONTENT_TYPE, short(b"\xff")),
    "app id not UTF-8": RawTable(APP_ID, short(b"\xff" * 255)),
    "header name not UTF-8": RawTable(HEADERS, table(short(b"\xff"), b"t\x01")),
    "header text not UTF-8": RawTable(
        HEADERS, table(short(b"h"), b"S" + struct.pack(">I", 2) + b"\xff\xfe")
    ),
    "header timestamp out of range": RawTable(
        HEADERS, table(short(b"h"), b"T" + struct.pack(">Q", 2**63))
    ),
    "header bytes": RawTable(
        HEADERS, table(short(b"h"), b"x" + struct.pack(">I", 2) + b"\xff\x00")
    ),
    "header decimal": RawTable(HEADERS, table(short(b"h"), b"D\x02" + struct.pack(">i", -5))),
    "header name twice": RawTable(HEADERS, table(short(b"h"), b"t\x01", short(b"h"), b"t\x00")),
    "nested far": pika.BasicProperties(headers={"a": {"a": {"a": {"a": [[[[[1]]]]]}}}}),
    "many headers": pika.BasicProperties(headers={f"h{n}": n for n in range(500)}),
}


@pytest.mark.parametrize("name", PROPERTIES)
async def test_no_properties_however_odd_cost_a_node_its_connection(
    name: str, feed: AmqpFeed, publish: Publish
) -> None:
    async with listening(feed) as ear:
        publish(PROPERTIES[name])
        delivery = await heard_one(ear)
        assert delivery.body == BODY
        publish()
        assert (await heard_one(ear)).body == BODY


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\xff" * 10, b"x" * 200_000, b"[" * 100_000], ids=lambda b: str(b[:4])
)
async def test_any_body_is_handed_on_as_it_is(
    body: bytes, feed: AmqpFeed, publish: Publish
) -> None:
    async with listening(feed) as ear:
        publish(body=body)
        assert (await heard_one(ear)).body == body


async def test_the_routing_key_does_not_matter(feed: AmqpFeed, publish: Publish) -> None:
    async with listening(feed) as ear:
        for key in ("", SID, "x" * 255):
            publish(key=key)
            assert (await heard_one(ear)).body == BODY


async def test_a_flood_is_read_in_order(feed: AmqpFeed, publish: Publish) -> None:
    async with listening(feed) as ear:
        count = 5000

        def flood() -> None:
            for n in range(count):
                publish(body=b'{"message": %d}' % n)

        await asyncio.to_thread(flood)
        await ear.hears(count, 30)
        assert ear.values == list(range(count))
        assert ear.feed.reconnects == 0
