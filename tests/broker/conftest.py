"""Both brokers behind one face, and what a node hears."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from deploy.local import RabbitMQ
from progress_ws.broker import link
from progress_ws.broker.embedded import EmbeddedBroker
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.seam import Feed, Link
from progress_ws.broker.topology import Names
from progress_ws.core import codec
from progress_ws.core.batch import Batch, Entry
from progress_ws.core.intake import Delivery
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

SID = "s" * 22
NAMES = Names()
AMQP = (
    pytest.param("rabbitmq", marks=pytest.mark.broker),
    pytest.param("rabbitmq, plain", marks=[pytest.mark.broker, pytest.mark.slow]),
)


class Broker:
    """RabbitMQ (`url`) or the embedded broker (`None`): feeds and links as the seam has them."""

    def __init__(self, url: str | None, *, plain: bool = False) -> None:
        self.url = url
        self._plain = plain
        self._embedded = EmbeddedBroker()

    def feed(self, node: str) -> Feed:
        """A node's feed, not running yet."""
        if self.url is None:
            return self._embedded
        return AmqpFeed(self.url, NAMES, node=node, plain=self._plain)

    def open_link(self) -> AbstractAsyncContextManager[Link]:
        """A link of a publisher."""
        if self.url is None:
            return self._embedded.open_link()
        return link.open_link(self.url, NAMES, name="a test's publisher")


@pytest.fixture(params=["embedded", *AMQP])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each test that asks for it runs against both, and reads RabbitMQ's deliveries both ways."""
    if request.param == "embedded":
        return Broker(None)
    url: str = request.getfixturevalue("amqp_url")
    return Broker(url, plain=request.param == "rabbitmq, plain")


class Ear:
    """What one feed delivered."""

    def __init__(self, feed: Feed, task: asyncio.Task[None]) -> None:
        self.feed = feed
        self.task = task
        self.heard: list[Delivery] = []

    @property
    def values(self) -> list[Any]:
        """The values of all messages, arrays taken apart; voids are none."""
        decoded = [json.loads(delivery.body) for delivery in self.heard if not delivery.is_own]
        members = [m for d in decoded for m in (d if isinstance(d, list) else [d])]
        return [member["message"] for member in members if "void" not in member]

    async def hears(self, count: int, timeout_s: float = 10) -> None:
        """Wait for so many deliveries."""
        await eventually(lambda: len(self.heard) >= count, timeout_s, what=f"{count} deliveries")

    async def hears_value(self, value: Any, timeout_s: float = 10) -> None:
        """Wait for a message."""
        await eventually(lambda: value in self.values, timeout_s, what=f"{value!r} heard")


@asynccontextmanager
async def listening(feed: Feed, *, subscribed: bool = True) -> AsyncIterator[Ear]:
    """Run a feed; it must run until the end and then be cancelled cleanly."""
    heard: list[Delivery] = []
    task = asyncio.create_task(feed.run(heard.append))
    ear = Ear(feed, task)
    ear.heard = heard
    try:
        await asyncio.sleep(0)  # the embedded broker needs no more
        if subscribed:
            await eventually(lambda: feed.trouble is None, what="subscribed")
        yield ear
        assert not task.done(), "the feed has ended by itself"
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


def batch(*values: Any, publisher: str = "p", first: int = 1, key: str | None = None) -> Batch:
    """Messages under consecutive numbers, as a sender takes them for the wire."""
    drafts = [codec.new_draft(SID, value, key=key, max_message_bytes=2**24) for value in values]
    entries = [Entry(draft, ts=1700000000.0) for draft in drafts]
    return Batch(entries, publisher=publisher, first_seq=first)


@pytest.fixture
async def proxy(rabbitmq: RabbitMQ) -> AsyncIterator[Proxy]:
    """What stands between a client and the suite's RabbitMQ."""
    async with Proxy(rabbitmq.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(proxy: Proxy, rabbitmq: RabbitMQ, amqp_url: str) -> str:
    """The address of the test's virtual host, through the proxy."""
    return amqp_url.replace(f":{rabbitmq.port}/", f":{proxy.port}/")


class Users:
    """Users of the suite's RabbitMQ with the rights that a test gives them."""

    def __init__(self, rabbitmq: RabbitMQ, vhost: str) -> None:
        self._rabbitmq, self._vhost = rabbitmq, vhost
        self.names: list[str] = []

    def add(
        self,
        name: str,
        *,
        password: str = "secret",
        configure: str = "^$",
        write: str = "^$",
        read: str = "^$",
    ) -> str:
        """Make one; its AMQP address."""
        name = f"{name}-{self._vhost}"
        self._rabbitmq.management.add_user(name, password)
        self.names.append(name)
        self._rabbitmq.management.permit(
            name, self._vhost, configure=configure, write=write, read=read
        )
        return self._rabbitmq.amqp_url(self._vhost, user=name, password=password)


@pytest.fixture
def users(rabbitmq: RabbitMQ, vhost: str) -> Iterator[Users]:
    """Users that are gone after the test."""
    made = Users(rabbitmq, vhost)
    yield made
    for name in made.names:
        rabbitmq.management.request("DELETE", "users", name)
