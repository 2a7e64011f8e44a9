"""Wrong passwords, hosts and rights: what a person reads, and what is enough."""

import asyncio
import logging
from pathlib import Path

import pytest

from deploy.local import RabbitMQ, free_port
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from progress_ws.broker.seam import LinkLost, LinkRefused, NoStream
from progress_ws.broker.stream import recall
from tests.broker.conftest import NAMES, Users, batch, listening
from tests.support.proxy import Proxy
from tests.support.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

NODE = {"configure": r"^progress-ws($|\.)", "write": r"^progress-ws($|\.)"} | {
    "read": r"^progress-ws($|\.)"
}
# Contract, section 5, by the letter: its own queues, and of the exchange only what it uses.
FRUGAL_NODE = {
    "configure": r"^progress-ws\.node\.",
    "write": r"^progress-ws($|\.node\.)",
    "read": r"^progress-ws($|\.node\.)",
}
PUBLISHER = {"write": "^progress-ws$"}


async def trouble_of(url: str, *, mentions: str) -> str:
    """What a feed says is wrong."""
    feed = AmqpFeed(url, NAMES, node="a")
    async with listening(feed, subscribed=False):
        await eventually(lambda: mentions in (feed.trouble or ""), what=f"{mentions!r} told")
        return str(feed.trouble)


async def loss_of(url: str) -> LinkLost:
    """Why a link cannot be had, or be used."""
    with pytest.raises(LinkLost) as lost:
        async with asyncio.timeout(15), open_link(url, NAMES, name="x") as link:
            await link.put(batch(1))
    return lost.value


# -- address and login --------------------------------------------------------------------------


async def test_a_wrong_password(rabbitmq: RabbitMQ, vhost: str) -> None:
    url = rabbitmq.amqp_url(vhost, password="hunter2")
    trouble = await trouble_of(url, mentions="refused the login")
    assert "'guest'" in trouble
    assert "password" in trouble
    assert "hunter2" not in trouble
    lost = await loss_of(url)
    assert isinstance(lost, LinkRefused)
    assert "hunter2" not in str(lost)


async def test_an_unknown_user(rabbitmq: RabbitMQ, vhost: str) -> None:
    trouble = await trouble_of(
        rabbitmq.amqp_url(vhost, user="nobody"), mentions="refused the login"
    )
    assert "'nobody'" in trouble


async def test_an_unknown_virtual_host(rabbitmq: RabbitMQ) -> None:
    url = rabbitmq.amqp_url("no such/host")
    assert "'no such/host'" in await trouble_of(url, mentions="virtual host")
    assert isinstance(await loss_of(url), LinkRefused)


async def test_a_virtual_host_without_a_permission(users: Users, vhost: str) -> None:
    url = users.add("stranger").replace(f"/{vhost}?", "/%2F?")
    assert "permission" in await trouble_of(url, mentions="virtual host '/'")
    assert isinstance(await loss_of(url), LinkRefused)


async def test_a_password_of_any_characters(users: Users) -> None:
    url = users.add("odd", password="p@ss:w/ö?r#d%41 &=+", configure=".*", write=".*", read=".*")
    async with listening(AmqpFeed(url, NAMES, node="a")) as ear:
        async with open_link(url, NAMES, name="x") as link:
            await link.put(batch(1))
        await ear.hears(1)


async def test_nobody_there() -> None:
    port = free_port()
    trouble = await trouble_of(f"amqp://guest:guest@127.0.0.1:{port}/", mentions=f":{port}")
    assert "refused" in trouble or "onnect" in trouble
    lost = await loss_of(f"amqp://guest:guest@127.0.0.1:{port}/")
    assert not isinstance(lost, LinkRefused)  # it may only be restarting


