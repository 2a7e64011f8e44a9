"""The contract of `broker/seam.py`, for every implementation of it."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from progress_ws.broker.seam import LinkLost
from tests.broker.conftest import Broker, batch, listening
from tests.support.waiting import eventually

COUNT = 300


async def test_every_node_receives_everything_once_and_in_order(broker: Broker) -> None:
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listening(broker.feed(name))) for name in "abc"]
        link = await stack.enter_async_context(broker.open_link())
        for n in range(1, COUNT + 1):
            await link.put(batch(n, first=n))
        for ear in ears:
            await ear.hears(COUNT)
            assert ear.values == list(range(1, COUNT + 1))


async def test_each_publishers_order_holds_though_several_send_at_once(broker: Broker) -> None:
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listening(broker.feed(name))) for name in "ab"]

        async def publish(name: str) -> None:
            async with broker.open_link() as link:
                for n in range(COUNT):
                    await link.put(batch([name, n], publisher=name, first=n + 1))

        await asyncio.gather(*map(publish, "xyz"))
        for ear in ears:
            await ear.hears(3 * COUNT)
            for name in "xyz":
                own = [n for publisher, n in ear.values if publisher == name]
                assert own == list(range(COUNT))


async def test_put_returns_the_ids_and_the_body_arrives_as_it_is(broker: Broker) -> None:
    several = batch("a", "b", "ü\x00\U0001f600", first=7)
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        assert await link.put(several) == ["p-7", "p-8", "p-9"]
        await ear.hears(1)
        assert ear.heard[0].body == several.body()


async def test_a_large_array_arrives_whole(broker: Broker) -> None:
    """Larger than a frame of AMQP, and as large as a publish request may be."""
    large = batch(*["x" * 60_000] * 139)
    assert len(large.body()) > 8_000_000
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        await link.put(large)
        await ear.hears(1)
        assert ear.heard[0].body == large.body()


async def test_an_announcement_arrives_with_its_type(broker: Broker) -> None:
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        await link.announce("progress-ws.test", b"\xffanything")
        await ear.hears(1)
        assert (ear.heard[0].type, ear.heard[0].body) == ("progress-ws.test", b"\xffanything")


async def test_messages_are_not_taken_for_announcements(broker: Broker) -> None:
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        await link.put(batch(1))
        await link.put(batch(2, 3, first=2))
        await ear.hears(2)
        assert not [d for d in ear.heard if d.type and d.type.startswith("progress-ws.")]


async def test_a_message_reaches_a_node_only_while_it_runs(broker: Broker) -> None:
    async with listening(broker.feed("stays")) as stays, broker.open_link() as link:
        await link.put(batch("before"))
        async with listening(broker.feed("comes and goes")) as visitor:
            await link.put(batch("during", first=2))
            await visitor.hears(1)
        await link.put(batch("after", first=3))
        await stays.hears(3)
        assert (stays.values, visitor.values) == (["before", "during", "after"], ["during"])


async def test_what_nobody_can_receive_is_not_confirmed(broker: Broker) -> None:
    async with AsyncExitStack() as stack:
        async with listening(broker.feed("a")):
            link = await stack.enter_async_context(broker.open_link())
            await link.put(batch(1))
        with pytest.raises(LinkLost):
            async with asyncio.timeout(10):
                # On RabbitMQ the queue goes a moment after its consumer.
                for n in range(2, 1_000_000):
                    await link.put(batch(n, first=n))


async def test_a_link_before_the_first_node_says_why_there_is_none(broker: Broker) -> None:
    with pytest.raises(LinkLost, match=r"not exist|not connected yet"):
        async with broker.open_link():
            pytest.fail("nobody would hear")


async def test_a_link_that_is_not_lost_says_nothing(broker: Broker) -> None:
    async with listening(broker.feed("a")), broker.open_link() as link:
        lost = asyncio.create_task(link.lost())
        for n in range(1, 50):
            await link.put(batch(n, first=n))
        assert not lost.done()
        lost.cancel()
        await asyncio.wait([lost])


async def test_a_feed_has_trouble_until_it_runs(broker: Broker) -> None:
    feed = broker.feed("a")
    assert feed.trouble
    async with listening(feed):
        assert feed.trouble is None
        assert feed.reconnects == 0


async def test_a_feed_that_is_cancelled_leaves_no_task_behind(broker: Broker) -> None:
    before = asyncio.all_tasks()
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        await link.put(batch(*range(100)))
        await ear.hears(1)
    assert asyncio.all_tasks() == before


async def test_cancelled_at_any_moment_of_its_start_it_leaves_nothing_either(
    broker: Broker,
) -> None:
    before = asyncio.all_tasks()
    for moment in range(50):
        task = asyncio.create_task(broker.feed("a").run(lambda _: None))
        await asyncio.sleep(moment / 1000)  # subscribed after some 20 ms: before, in it and after
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    await eventually(lambda: asyncio.all_tasks() == before, what="no task left")


async def test_a_body_is_whatever_json_the_messages_are(broker: Broker) -> None:
    async with listening(broker.feed("a")) as ear, broker.open_link() as link:
        await link.put(batch({"rows": 1}, key="k"))
        await ear.hears(1)
        assert json.loads(ear.heard[0].body) == {
            "sid": "s" * 22,
            "message": {"rows": 1},
            "key": "k",
            "ts": 1700000000.0,
            "id": "p-1",
        }
