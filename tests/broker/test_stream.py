"""What crossed the exchange is read back from a real stream, in its order, whatever happens."""

import asyncio
import math
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pika
import pytest

from deploy.local import RabbitMQ
from progress_ws.broker import consumers, stream
from progress_ws.broker.connection import connect
from progress_ws.broker.seam import LinkLost, LinkRefused, NoStream
from progress_ws.broker.stream import Recalled, recall
from progress_ws.broker.topology import await_history, declare_exchange, declare_history
from tests.broker.conftest import NAMES, Users
from tests.support.proxy import Proxy
from tests.support.server import connected, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

MiB = 1024 * 1024
Publish = Callable[..., None]
T = TypeVar("T")


async def declare(url: str, *, max_age_s: int = 300, max_bytes: int = 64 * MiB) -> None:
    """What a node does at its start."""
    async with connect(url, name="a test's node") as connection:
        await declare_exchange(connection, NAMES)
        await declare_history(connection, NAMES, max_age_s=max_age_s, max_bytes=max_bytes)


@pytest.fixture
async def history(amqp_url: str) -> str:
    """A stream, bound; its address."""
    await declare(amqp_url)
    return amqp_url


@pytest.fixture
def publish(history: str) -> Iterator[Publish]:
    """Publish and wait until the broker has it."""
    connection = pika.BlockingConnection(pika.URLParameters(history))
    channel = connection.channel()
    channel.confirm_delivery()

    def send(*bodies: bytes, **properties: Any) -> None:
        for body in bodies:
            channel.basic_publish("progress-ws", "", body, pika.BasicProperties(**properties))

    yield send
    connection.close()


