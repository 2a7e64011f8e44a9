"""A feed and a link lose their connection in every way: they say so, and the feed comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiormq
import pytest

from deploy.local import RabbitMQ
from progress_ws.broker import connection, feed
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import AmqpLink, open_link
from progress_ws.broker.seam import LinkLost
from tests.broker.conftest import NAMES, Ear, batch, listening
from tests.support.proxy import Proxy
from tests.support.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

NODE = "a"


class Reports:
    """A publisher past any proxy."""

    def __init__(self, link: AmqpLink) -> None:
        self._link = link
        self._count = 0

    async def arrive(self, ear: Ear) -> None:
        """What is published now, is heard."""
        self._count += 1
        await self._link.put(batch(self._count, first=self._count))
        await ear.hears_value(self._count)


@asynccontextmanager
async def survivor(url: str, direct: str | None = None) -> AsyncIterator[Ear]:
    """A feed that hears before and after what a test does to it, through one new subscription."""
    async with (
        listening(AmqpFeed(url, NAMES, node=NODE)) as ear,
        # Another node, so that nothing published is ever without a queue.
        listening(AmqpFeed(direct or url, NAMES, node="b")),
        open_link(direct or url, NAMES, name="x") as link,
    ):
        reports = Reports(link)
        await reports.arrive(ear)
        yield ear
        await eventually(lambda: ear.feed.reconnects == 1, 20, what="the loss is noticed")
        await eventually(lambda: ear.feed.trouble is None, what="subscribed again")
        await reports.arrive(ear)
        assert ear.feed.reconnects == 1


def queue_of(rabbitmq: RabbitMQ, vhost: str) -> str:
    (name,) = [q["name"] for q in rabbitmq.management.queues(vhost) if f".{NODE}." in q["name"]]
    return str(name)


async def test_its_queue_is_deleted(amqp_url: str, rabbitmq: RabbitMQ, vhost: str) -> None:
    """The broker cancels the consumer; connection and channel stay open."""
    async with survivor(amqp_url):
        queue = queue_of(rabbitmq, vhost)
        await asyncio.to_thread(rabbitmq.ctl, "delete_queue", "--vhost", vhost, queue)


async def test_its_binding_is_deleted_and_somebody_notices(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    """Nothing tells the feed; whoever knows that it is deaf has it subscribe anew."""
    async with survivor(amqp_url) as ear:
        # Over HTTP the binding of an exclusive queue cannot be deleted, but its exchange can.
        rabbitmq.management.recreate_exchange(vhost, "progress-ws")
        ear.feed.resubscribe("heartbeats do not come back")


async def test_its_exchange_is_deleted_and_somebody_notices(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node=NODE)) as ear:
        rabbitmq.management.request("DELETE", "exchanges", vhost, "progress-ws")
        ear.feed.resubscribe("heartbeats do not come back")
        await eventually(lambda: ear.feed.reconnects == 1 and ear.feed.trouble is None)
        async with open_link(amqp_url, NAMES, name="x") as link:
            await Reports(link).arrive(ear)


async def test_its_connection_is_closed_in_the_management_ui(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with survivor(amqp_url):

        def of_node() -> list[str]:
            return [
                c["name"]
                for c in rabbitmq.management.connections(vhost)
                if f"node {NODE}:" in c["client_properties"]["connection_name"]
            ]

        (name,) = await eventually(of_node, what="the connection is listed")
        rabbitmq.management.close_connection(name)


@pytest.mark.parametrize("server_side", [True, False], ids=["both sides", "client side only"])
async def test_tcp_is_reset(
    server_side: bool, proxy: Proxy, proxied_url: str, amqp_url: str
) -> None:
    """With the client's side only, the broker believes in the old connection, and its queue."""
    async with survivor(proxied_url, direct=amqp_url):
        proxy.reset(server_side=server_side)


async def test_the_network_is_away_for_a_while(
    proxy: Proxy, proxied_url: str, amqp_url: str
) -> None:
    async with survivor(proxied_url, direct=amqp_url) as ear:
        await proxy.refuse()
        await eventually(lambda: str(proxy.port) in str(ear.feed.trouble), what="trouble told")
        await proxy.listen()


