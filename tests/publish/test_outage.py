"""What a publisher says while its broker is away, and how long it waits for that."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.local import RabbitMQ, free_port
from progress_ws import Publisher, PublishError, new_sid
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.seam import Link
from tests.broker.conftest import NAMES, listening
from tests.node.conftest import TOKEN
from tests.publish.test_http import Node, node, problem
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

__all__ = ["node"]

SID = new_sid()


def nobody() -> str:
    return f"amqp://guest:guest@127.0.0.1:{free_port()}/"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The warnings of the package, as they come."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    caplog.set_level(logging.INFO, logger="progress_ws")
    handler = Handler()
    logger = logging.getLogger("progress_ws")
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


def counted(publisher: Publisher) -> list[None]:
    """Every attempt of it to open a link from now on."""
    attempts: list[None] = []
    open_link = publisher._open_link

    def count() -> AbstractAsyncContextManager[Link]:
        attempts.append(None)
        return open_link()

    publisher._open_link = count
    return attempts


async def several(attempts: list[None]) -> None:
    """Wait until that has been tried in vain some times."""
    before = len(attempts)
    await eventually(lambda: len(attempts) >= before + 4, what="some attempts")


async def cut_off(publisher: Publisher) -> None:
    await eventually(lambda: publisher.trouble is not None, what="trouble is known")


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_one_warning_when_the_broker_goes_and_one_when_it_is_back(
    proxy: Proxy, proxied_url: str, said: list[str]
) -> None:
    publisher = Publisher(proxied_url, max_buffer_bytes=20_000)
    attempts = counted(publisher)
    async with publisher:
        publisher.post(SID, "before")
        assert await publisher.flush() == 0
        assert publisher.trouble is None
        for _ in range(2):
            await proxy.refuse()
            await cut_off(publisher)
            dropped = publisher.dropped
            for n in range(1000):
                publisher.post(SID, n)
            await several(attempts)
            dropped = publisher.dropped - dropped
            assert dropped > 900
            await proxy.listen()
            await eventually(lambda: publisher.trouble is None, 20, what="back")
            assert await publisher.flush() == 0
            gone, *full, back = said
            assert "progress does not get through, what is posted waits: RabbitMQ at" in gone
            assert "progress gets through again after " in back
            assert back.endswith(f" s, {dropped} dropped")
            assert all("full" in line for line in full)
            said.clear()


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_one_that_has_nothing_to_send_says_it_too(
    proxy: Proxy, proxied_url: str, said: list[str]
) -> None:
    async with Publisher(proxied_url) as publisher:
        publisher.post(SID, "before")
        assert await publisher.flush() == 0
        await proxy.refuse()
        await eventually(lambda: len(said) == 1)
        await proxy.listen()
        await eventually(lambda: len(said) == 2, 20)
        assert publisher.trouble is None


async def test_what_is_only_sent_is_told_to_its_sender_alone(said: list[str]) -> None:
    async with Publisher(nobody()) as publisher:
        with pytest.raises(PublishError):
            await publisher.send(SID, 1, timeout_s=0.5)
        await cut_off(publisher)
        assert said == []
        publisher.post(SID, 2)
        assert len(said) == 1
        await publisher.close(timeout_s=0.1)
    assert len(said) == 2


@pytest.mark.broker
async def test_a_broker_without_a_node_is_one_outage(amqp_url: str, said: list[str]) -> None:
    """There each link opens, and refuses what it is given."""
    async with listening(AmqpFeed(amqp_url, NAMES, node="makes the exchange")):
        pass
    publisher = Publisher(amqp_url)
    attempts = counted(publisher)
    async with publisher:
        publisher.post(SID, 1)
        await several(attempts)
        assert "no node running" in str(publisher.trouble)
        assert len(said) == 1
        await publisher.close(timeout_s=0.1)


async def test_over_http_it_is_the_same(node: Node, said: list[str]) -> None:
    async with Publisher(node.url, token=TOKEN) as publisher:
        publisher.post(SID, "before")
        assert await publisher.flush() == 0
        node.answers += [problem(503)] * 4
        with pytest.raises(PublishError):
            await publisher.send(SID, "given up", timeout_s=0.05)
        publisher.post(SID, "posted")
        await eventually(lambda: publisher.trouble is None and not publisher.waiting)
        gone, back = said
        assert "503" in gone
        assert "gets through again" in back


async def test_the_end_of_a_bar_goes_out_though_others_have_filled_the_buffer(node: Node) -> None:
    node.answers = [problem(503)] * 3
    async with Publisher(node.url, token=TOKEN, max_buffer_bytes=20_000) as publisher:
        bar = publisher.progress(SID, total=2, title="Report")
        while not publisher.dropped:
            publisher.post(SID, 1)
        bar.failed("ValueError: row 17 of the table is wrong" * 8)
        await eventually(lambda: publisher.trouble is None and not publisher.waiting)
    last = [member for members in node.requests for member in members if "key" in member][-1]
    assert (last["message"]["state"], last["final"]) == ("failed", True)


async def test_what_was_dropped_before_the_outage_was_known_is_told_at_its_end(
    node: Node, said: list[str]
) -> None:
    node.answers = [problem(503)] * 3
    async with Publisher(node.url, token=TOKEN, max_buffer_bytes=20_000) as publisher:
        while publisher.dropped < 443:
            publisher.post(SID, 1)
        await eventually(lambda: publisher.trouble is None and not publisher.waiting)
        assert said[-1].endswith(" s, 443 dropped")


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_the_warning_of_a_refusal_says_the_mend(
    rabbitmq: RabbitMQ, vhost: str, said: list[str]
) -> None:
    async with Publisher(rabbitmq.amqp_url(vhost, password="hunter2")) as publisher:
        publisher.post(SID, 1)
        await eventually(lambda: said)
        assert "check user and password" in said[0]
        assert "hunter2" not in said[0]
        await publisher.close(timeout_s=0.1)


async def test_a_flush_waits_for_the_first_attempt_and_no_longer() -> None:
    async with Publisher(nobody()) as publisher:
        publisher.post(SID, 1)
        assert publisher.trouble is None
        async with asyncio.timeout(5):
            assert await publisher.flush(timeout_s=60) == 1
            assert publisher.trouble is not None
            assert await publisher.flush(timeout_s=60) == 1
        assert publisher.waiting == 1
        await publisher.close(timeout_s=0.1)


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_a_flush_ends_in_time(proxy: Proxy, proxied_url: str) -> None:
    async with Publisher(proxied_url) as publisher:
        await publisher.send(SID, "before")
        proxy.black_hole()
        publisher.post(SID, "after")
        async with asyncio.timeout(5):
            assert await publisher.flush(timeout_s=0.3) == 1
        proxy.pass_on()
        assert await publisher.flush() == 0


async def test_before_its_start_and_after_its_end_there_is_nothing_to_tell() -> None:
    publisher = Publisher(nobody())
    for _ in range(2):
        assert (publisher.trouble, publisher.waiting, publisher.dropped) == (None, 0, 0)
        assert await publisher.flush() == 0
        publisher.start()
        await publisher.close()
