"""The users and rights of `deploy/rabbitmq/definitions.json` are enough, and no more than that."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest

from deploy.local import Node, RabbitMQ
from progress_ws import Publisher, PublishError
from tests.support.tab import tab

pytestmark = pytest.mark.broker

DEFINITIONS = Path(__file__).parents[2] / "deploy" / "rabbitmq" / "definitions.json"

UrlOf = Callable[[str], str]


@pytest.fixture
def url_of(rabbitmq: RabbitMQ, vhost: str) -> Iterator[UrlOf]:
    """The address for a user of the definitions, whose rights were given for this test's vhost."""
    definitions = json.loads(DEFINITIONS.read_text())
    names = {user["name"]: f"{user['name']}-{vhost}" for user in definitions["users"]}
    passwords = {user["name"]: user["password"] for user in definitions["users"]}
    for user, name in names.items():
        rabbitmq.management.add_user(name, passwords[user])
    for right in definitions["permissions"]:
        regexes = {kind: right[kind] for kind in ("configure", "write", "read")}
        rabbitmq.management.permit(names[right["user"]], vhost, **regexes)
    yield lambda user: rabbitmq.amqp_url(vhost, user=names[user], password=passwords[user])
    for name in names.values():
        rabbitmq.management.request("DELETE", "users", name)


async def test_a_node_and_a_publisher_need_no_more(
    url_of: UrlOf, node_process: Callable[..., Node]
) -> None:
    node = node_process(amqp_url=url_of("node"))
    async with tab(node.url) as browser, Publisher(url_of("publisher")) as publisher:
        await publisher.send(browser.sid, "hello")
        assert (await browser.frame())["message"] == "hello"


async def test_a_publisher_cannot_be_a_node(
    url_of: UrlOf, node_process: Callable[..., Node]
) -> None:
    node_process(amqp_url=url_of("node"))
    deaf = node_process(amqp_url=url_of("publisher"), wait=False)
    deaf.wait_until(
        lambda: "progress-ws.node." in deaf.output, timeout_s=10, what="word of the missing right"
    )
    assert deaf.status("/readyz") == 503
    assert "change-me" not in deaf.output


async def test_a_node_without_the_right_to_the_history_says_so_once_and_works(
    url_of: UrlOf, rabbitmq: RabbitMQ, vhost: str, node_process: Callable[..., Node]
) -> None:
    url = url_of("node")
    no_history = r"^progress-ws($|\.node\.)"
    rights = dict.fromkeys(("configure", "write", "read"), no_history)
    rabbitmq.management.permit(f"node-{vhost}", vhost, **rights)
    node = node_process(amqp_url=url)
    sid = "s" * 22
    async with Publisher(url_of("publisher")) as publisher:
        first = await publisher.send(sid, 1)
        async with tab(node.url, sid=sid) as browser:
            assert (await browser.frame())["message"] == 1
            await publisher.send(sid, 2)
            assert (await browser.frame())["message"] == 2
        async with tab(node.url, sid=sid, after=first) as browser:
            assert browser.welcome["recovered"] is False  # before it was there nobody knows
            assert (await browser.frame())["message"] == 2
    assert node.output.count("working without the history") == 1
    assert "progress-ws.history" in node.output


async def test_a_user_without_rights_is_told_so(
    url_of: UrlOf, rabbitmq: RabbitMQ, vhost: str, node_process: Callable[..., Node]
) -> None:
    node_process(amqp_url=url_of("node"))
    rabbitmq.management.permit(f"publisher-{vhost}", vhost, configure="^$", write="^$", read="^$")
    async with Publisher(url_of("publisher")) as publisher:
        with pytest.raises(PublishError, match=r"right|refused"):
            await publisher.send("s" * 22, "hello", timeout_s=5)


def test_a_worker_can_be_asked_to_stop_and_read_nothing_else(
    url_of: UrlOf, node_process: Callable[..., Node]
) -> None:
    node_process(amqp_url=url_of("node"))
    connection = pika.BlockingConnection(pika.URLParameters(url_of("worker")))
    queue, name = "progress-ws.pub.1", "its-name"
    with contextlib.closing(connection):
        channel = connection.channel()
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.queue_bind(queue, "progress-ws.control", routing_key=name)
        channel.basic_consume(queue, lambda *_: None)
        channel.confirm_delivery()
        channel.basic_publish("progress-ws", "", b"{}", pika.BasicProperties(type="progress-ws."))
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            channel.queue_bind(queue, "progress-ws", routing_key="")
        for forbidden in ("progress-ws.control", "progress-ws.history", "progress-ws.node.x"):
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
                channel.queue_bind(forbidden, "progress-ws.control", routing_key=name)
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            channel.basic_publish("progress-ws.control", name, b"{}")