async def test_resubscribing_before_there_is_a_subscription_is_no_error(amqp_url: str) -> None:
    lonely = AmqpFeed(amqp_url, NAMES, node=NODE)
    lonely.resubscribe("too early")
    async with listening(lonely):
        assert lonely.reconnects == 0


async def test_resubscribing_at_any_moment_of_a_start_is_survived(amqp_url: str) -> None:
    for moment in range(40):
        restless = AmqpFeed(amqp_url, NAMES, node=NODE)
        async with listening(restless, subscribed=False):
            await asyncio.sleep(moment / 1000)  # subscribed after some 20 ms
            restless.resubscribe("restless")
            await eventually(lambda feed=restless: feed.trouble is None, what="subscribed")


async def test_a_burst_of_losses_is_survived(proxy: Proxy, proxied_url: str, amqp_url: str) -> None:
    """Each loss meets the feed at another step of its way back."""
    async with (
        listening(AmqpFeed(proxied_url, NAMES, node=NODE)) as ear,
        open_link(amqp_url, NAMES, name="x") as link,
    ):
        for n in range(60):
            proxy.reset(server_side=n % 3 > 0)
            await asyncio.sleep(n % 20 / 250)  # from at once to later than a whole start
        await eventually(lambda: ear.feed.trouble is None, what="subscribed")
        await Reports(link).arrive(ear)


# -- a broker that answers nothing --------------------------------------------------------------


class Silence:
    """A port that accepts connections and never says a word."""

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """One connection, until the other side closes it."""
        self.accepted += 1
        self.open += 1
        with suppress(OSError):
            await reader.read()
        self.open -= 1


async def test_attempts_that_are_never_answered_end_in_time_and_leave_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "SUBSCRIBE_TIMEOUT_S", 0.1)
    silence = Silence()
    async with serving(silence.serve) as port:
        lonely = AmqpFeed(f"amqp://guest:guest@127.0.0.1:{port}/", NAMES, node=NODE)
        async with listening(lonely, subscribed=False):
            await eventually(lambda: silence.accepted >= 6, 20, what="it keeps trying")
            assert "does not answer" in str(lonely.trouble)
            # One may be open a moment longer than its attempt; more of them would be a leak.
            await eventually(lambda: silence.open <= 1, what="no more than one open")
        await eventually(lambda: silence.open == 0, what="everything closed")