async def test_no_such_host() -> None:
    url = "amqp://guest:guest@no-such-host.invalid/"
    assert await trouble_of(url, mentions="no-such-host.invalid")
    assert not isinstance(await loss_of(url), LinkRefused)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"AMQP\x00\x01\x00\x00"],
    ids=["HTTP", "nothing", "another AMQP"],
)
async def test_something_else_answers_on_the_port(answer: bytes) -> None:
    """The port of a web server, say, or a later AMQP."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with serving(serve) as port:
        url = f"amqp://guest:guest@127.0.0.1:{port}/"
        trouble = await trouble_of(url, mentions=f":{port}")
        assert "virtual host" not in trouble, "it is not even RabbitMQ"
        assert "login" not in trouble
        await loss_of(url)


async def test_tls_to_a_port_without_tls(rabbitmq: RabbitMQ) -> None:
    url = f"amqps://guest:guest@127.0.0.1:{rabbitmq.port}/"
    assert await trouble_of(url, mentions=f":{rabbitmq.port}")
    await loss_of(url)


@pytest.mark.parametrize("names", ["cafile={}", "certfile={}", "certfile={}&keyfile={}"])
@pytest.mark.parametrize("text", [None, "no PEM"], ids=["missing", "junk"])
async def test_a_file_that_is_no_certificate(tmp_path: Path, names: str, text: str | None) -> None:
    """It is named, and what is wrong with it: nobody would look for that on the broker."""
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)
    query = names.format(file, file)
    url = f"amqps://guest:guest@127.0.0.1:1/?{query}"
    trouble = await trouble_of(url, mentions=query.replace("&", " and "))
    assert "Connect" not in trouble
    assert isinstance(await loss_of(url), LinkRefused)


async def test_a_broker_that_comes_later(proxy: Proxy, proxied_url: str) -> None:
    await proxy.refuse()
    feed = AmqpFeed(proxied_url, NAMES, node="a")
    async with listening(feed, subscribed=False):
        await eventually(lambda: str(proxy.port) in str(feed.trouble))
        await proxy.listen()
        await eventually(lambda: feed.trouble is None, what="subscribed")
        assert feed.reconnects == 0


# -- limits -------------------------------------------------------------------------------------


def limit(rabbitmq: RabbitMQ, vhost: str, what: str, value: int) -> None:
    """Let a virtual host have so many at the most."""
    body = {"value": value}
    rabbitmq.management.request("PUT", "vhost-limits", vhost, what, body=body)


async def test_no_more_connections(rabbitmq: RabbitMQ, vhost: str, amqp_url: str) -> None:
    """It is refused as a virtual host is that does not exist, and another thing mends it."""
    limit(rabbitmq, vhost, "max-connections", 0)
    trouble = await trouble_of(amqp_url, mentions="limit (0)")
    assert "rabbitmqctl set_vhost_limits" in trouble
    assert "permission" not in trouble
    assert isinstance(await loss_of(amqp_url), LinkRefused)


async def test_no_more_queues(rabbitmq: RabbitMQ, vhost: str, amqp_url: str) -> None:
    """Said in the same words at each attempt; who has no queue to be cancelled on publishes on."""
    limit(rabbitmq, vhost, "max-queues", 0)
    trouble = await trouble_of(amqp_url, mentions="limit")
    assert "'progress-ws.node.*'" in trouble
    assert "rabbitmqctl set_vhost_limits" in trouble
    async with open_link(amqp_url, NAMES, name="x", declare=True) as link:
        with pytest.raises(LinkRefused, match=r"'progress-ws\.pub\.\*'.*limit.*set_vhost_limits"):
            await link.listen("publisher", lambda _sid, _key: True)
    with pytest.raises(NoStream, match=r"limit.*set_vhost_limits"):
        await recall(amqp_url, NAMES, name="x", since_s=1, take=lambda _: True, keep_s=60)


# -- rights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rights", [NODE, FRUGAL_NODE], ids=["as deployed", "nothing to spare"])
async def test_a_node_needs_no_more_rights_than_these(
    rights: dict[str, str], users: Users, amqp_url: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node="makes the exchange")):
        pass
    url = users.add("node", **rights)
    async with (
        listening(AmqpFeed(url, NAMES, node="a")) as ear,
        open_link(url, NAMES, name="x", declare=True) as link,
    ):
        await link.announce("progress-ws.test", b"{}")
        await ear.hears(1)


async def test_a_publisher_needs_no_more_than_to_write_to_the_exchange(
    users: Users, amqp_url: str
) -> None:
    url = users.add("publisher", **PUBLISHER)
    async with (
        listening(AmqpFeed(amqp_url, NAMES, node="a")) as ear,
        open_link(url, NAMES, name="x") as link,
    ):
        await link.put(batch(1))
        await link.put(batch(2, 3, first=2))
        await ear.hears(2)


async def test_a_publisher_is_no_node(users: Users, amqp_url: str) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node="a")):
        trouble = await trouble_of(users.add("publisher", **PUBLISHER), mentions="right")
    assert "progress-ws.node." in trouble


async def test_a_user_who_may_not_write_is_told_so_and_not_kept_waiting(
    users: Users, amqp_url: str
) -> None:
    url = users.add("reader", read=".*")
    async with listening(AmqpFeed(amqp_url, NAMES, node="a")) as ear:
        lost = await loss_of(url)
        assert isinstance(lost, LinkRefused)
        assert "right" in str(lost)
        assert "progress-ws" in str(lost)
        assert ear.heard == []


async def test_a_node_that_may_not_read_the_exchange_is_told_so(
    users: Users, amqp_url: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node="a")):
        url = users.add("node", **(NODE | {"read": r"^progress-ws\.node\."}))
        assert "read" in await trouble_of(url, mentions="right")


async def test_who_may_not_make_the_exchange_is_told_what_to_do(users: Users) -> None:
    url = users.add("node", **FRUGAL_NODE)
    trouble = await trouble_of(url, mentions="does not exist")
    assert "'progress-ws'" in trouble
    assert "declare it" in trouble
    assert "does not exist" in str(await loss_of(users.add("publisher", **PUBLISHER)))


async def test_an_exchange_of_another_kind_is_no_proof_to_a_node_that_may_not_declare_it(
    users: Users, rabbitmq: RabbitMQ, vhost: str
) -> None:
    """Through a direct exchange a node would hear its own heartbeats, and no message."""
    body = {"type": "direct", "durable": True}
    rabbitmq.management.request("PUT", "exchanges", vhost, "progress-ws", body=body)
    url = users.add("node", **FRUGAL_NODE)
    async with listening(AmqpFeed(url, NAMES, node="a"), subscribed=False) as ear:
        await eventually(lambda: "not connected" not in str(ear.feed.trouble))
        with pytest.raises(LinkLost):
            async with open_link(url, NAMES, name="x", declare=True) as link:
                await link.announce("progress-ws.heartbeat", b"{}")
        assert ear.heard == []


async def test_a_right_that_is_given_later_is_noticed(
    users: Users, rabbitmq: RabbitMQ, vhost: str
) -> None:
    feed = AmqpFeed(users.add("node"), NAMES, node="a")
    async with listening(feed, subscribed=False):
        await eventually(lambda: "progress-ws" in str(feed.trouble))
        rabbitmq.management.permit(users.names[0], vhost, **NODE)
        await eventually(lambda: feed.trouble is None, what="subscribed")


async def test_no_password_is_ever_logged(
    rabbitmq: RabbitMQ, vhost: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await trouble_of(rabbitmq.amqp_url(vhost, password="hunter2"), mentions="refused the login")
    await loss_of(rabbitmq.amqp_url(vhost, password="hunter2"))
    told = [r for r in caplog.records if r.levelno >= logging.INFO and "hunter2" in r.getMessage()]
    assert told == []