def publish_fast(url: str, count: int) -> None:
    """Publish numbers, without waiting for each."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for n in range(count):
        channel.basic_publish("progress-ws", "", b"%d" % n)
    connection.close()


async def steadily(attempt: Callable[[], Awaitable[T]]) -> T:
    """Read as nodes do: try again when the connection is lost.

    RabbitMQ 4.0 loses it of its own now and then (`invalid_chunk_header`), when a consumer begins
    where a segment of the stream does.
    """
    async with asyncio.timeout(30):
        for _ in range(5):
            with suppress(LinkLost):
                return await attempt()
        return await attempt()


async def read(url: str, count: int, *, since_s: float = math.inf) -> list[Recalled]:
    """So many from the stream."""

    async def attempt() -> list[Recalled]:
        got: list[Recalled] = []

        def take(recalled: Recalled) -> bool:
            got.append(recalled)
            return len(got) == count

        await recall(url, NAMES, name="a test", since_s=since_s, take=take)
        return got

    return await steadily(attempt)


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[list[Recalled], "asyncio.Task[None]"]]:
    """Read without ever having enough."""
    got: list[Recalled] = []

    def take(recalled: Recalled) -> bool:
        got.append(recalled)
        return False

    task = asyncio.create_task(recall(url, NAMES, name="a test", since_s=60, take=take))
    try:
        yield got, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_stream_is_bounded_and_durable(
    history: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    queue = rabbitmq.management.request("GET", "queues", vhost, "progress-ws.history")
    assert queue["durable"]
    assert queue["arguments"] == {
        "x-queue-type": "stream",
        "x-max-age": "300s",
        "x-max-length-bytes": 64 * MiB,
        "x-stream-max-segment-size-bytes": 4 * MiB,
    }
    (binding,) = rabbitmq.management.request(
        "GET", "bindings", vhost, "e", "progress-ws", "q", "progress-ws.history"
    )
    assert binding["routing_key"] == ""


async def test_one_of_other_bounds_will_do_and_is_bound_again(
    history: str, rabbitmq: RabbitMQ, vhost: str, publish: Publish
) -> None:
    rabbitmq.management.recreate_exchange(vhost, "progress-ws")
    await declare(history, max_age_s=10, max_bytes=MiB)
    publish(b"hello")
    assert [each.delivery.body for each in await read(history, 1)] == [b"hello"]


@pytest.mark.parametrize(
    "queue",
    [
        {"durable": True},
        {"durable": False},
        {"durable": True, "arguments": {"x-max-length-bytes": 1000, "x-queue-type": "quorum"}},
        {"durable": True, "arguments": {"x-expires": 60_000, "x-max-length": 7}},
    ],
)
async def test_a_queue_of_another_kind_is_told_with_the_mend(
    queue: dict[str, Any], amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    rabbitmq.management.request("PUT", "queues", vhost, "progress-ws.history", body=queue)
    with pytest.raises(NoStream, match="'progress-ws.history'.*delete it.*PROGRESS_WS_PREFIX"):
        await declare(amqp_url)
    where = ("bindings", vhost, "e", "progress-ws", "q", "progress-ws.history")
    assert rabbitmq.management.request("GET", *where) == []


async def test_reading_from_a_queue_of_another_kind_is_told_too(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    body = {"durable": True}
    rabbitmq.management.request("PUT", "queues", vhost, "progress-ws.history", body=body)
    with pytest.raises(NoStream, match="not a durable stream: delete it"):
        await read(amqp_url, 1)


async def test_many_nodes_may_declare_at_once(amqp_url: str) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(declare(amqp_url))


async def test_a_missing_right_is_told(history: str, users: Users, amqp_url: str) -> None:
    url = users.add("reader", configure="^$", write="^$", read="^progress-ws$")
    with pytest.raises(NoStream, match="a right is missing.*'progress-ws.history'"):
        await declare(url)  # it may not bind
    with pytest.raises(NoStream, match="a right is missing.*'progress-ws.history'"):
        await read(url, 1)


async def test_without_the_right_to_declare_one_that_exists_is_used(
    history: str, users: Users
) -> None:
    url = users.add("node", write="^progress-ws.history$", read="^progress-ws")
    await declare(url)


async def test_a_stream_that_may_not_be_declared(amqp_url: str, users: Users) -> None:
    async with connect(amqp_url, name="another") as connection:
        await declare_exchange(connection, NAMES)
    with pytest.raises(NoStream, match="a right is missing.*configure"):
        await declare(users.add("node", read=".*", write=".*"))


async def test_awaiting_the_stream(amqp_url: str, users: Users) -> None:
    url = users.add("publisher", write=r"^progress-ws\.history$")  # it takes any one on it
    async with connect(url, name="a publisher") as connection:
        assert await await_history(connection, NAMES) is False
        await declare(amqp_url)
        assert await await_history(connection, NAMES) is True


async def test_reading_none_is_told(amqp_url: str) -> None:
    with pytest.raises(NoStream, match="there is no stream"):
        await read(amqp_url, 1)


async def test_a_refused_login_is_a_refusal(history: str) -> None:
    with pytest.raises(LinkRefused):
        await read(history.replace("guest:guest", "guest:wrong"), 1)


async def test_everything_arrives_in_order_with_what_it_says_of_itself(
    history: str, publish: Publish
) -> None:
    large = b"x" * 400_000  # several frames
    bodies = [b"one", b"", large, b"two"]
    publish(*bodies, type="message", message_id="p-1", timestamp=1_700_000_000)
    publish(b"plain", headers={"a": 1, "z": [1, {"b": None}]})
    got = await read(history, 5)
    assert [each.delivery.body for each in got] == [*bodies, b"plain"]
    assert [each.offset for each in got] == [0, 1, 2, 3, 4]
    assert [each.age_s for each in got] == [math.inf] * 5
    delivery = got[0].delivery
    assert (delivery.type, delivery.message_id) == ("message", "p-1")
    assert delivery.timestamp == 1_700_000_000
    assert got[4].delivery[1:] == (None, None, None)


@pytest.mark.slow
async def test_many_more_than_the_prefetch(history: str) -> None:
    count = 3 * stream.PREFETCH
    await asyncio.to_thread(publish_fast, history, count)
    got = await read(history, count)
    assert [int(each.delivery.body) for each in got] == list(range(count))
    assert [each.offset for each in got] == list(range(count))


async def test_what_is_published_meanwhile_follows(history: str, publish: Publish) -> None:
    publish(b"before")
    async with reading(history) as (got, _):
        await eventually(lambda: len(got) == 1)
        publish(b"after")
        await eventually(lambda: len(got) == 2)


@pytest.mark.parametrize("padding", [0, 300_000])
@pytest.mark.slow
async def test_ages_are_bounds(padding: int, amqp_url: str) -> None:
    """The marks are right, across segments too: nobody is older than is said, nor much younger."""
    await declare(amqp_url, max_bytes=16 * MiB)  # segments of 1 MiB
    written: list[tuple[float, float]] = []
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(16):
            for _ in range(2):
                sent_at = time.time()
                channel.basic_publish("progress-ws", "", b"x" * padding)
                written.append((sent_at, time.time()))
            time.sleep(0.5)
    began = time.time()
    got = await read(amqp_url, len(written), since_s=16)
    took = time.time() - began
    # Not by offset: a new segment takes one.
    for each, (sent_at, confirmed_at) in zip(got, written, strict=True):
        assert began - confirmed_at <= each.age_s <= began - sent_at + 2 + took, each.offset
    ages = [each.age_s for each in got]
    assert ages == sorted(ages, reverse=True)
    assert len(set(ages)) > 3


async def covered(url: str, *, until: int, since_s: float) -> float:
    """From how many seconds ago on all is there, when it is read up to an offset."""

    def take(recalled: Recalled) -> bool:
        return recalled.offset >= until

    return await steadily(lambda: recall(url, NAMES, name="a test", since_s=since_s, take=take))


async def still_young(publish: Publish, reading: "asyncio.Task[Any]") -> None:
    """Publish until it is read: however slow the machine is, something is young enough then."""
    while not reading.done():
        publish(b"young")
        await asyncio.wait([reading], timeout=0.2)


async def test_what_was_read_from_the_very_beginning_is_all_that_there_ever_was(
    history: str, publish: Publish
) -> None:
    publish(*[b"x"] * 5)
    assert await covered(history, until=4, since_s=60) == math.inf
    assert await covered(history, until=4, since_s=math.inf) == math.inf


async def test_what_lies_before_the_time_asked_for_is_not_covered(
    history: str, publish: Publish
) -> None:
    publish(b"old")
    time.sleep(2.5)
    covering = asyncio.create_task(covered(history, until=1, since_s=1))
    await still_young(publish, covering)
    assert await covering == 1


async def test_a_stream_that_had_to_forget_for_want_of_room_says_so(amqp_url: str) -> None:
    """Its first segments are gone, so nobody knows how far back what it has goes."""
    await declare(amqp_url, max_bytes=2 * MiB)  # segments of 1 MiB
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(80):
            channel.basic_publish("progress-ws", "", b"x" * 100_000)
    last = (await read(amqp_url, 1, since_s=math.inf))[0].offset
    assert last > 0, "something was forgotten"
    assert await covered(amqp_url, until=last + 5, since_s=60) < 60


async def test_only_what_is_younger_is_read(history: str, publish: Publish) -> None:
    publish(b"old")
    time.sleep(3.5)
    reading = asyncio.create_task(read(history, 1, since_s=1.5))
    await still_young(publish, reading)
    (got,) = await reading
    assert got.delivery.body == b"young"
    assert got.age_s <= 2


async def test_the_connection_is_gone_afterwards(
    history: str, publish: Publish, rabbitmq: RabbitMQ, vhost: str
) -> None:
    publish(b"x")
    await read(history, 1, since_s=100)

    def names() -> list[str]:
        found = rabbitmq.management.connections(vhost)
        return [each["client_properties"].get("connection_name") for each in found]

    await eventually(lambda: "a test" not in names())


async def test_what_take_raises_is_raised(history: str, publish: Publish) -> None:
    publish(b"x")

    def take(_: Recalled) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await recall(history, NAMES, name="a test", since_s=60, take=take)


async def test_the_loop_has_its_turns(
    history: str, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow `take` is: after some milliseconds others have their turn."""
    await asyncio.to_thread(publish_fast, history, 2000)
    turns = taken = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += taken > 0

    def take(_: Recalled) -> bool:
        nonlocal taken
        taken += 1
        time.sleep(0.0005)
        return taken == 2000

    task = asyncio.create_task(others())
    await recall(history, NAMES, name="a test", since_s=60, take=take)
    task.cancel()
    assert turns > 10