async def test_cancelled_in_the_last_steps_of_its_opening_a_link_leaves_no_connection(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library has opened it then, and has not handed it out: nobody could close it."""
    before, is_last, ready = asyncio.all_tasks(), asyncio.Event(), aiormq.Connection.ready

    async def slowly_ready(self: aiormq.Connection) -> None:
        is_last.set()
        await asyncio.sleep(0.1)
        await ready(self)

    monkeypatch.setattr(aiormq.Connection, "ready", slowly_ready)
    monkeypatch.setattr(connection, "OPEN_GRACE_S", 0.01)
    opening = asyncio.create_task(open_link(amqp_url, NAMES, name="a test's").__aenter__())
    await is_last.wait()
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    await eventually(lambda: asyncio.all_tasks() == before, 3, what="no task left")


async def test_an_attempt_that_is_given_up_and_then_ended_leaves_nothing_open() -> None:
    """Its timeout cancels it, and while it is being given up so does the end of its owner."""
    before = asyncio.all_tasks()
    silence = Silence()
    async with serving(silence.serve) as port:
        url = f"amqp://guest:guest@127.0.0.1:{port}/"

        async def attempt() -> None:
            async with connection.connect(url, name="x"):
                pytest.fail("nobody answers")

        trying = asyncio.create_task(attempt())
        await eventually(lambda: silence.open)
        trying.cancel()
        await asyncio.sleep(0)
        trying.cancel()
        await asyncio.wait([trying])
        assert trying.cancelled()
        await eventually(lambda: silence.open == 0, what="everything closed")
    await eventually(lambda: asyncio.all_tasks() == before, what="no task left")


async def test_a_silent_broker_is_noticed_by_its_missing_heartbeats(
    proxy: Proxy, proxied_url: str, amqp_url: str
) -> None:
    """By a feed, by a link on which nothing is sent, and by whatever is on its way just then.

    The library tells of it by a cancellation, which it is not.
    """
    url = proxied_url.replace("heartbeat=5", "heartbeat=1")

    async def told(act: Callable[[AmqpLink], Awaitable[object]]) -> None:
        with pytest.raises(LinkLost):
            async with asyncio.timeout(20), open_link(url, NAMES, name="y") as link:
                ready.release()
                await silent.wait()
                await act(link)

    ready, silent = asyncio.Semaphore(0), asyncio.Event()
    async with survivor(url, direct=amqp_url) as ear, asyncio.TaskGroup() as group:
        group.create_task(told(lambda link: link.lost()))
        group.create_task(told(lambda link: link.put(batch(1))))
        group.create_task(told(lambda link: link.announce("progress-ws.x", b"{}")))
        for _ in range(3):
            await ready.acquire()
        proxy.black_hole()
        silent.set()
        await eventually(lambda: ear.feed.trouble or ear.task.done(), 20, what="noticed")
        assert not ear.task.done()
        proxy.pass_on()


async def test_a_silent_broker_holds_up_no_end(
    proxy: Proxy, proxied_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.2)
    async with asyncio.timeout(5):
        async with listening(AmqpFeed(proxied_url, NAMES, node=NODE)):
            proxy.black_hole()


# -- a link -------------------------------------------------------------------------------------

Fault = Callable[[Proxy], Awaitable[None]]


async def reset(proxy: Proxy) -> None:
    proxy.reset()


async def go_away(proxy: Proxy) -> None:
    await proxy.refuse()


@pytest.mark.parametrize("fault", [reset, go_away])
async def test_a_link_tells_its_loss_at_once_though_nothing_is_sent(
    fault: Fault, proxy: Proxy, proxied_url: str, amqp_url: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node=NODE)):
        with pytest.raises(LinkLost):
            async with asyncio.timeout(5), open_link(proxied_url, NAMES, name="x") as link:
                lost = asyncio.create_task(link.lost())
                await asyncio.sleep(0)
                await fault(proxy)
                await lost


@pytest.mark.parametrize("method", ["put", "announce"])
async def test_whatever_is_on_its_way_is_lost_with_the_link(
    method: str, proxy: Proxy, proxied_url: str, amqp_url: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node=NODE)):
        with pytest.raises(LinkLost):
            async with asyncio.timeout(5), open_link(proxied_url, NAMES, name="x") as link:
                proxy.black_hole()
                sending = asyncio.create_task(
                    link.put(batch(1)) if method == "put" else link.announce("progress-ws.x", b"{}")
                )
                await asyncio.sleep(0.05)  # on its way, and swallowed
                assert not sending.done()
                proxy.reset()
                await sending


async def test_a_lost_link_stays_lost(proxy: Proxy, proxied_url: str, amqp_url: str) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node=NODE)):
        with pytest.raises(LinkLost):
            async with asyncio.timeout(10), open_link(proxied_url, NAMES, name="x") as link:
                proxy.reset()
                with pytest.raises(LinkLost):
                    await link.lost()
                for _ in range(3):
                    with pytest.raises(LinkLost):
                        await link.put(batch(1))
                with pytest.raises(LinkLost):
                    await link.announce("progress-ws.x", b"{}")
                await link.lost()


async def test_an_exchange_deleted_under_a_link_is_a_loss(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    async with listening(AmqpFeed(amqp_url, NAMES, node=NODE)):
        with pytest.raises(LinkLost):
            async with asyncio.timeout(5), open_link(amqp_url, NAMES, name="x") as link:
                await link.put(batch(1))
                rabbitmq.management.request("DELETE", "exchanges", vhost, "progress-ws")
                await link.put(batch(2, first=2))


async def test_a_channel_wanted_as_a_connection_goes_is_a_loss(
    amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    """The library then raises what it also raises for its own bugs."""
    with pytest.raises(LinkLost, match="closed"):
        async with connection.connect(amqp_url, name="x") as opened:
            assert opened.transport is not None
            below = opened.transport.connection
            await asyncio.to_thread(
                rabbitmq.ctl, "close_all_connections", "--vhost", vhost, "a test"
            )
            await eventually(lambda: below.is_closed)
            await opened.channel()
