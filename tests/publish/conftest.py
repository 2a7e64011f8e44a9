"""Publishers on both ways to the browsers, and somebody who hears what arrives."""

from collections.abc import AsyncIterator, Iterator

import pytest

from progress_ws import Publisher
from progress_ws.broker.feed import AmqpFeed
from progress_ws.node.settings import Settings
from tests.broker.conftest import NAMES, Ear, Users, listening, proxied_url, proxy, users
from tests.node.conftest import TOKEN, LiveNode, live_when_ready
from tests.publish.inbox import Inbox
from tests.support.tab import Tab

__all__ = ["Users", "proxied_url", "proxy", "users"]


class Way:
    """A way from a publisher to a browser."""

    def __init__(self, node: LiveNode, url: str, token: str | None) -> None:
        self.node = node
        self.url = url
        self.token = token

    def publisher(self, **options: int) -> Publisher:
        """A publisher on this way, not started."""
        return Publisher(self.url, token=self.token, **options)

    def tab(self) -> "Tab":
        """A browser at the other end: `async with way.tab() as browser`."""
        return self.node.tab()


@pytest.fixture(params=["http", pytest.param("amqp", marks=pytest.mark.broker)])
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    """Over a node's HTTP API, then over RabbitMQ: each test runs on both."""
    if request.param == "http":
        async with live_when_ready(Settings(publish_token=TOKEN)) as node:
            yield Way(node, node.url, TOKEN)
    else:
        url = request.getfixturevalue("amqp_url")
        async with live_when_ready(Settings(amqp_url=url)) as node:
            yield Way(node, url, None)


@pytest.fixture
async def ear(amqp_url: str) -> AsyncIterator[Ear]:
    """What arrives at a node, delivery by delivery."""
    async with listening(AmqpFeed(amqp_url, NAMES, node="ear")) as ear:
        yield ear


@pytest.fixture
def inbox(amqp_url: str) -> Iterator[Inbox]:
    """What crosses the exchange of the test's virtual host."""
    with Inbox(amqp_url) as inbox:
        yield inbox