async def test_through_tls(
    history: str, publish: Publish, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    made = await asyncio.create_subprocess_exec(
        *command, "-keyout", key, "-out", certificate, stderr=asyncio.subprocess.DEVNULL
    )
    assert await made.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with connected(rabbitmq.port) as (their_reader, their_writer):
            await asyncio.gather(pump(reader, their_writer), pump(their_reader, writer))

    count = 2 * stream.PREFETCH
    await asyncio.to_thread(publish_fast, history, count)
    async with serving(serve, tls=context) as port:
        where = history.split("@")[1].split("/", 1)[1]
        url = f"amqps://guest:guest@localhost:{port}/{where}&cafile={certificate}"
        got = await read(url, count, since_s=60)
    assert [int(each.delivery.body) for each in got] == list(range(count))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()


Fault = Callable[[Proxy, RabbitMQ, str], Awaitable[None]]


async def reset(proxy: Proxy, _rabbitmq: RabbitMQ, _vhost: str) -> None:
    proxy.reset()


async def closed_by_hand(_proxy: Proxy, rabbitmq: RabbitMQ, vhost: str) -> None:
    def ours() -> list[str]:
        found = rabbitmq.management.connections(vhost)
        named = (c for c in found if c["client_properties"].get("connection_name") == "a test")
        return [c["name"] for c in named]

    (name,) = await eventually(ours)
    rabbitmq.management.close_connection(name)


async def deleted(_proxy: Proxy, rabbitmq: RabbitMQ, vhost: str) -> None:
    rabbitmq.management.request("DELETE", "queues", vhost, "progress-ws.history")


async def silent(proxy: Proxy, _rabbitmq: RabbitMQ, _vhost: str) -> None:
    proxy.black_hole()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (reset, "closed|reset"),
        (closed_by_hand, "Closed via management"),
        (deleted, "deleted"),
        (silent, "fell silent"),
    ],
)
async def test_a_loss_is_told_with_its_reason(
    fault: Fault,
    reason: str,
    publish: Publish,
    proxied_url: str,
    proxy: Proxy,
    rabbitmq: RabbitMQ,
    vhost: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "SILENCE_S", 3.5)
    publish(b"x")
    async with reading(proxied_url) as (got, task):
        await eventually(lambda: got)
        await fault(proxy, rabbitmq, vhost)
        await eventually(task.done, timeout_s=15)
        with pytest.raises(LinkLost, match=reason):
            task.result()
    proxy.pass_on()


