"""A consumer takes what is delivered, many at a time, and acknowledges it; in both of its forms."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pika
import pytest

from progress_ws.broker import consumers
from progress_ws.broker.bulk import Delivered
from progress_ws.broker.connection import connect
from progress_ws.broker.consumers import Consumer
from progress_ws.broker.seam import LinkLost
from progress_ws.broker.stream import Recalled, recall
from progress_ws.broker.topology import declare_exchange, declare_history, declare_node_queue
from tests.broker.conftest import NAMES
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.broker,
    pytest.mark.parametrize("plain", [False, True], ids=["in bulk", "plain"]),
]

PREFETCH = 50
MANY = 10 * PREFETCH
FRAME_MAX = 131_072


def publish(url: str, *bodies: bytes) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for body in bodies:
        channel.basic_publish(NAMES.exchange, "", body)
    connection.close()


@asynccontextmanager
async def consuming(
    url: str, on_delivered: Callable[[list[Delivered]], None], *, plain: bool
) -> AsyncIterator[Consumer]:
    consumer = Consumer(on_delivered, plain=plain)
    async with connect(url, name="a test", transport_factory=consumer.tap) as connection:
        exchange = await declare_exchange(connection, NAMES)
        channel = await consumer.open(connection, prefetch=PREFETCH)
        queue = await declare_node_queue(channel, exchange, NAMES, "test")
        await consumer.start(queue.name)
        yield consumer
        consumer.end(None)


class Got:
    """What was delivered."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, delivered: list[Delivered]) -> None:
        self.bodies += [each.delivery.body for each in delivered]


async def test_everything_comes_since_what_came_is_acknowledged(amqp_url: str, plain: bool) -> None:
    got, bodies = Got(), [b"%d" % n for n in range(MANY)]
    async with consuming(amqp_url, got, plain=plain):
        await asyncio.to_thread(publish, amqp_url, *bodies)
        await eventually(lambda: len(got.bodies) == MANY)
    assert got.bodies == bodies


async def test_without_an_acknowledgement_only_the_prefetch_comes(
    amqp_url: str, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker keeps the rest, however much it is: that is what bounds a node that is busy."""
    monkeypatch.setattr(consumers, "ACK_EVERY", MANY)
    monkeypatch.setattr(consumers, "ACK_AFTER_S", 1.0)
    got = Got()
    async with consuming(amqp_url, got, plain=plain):
        # Beside it, so that nothing passes unseen while it is slow.
        publishing = asyncio.create_task(asyncio.to_thread(publish, amqp_url, *[b"x"] * MANY))
        await eventually(lambda: len(got.bodies) == PREFETCH)
        # Then the time is up, and so many more may come.
        await eventually(lambda: len(got.bodies) == 2 * PREFETCH)
        await publishing


async def test_bodies_of_every_number_of_frames_come_whole(amqp_url: str, plain: bool) -> None:
    sizes = (0, 1, FRAME_MAX - 8, FRAME_MAX - 7, 2 * FRAME_MAX, 1_000_000)
    got, bodies = Got(), [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    async with consuming(amqp_url, got, plain=plain):
        await asyncio.to_thread(publish, amqp_url, *bodies)
        await eventually(lambda: len(got.bodies) == len(bodies))
    assert got.bodies == bodies


async def test_an_error_of_who_takes_them_ends_it(amqp_url: str, plain: bool) -> None:
    def fail(_delivered: list[Delivered]) -> None:
        raise ZeroDivisionError

    async with consuming(amqp_url, fail, plain=plain) as consumer:
        await asyncio.to_thread(publish, amqp_url, b"x")
        with pytest.raises(ZeroDivisionError):
            await consumer.ended


async def test_after_its_end_nothing_is_taken(amqp_url: str, plain: bool) -> None:
    got = Got()
    async with consuming(amqp_url, got, plain=plain) as consumer:
        await asyncio.to_thread(publish, amqp_url, b"before")
        await eventually(lambda: got.bodies)
        consumer.end(LinkLost("enough"))
        consumer.end(LinkLost("the first reason counts"))
        await asyncio.to_thread(publish, amqp_url, b"after")
        with pytest.raises(LinkLost, match="enough"):
            await consumer.ended
    assert got.bodies == [b"before"]


async def test_a_stream_is_read_in_its_order_with_its_offsets(amqp_url: str, plain: bool) -> None:
    async with connect(amqp_url, name="a test's node") as connection:
        await declare_exchange(connection, NAMES)
        await declare_history(connection, NAMES, max_age_s=300, max_bytes=10_000_000)
    await asyncio.to_thread(publish, amqp_url, *[b"%d" % n for n in range(MANY)])
    got: list[Recalled] = []

    def take(recalled: Recalled) -> bool:
        got.append(recalled)
        return len(got) == MANY

    read = partial(recall, amqp_url, NAMES, name="a test", since_s=60, take=take)
    await read(plain=plain)
    assert [each.delivery.body for each in got] == [b"%d" % n for n in range(MANY)]
    assert [each.offset for each in got] == list(range(MANY))
