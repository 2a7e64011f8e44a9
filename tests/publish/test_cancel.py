"""A browser's wish to stop reaches the bars that listen, over RabbitMQ."""

import asyncio
import json
import logging
from typing import Any

import pika
import pytest

from deploy.local import RabbitMQ
from progress_ws import Bar, Cancelled, Publisher, new_sid
from progress_ws.broker.connection import connect
from progress_ws.broker.topology import declare_control
from tests.broker.conftest import NAMES, Ear
from tests.publish.conftest import Users
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("control")]

SID = new_sid()


@pytest.fixture
async def control(amqp_url: str, ear: Ear) -> None:
    """The exchange that a node would have declared; and somebody hears what is published."""
    async with connect(amqp_url, name="a node") as connection:
        await declare_control(connection, NAMES)


def publisher_of(ear: Ear, key: str) -> str:
    """Whose id the last message of a key has."""
    bodies = [json.loads(delivery.body) for delivery in ear.heard if not delivery.is_own]
    messages = [m for body in bodies for m in (body if isinstance(body, list) else [body])]
    ids = [m["id"] for m in messages if m.get("key") == key]
    return str(ids[-1].rpartition("-")[0]) if ids else ""


def ask(url: str, publisher: str, key: str, sid: str = SID, request: str = "r1") -> bool:
    """What a node does for a browser; false if nobody is bound there."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        body = json.dumps({"request": request, "sid": sid, "key": key})
        try:
            channel.basic_publish("progress-ws.control", publisher, body, mandatory=True)
        except pika.exceptions.UnroutableError:
            return False
    return True


async def is_asked(url: str, ear: Ear, key: str = "progress", **fields: str) -> bool:
    """Ask the publisher of a key once it is heard and bound; it is told whether it was."""
    publisher = await eventually(lambda: publisher_of(ear, key))
    return bool(await eventually(lambda: asyncio.to_thread(ask, url, publisher, key, **fields), 5))


def taken(ear: Ear) -> list[str]:
    """The requests that somebody said to have taken."""
    found = [each.body for each in ear.heard if each.type == "progress-ws.taken"]
    return [json.loads(body)["request"] for body in found]


async def test_a_bar_is_asked_and_it_is_said(amqp_url: str, ear: Ear) -> None:
    async with Publisher(amqp_url) as publisher:
        with publisher.progress(SID, cancellable=True) as bar:
            assert await is_asked(amqp_url, ear)
            await eventually(lambda: bar.cancelled)
            await eventually(lambda: taken(ear) == ["r1"])
        assert bar.state == "cancelled"


async def test_the_next_step_raises(amqp_url: str, ear: Ear) -> None:
    async def job(bar: Bar) -> None:
        async with bar:
            while True:
                bar.advance()
                await asyncio.sleep(0.01)

    async with Publisher(amqp_url) as publisher:
        working = asyncio.create_task(job(publisher.progress(SID, raise_cancelled=True)))
        assert await is_asked(amqp_url, ear)
        with pytest.raises(Cancelled):
            async with asyncio.timeout(5):
                await working


async def test_a_part_passes_it_on_to_the_whole(amqp_url: str, ear: Ear) -> None:
    async with Publisher(amqp_url) as publisher:
        bar = publisher.progress(SID, cancellable=True)
        part = bar.child("part")
        assert await is_asked(amqp_url, ear, "progress/part")
        await eventually(lambda: bar.cancelled and part.cancelled)


async def test_a_callback_is_called_and_its_bug_is_logged(
    amqp_url: str, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Any] = []

    def on_cancel() -> None:
        calls.append(1)
        raise ZeroDivisionError

    caplog.set_level(logging.ERROR, "progress_ws")
    async with Publisher(amqp_url) as publisher:
        with publisher.progress(SID, on_cancel=on_cancel):
            assert await is_asked(amqp_url, ear)
            await eventually(lambda: taken(ear))
    assert calls == [1]
    assert "on_cancel" in caplog.text


async def test_what_nobody_listens_to_is_not_taken(amqp_url: str, ear: Ear) -> None:
    async with Publisher(amqp_url) as publisher:
        bar = publisher.progress(SID, cancellable=True)
        publisher.progress(SID, key="deaf")
        assert await is_asked(amqp_url, ear, "deaf", request="1")
        assert await is_asked(amqp_url, ear, sid=new_sid(), request="2")
        with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
            name = await eventually(lambda: publisher_of(ear, "deaf"))
            connection.channel().basic_publish("progress-ws.control", name, b"nonsense")
        assert await is_asked(amqp_url, ear, request="3")
        await eventually(lambda: taken(ear))
        assert taken(ear) == ["3"]
        assert bar.cancelled


async def test_nobody_is_bound_for_bars_that_do_not_listen(
    amqp_url: str, ear: Ear, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with Publisher(amqp_url) as publisher:
        async with publisher.progress(SID):
            pass
        names = [queue["name"] for queue in rabbitmq.management.queues(vhost)]
        assert not [name for name in names if ".pub." in name]


async def test_it_is_asked_over_a_new_connection_too(
    amqp_url: str, ear: Ear, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with Publisher(amqp_url) as publisher:
        bar = publisher.progress(SID, cancellable=True)
        name = await eventually(lambda: publisher_of(ear, "progress"))
        await asyncio.to_thread(
            rabbitmq.ctl,
            "close_all_connections",
            "--vhost",
            vhost,
            "--per-connection-delay",
            "0",
            "x",
        )
        await eventually(lambda: ask(amqp_url, name, "progress"), 10)
        await eventually(lambda: bar.cancelled)


async def test_who_lacks_the_right_publishes_all_the_same(
    amqp_url: str, ear: Ear, users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "progress_ws")
    url = users.add("publisher", write="^progress-ws$")
    async with Publisher(url) as publisher:
        async with publisher.progress(SID, cancellable=True):
            await publisher.send(SID, "a")
            await eventually(lambda: "to be cancelled a publisher needs" in caplog.text)
    await ear.hears_value("a")


async def test_the_rights_of_a_worker_are_enough(amqp_url: str, ear: Ear, users: Users) -> None:
    pub = r"^progress-ws\.pub\."
    url = users.add(
        "worker",
        configure=pub,
        write=rf"^progress-ws$|{pub}",
        read=rf"^progress-ws\.control$|{pub}",
    )
    async with Publisher(url) as publisher:
        bar = publisher.progress(SID, cancellable=True)
        assert await is_asked(amqp_url, ear)
        await eventually(lambda: bar.cancelled)