async def test_a_wrong_acknowledgement_closes_the_channel_and_is_told(
    history: str, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broker says on the channel that is read still reaches the library."""
    monkeypatch.setattr(consumers, "ACK_EVERY", 1)
    monkeypatch.setattr(consumers, "ack", lambda channel, tag: stream_ack(channel, tag + 100))
    publish(b"x")
    async with reading(history) as (_, task):
        await eventually(task.done)
        with pytest.raises(LinkLost, match="unknown delivery tag"):
            task.result()


def stream_ack(channel: int, tag: int) -> bytes:
    return struct.pack(">BHLHHQBB", 1, channel, 13, 60, 80, tag, 1, 0xCE)


@pytest.mark.slow
async def test_the_library_does_not_miss_heartbeats_while_it_is_read(
    history: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that delivers sends none; at `heartbeat=1` the library gives up after 6 s."""
    url = history.replace("heartbeat=5", "heartbeat=1")
    count = 0

    def take(_: Recalled) -> bool:
        nonlocal count
        count += 1
        return time.monotonic() > until

    async def go_on() -> None:
        while True:
            await asyncio.to_thread(publish_fast, history, 200)
            await asyncio.sleep(0.1)

    until = time.monotonic() + 8
    publishing = asyncio.create_task(go_on())
    await recall(url, NAMES, name="a test", since_s=60, take=take)
    publishing.cancel()
    await asyncio.wait([publishing])
    assert count > 100
