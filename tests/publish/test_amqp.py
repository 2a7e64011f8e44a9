"""A publisher over RabbitMQ, through outages, refusals and floods."""

import asyncio
import json
import logging
from collections import Counter
from typing import Any

import aio_pika
import pytest

from deploy.local import RabbitMQ, free_port
from progress_ws import BlockingPublisher, Publisher, PublishError, new_sid
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.topology import Names
from tests.broker.conftest import NAMES, Ear, listening
from tests.publish.conftest import Users
from tests.support.proxy import Proxy
from tests.support.waiting import eventually, stopwatch

SID = new_sid()


def nobody() -> str:
    """An address where no broker is."""
    return f"amqp://guest:guest@127.0.0.1:{free_port()}/"


def messages(ear: Ear) -> list[dict[str, Any]]:
    """Everything heard, arrays taken apart."""
    decoded = [json.loads(delivery.body) for delivery in ear.heard if not delivery.is_own]
    return [m for d in decoded for m in (d if isinstance(d, list) else [d])]


@pytest.mark.broker
async def test_the_prefix_is_by_default_that_of_the_environment(
    ear: Ear, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROGRESS_WS_PREFIX", "theirs")
    async with listening(AmqpFeed(amqp_url, Names("theirs"), node="theirs")) as their_ear:
        async with Publisher(amqp_url) as publisher:
            await publisher.send(SID, 1)
        with BlockingPublisher(amqp_url) as blocking:
            await asyncio.to_thread(blocking.send, SID, 2)
        async with Publisher(amqp_url, prefix=NAMES.prefix) as publisher:
            await publisher.send(SID, 3)
        await their_ear.hears_value(2)
        await ear.hears_value(3)
    assert (their_ear.values, ear.values) == ([1, 2], [3])


# -- packing ------------------------------------------------------------------------------------


@pytest.mark.broker
async def test_a_lone_message_is_not_held_back(ear: Ear, amqp_url: str) -> None:
    async with Publisher(amqp_url) as publisher:
        for n in range(20):
            await publisher.send(SID, n)
        await ear.hears(20)
    assert all(isinstance(json.loads(delivery.body), dict) for delivery in ear.heard)


@pytest.mark.broker
async def test_many_posts_make_few_amqp_messages(ear: Ear, amqp_url: str) -> None:
    async with Publisher(amqp_url) as publisher:
        await publisher.send(SID, "connected")
        for n in range(10_000):
            publisher.post(SID, n)
            if n % 100 == 0:
                await asyncio.sleep(0)
    await ear.hears_value(9999)
    assert ear.values == ["connected", *range(10_000)]
    assert len(ear.heard) < 500


@pytest.mark.broker
async def test_ids_count_from_one_without_a_hole(ear: Ear, amqp_url: str) -> None:
    async with Publisher(amqp_url) as publisher:
        for n in range(500):
            publisher.post(new_sid(), n)
        last = await publisher.send(SID, "last")
    await ear.hears_value("last")
    name = last.rpartition("-")[0]
    assert [m["id"] for m in messages(ear)] == [f"{name}-{n}" for n in range(1, 502)]


# -- nobody there -------------------------------------------------------------------------------


async def test_without_a_broker_a_send_ends_in_time_with_the_reason() -> None:
    async with Publisher(nobody()) as publisher:
        await eventually(lambda: publisher.trouble)
        started = asyncio.get_running_loop().time()
        with stopwatch() as seconds:
            with pytest.raises(PublishError, match=r"not sent within 0\.5 s: .*127\.0\.0\.1"):
                await publisher.send(SID, 1, timeout_s=0.5)
            assert seconds() < 2
        assert asyncio.get_running_loop().time() - started > 0.4


async def test_a_connection_that_was_not_opened_leaves_nothing_to_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library would close it when it is collected: in another thread that cannot be awaited."""
    made: list[aio_pika.Connection] = []

    class Seen(aio_pika.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(aio_pika, "Connection", Seen)
    async with Publisher(nobody()) as publisher:
        with pytest.raises(PublishError):
            await publisher.send(SID, 1, timeout_s=0.3)
    assert made
    assert all(connection.is_closed for connection in made)


async def test_without_a_broker_a_post_returns_at_once_and_the_end_is_in_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = Publisher(nobody())
    publisher.start()
    with stopwatch() as seconds:
        for n in range(1000):
            publisher.post(SID, n)
        assert seconds() < 1
    with stopwatch() as seconds:
        assert await publisher.close(timeout_s=0.3) == 1000
        assert seconds() < 2
    (record,) = [r for r in caplog.records if r.name == "progress_ws"]
    assert "1000 messages" in record.getMessage()


@pytest.mark.broker
async def test_before_there_is_an_exchange_it_waits_for_the_first_node(amqp_url: str) -> None:
    async with Publisher(amqp_url) as publisher:
        publisher.post(SID, "posted early")
        await eventually(lambda: publisher.trouble)
        with pytest.raises(PublishError, match="does not exist"):
            await publisher.send(SID, "given up", timeout_s=0.5)
        sent = asyncio.create_task(publisher.send(SID, "sent early", timeout_s=20))
        async with listening(AmqpFeed(amqp_url, NAMES, node="first")) as ear:
            assert await sent
            await ear.hears_value("sent early")
            assert ear.values == ["posted early", "sent early"]


@pytest.mark.broker
async def test_with_an_exchange_and_no_node_it_says_so_and_waits(amqp_url: str) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node="makes the exchange")):
        pass
    async with Publisher(amqp_url) as publisher:
        with pytest.raises(PublishError, match="no node running"):
            await publisher.send(SID, "given up", timeout_s=1)
        sent = asyncio.create_task(publisher.send(SID, "waits", timeout_s=20))
        async with listening(AmqpFeed(amqp_url, NAMES, node="first")) as ear:
            assert await sent
            await ear.hears_value("waits")


# -- refused ------------------------------------------------------------------------------------


async def refusal_in_time(url: str) -> str:
    """What a second send is told; neither it nor the end keep anybody waiting."""
    async with asyncio.timeout(4), Publisher(url) as publisher:
        for _ in range(2):
            with pytest.raises(PublishError) as refusal:
                await publisher.send(SID, 1, timeout_s=60)
    return str(refusal.value)


@pytest.mark.broker
async def test_a_wrong_password_is_told_at_once(rabbitmq: RabbitMQ, vhost: str) -> None:
    said = await refusal_in_time(rabbitmq.amqp_url(vhost, password="hunter2"))
    assert "password" in said
    assert "hunter2" not in said


@pytest.mark.broker
async def test_an_unknown_virtual_host_is_told_at_once(rabbitmq: RabbitMQ) -> None:
    assert "virtual host 'nowhere'" in await refusal_in_time(rabbitmq.amqp_url("nowhere"))


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_a_missing_right_is_told_at_once(users: Users) -> None:
    assert "right" in await refusal_in_time(users.add("reader", read=".*"))


@pytest.mark.broker
async def test_the_rights_of_a_publisher_are_enough(ear: Ear, users: Users) -> None:
    async with Publisher(users.add("publisher", write="^progress-ws$")) as publisher:
        await publisher.send(SID, 1)
        publisher.post(SID, 2)
        publisher.post(SID, 3)
    await ear.hears_value(3)


# -- outages ------------------------------------------------------------------------------------


@pytest.mark.broker
async def test_while_the_broker_is_away_only_the_newest_of_a_key_waits(
    ear: Ear, proxy: Proxy, proxied_url: str
) -> None:
    async with Publisher(proxied_url) as publisher:
        await publisher.send(SID, "before")
        await proxy.refuse()
        await eventually(lambda: proxy.connections == 0)
        for n in range(1000):
            for key in ("a", "b"):
                publisher.post(SID, f"{key}{n}", key=key)
            publisher.post(SID, n)
        await proxy.listen()
        await publisher.send(SID, "after", timeout_s=20)
    await ear.hears_value("after")
    keyed = [m["message"] for m in messages(ear) if "key" in m]
    # What was on its way when the connection went may be there too, before.
    assert keyed[-2:] == ["a999", "b999"]
    assert len(keyed) <= 6
    assert [v for v in ear.values if isinstance(v, int)] == list(range(1000))


@pytest.mark.broker
async def test_a_full_buffer_drops_the_new_counts_it_and_warns_once(
    ear: Ear, proxy: Proxy, proxied_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await proxy.refuse()
    async with Publisher(proxied_url, max_buffer_bytes=100_000) as publisher:
        for n in range(2000):
            publisher.post(SID, n)
        kept = 2000 - publisher.dropped
        assert 50 < kept < 500
        publisher.post(SID, "keyed", key="k")
        warnings = [r for r in caplog.records if r.name == "progress_ws"]
        assert [r.levelno for r in warnings] == [logging.WARNING]
        await proxy.listen()
        await publisher.send(SID, "room again", timeout_s=20)
        publisher.post(SID, "taken again")
    await ear.hears_value("taken again")
    assert [v for v in ear.values if isinstance(v, int)] == list(range(kept))


@pytest.mark.broker
async def test_a_newer_of_a_key_finds_room_in_a_full_buffer(
    ear: Ear, proxy: Proxy, proxied_url: str
) -> None:
    await proxy.refuse()
    async with Publisher(proxied_url, max_buffer_bytes=100_000) as publisher:
        publisher.post(SID, "old", key="k")
        while not publisher.dropped:
            publisher.post(SID, "fill")
        publisher.post(SID, "new", key="k")
        assert publisher.dropped == 1
        await proxy.listen()
    await ear.hears_value("new")
    assert "old" not in ear.values


async def hammer(
    publisher: Publisher, name: str, stop: asyncio.Event, confirmed: dict[str, str]
) -> int:
    """Send one after the other; note the ids that were confirmed. How many were not."""
    failed = n = 0
    while not stop.is_set():
        value = f"{name}-{n}"
        n += 1
        try:
            confirmed[value] = await publisher.send(SID, value, timeout_s=30)
        except PublishError:
            failed += 1
    return failed


def check_arrivals(arrived: list[dict[str, Any]], confirmed: dict[str, str]) -> int:
    """Every confirmed message is there under its id, none under two, all in order; the repeats.

    What was given up may stand there as a void, and what the library says for itself is no message.
    """
    arrived = [message for message in arrived if "message" in message]
    by_id: dict[str, set[str]] = {}
    for message in arrived:
        by_id.setdefault(message["id"], set()).add(message["message"])
    assert all(len(values) == 1 for values in by_id.values()), "a number changed its message"
    counts = Counter(message["id"] for message in arrived)
    missing = [value for value, id_ in confirmed.items() if by_id.get(id_) != {value}]
    assert missing == []
    assert len({value for values in by_id.values() for value in values}) == len(by_id)
    first_seen = [int(id_.rpartition("-")[2]) for id_ in dict.fromkeys(m["id"] for m in arrived)]
    assert first_seen == sorted(first_seen)
    return sum(counts.values()) - len(counts)


@pytest.mark.broker
async def test_through_many_resets_every_confirmed_message_arrives_under_one_number(
    ear: Ear, proxy: Proxy, proxied_url: str
) -> None:
    stop, confirmed = asyncio.Event(), {}
    async with Publisher(proxied_url) as publisher:
        senders = [
            asyncio.create_task(hammer(publisher, f"s{n}", stop, confirmed)) for n in range(20)
        ]
        for n in range(25):
            before = len(confirmed)
            await eventually(lambda before=before: len(confirmed) > before + 50)
            proxy.reset(server_side=n % 2 == 0)
        stop.set()
        assert sum(await asyncio.gather(*senders)) == 0
        await publisher.send(SID, "last")
    await ear.hears_value("last")
    arrived = [m for m in messages(ear) if m["message"] != "last"]
    check_arrivals(arrived, confirmed)


@pytest.mark.broker
async def test_a_deadline_during_an_alarm_says_what_may_be_wrong(
    ear: Ear, proxy: Proxy, proxied_url: str
) -> None:
    """A broker in an alarm stays connected and confirms nothing."""
    async with Publisher(proxied_url) as publisher:
        await publisher.send(SID, "before")
        proxy.black_hole()
        with pytest.raises(PublishError, match=r"may still arrive.*alarm"):
            await publisher.send(SID, "held back", timeout_s=0.3)
        proxy.pass_on()
        await ear.hears_value("held back")
        await publisher.send(SID, "after")
        await ear.hears_value("after")
        assert ear.values == ["before", "held back", "after"]
