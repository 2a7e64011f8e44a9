"""A connection that is cut at any point of its first words is a loss, and nothing worse."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from deploy.local import RabbitMQ
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from progress_ws.broker.seam import LinkLost
from progress_ws.broker.sender import Sender
from progress_ws.core import codec
from tests.broker.conftest import NAMES, SID, batch, listening
from tests.support.server import connected, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

AMQP_FRAME = struct.Struct(">BHL")


class Cutter:
    """Passes bytes on, and from RabbitMQ only so many: then both sides are closed."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.limit: int | None = None
        self.passed = bytearray()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.passed = passed = bytearray()
        async with connected(self._target) as (their_reader, their_writer):
            up = asyncio.create_task(self._up(reader, their_writer))
            try:
                while self.limit is None or len(passed) < self.limit:
                    room = 65536 if self.limit is None else self.limit - len(passed)
                    chunk = await their_reader.read(room)
                    if not chunk:
                        break
                    passed += chunk
                    writer.write(chunk)
            finally:
                up.cancel()
                await asyncio.wait([up])

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)


def cuts(passed: bytes) -> list[int]:
    """Before, at and just after the end of every frame that RabbitMQ sent."""
    ends, at = [0], 0
    while at + AMQP_FRAME.size <= len(passed):
        _, _, size = AMQP_FRAME.unpack_from(passed, at)
        at += AMQP_FRAME.size + size + 1
        ends.append(at)
    near = {end + offset for end in ends for offset in (-1, 0, 1, 8)}
    return sorted(cut for cut in near if 0 <= cut < len(passed))


@pytest.fixture
async def cutter(rabbitmq: RabbitMQ) -> AsyncIterator[Cutter]:
    cutter = Cutter(rabbitmq.port)
    async with serving(cutter.serve) as cutter.port:
        yield cutter


@pytest.fixture
def cut_url(cutter: Cutter, rabbitmq: RabbitMQ, amqp_url: str) -> str:
    return amqp_url.replace(f":{rabbitmq.port}/", f":{cutter.port}/")


@asynccontextmanager
async def somebody_listens(amqp_url: str) -> AsyncIterator[None]:
    async with listening(AmqpFeed(amqp_url, NAMES, node="listens")):
        yield


async def test_a_feed_survives_every_cut(cutter: Cutter, cut_url: str) -> None:
    feed = AmqpFeed(cut_url, NAMES, node="a")
    async with listening(feed):
        whole = bytes(cutter.passed)
    assert len(cuts(whole)) > 30
    for cut in cuts(whole):
        cutter.limit = cut
        feed = AmqpFeed(cut_url, NAMES, node="a")
        async with listening(feed, subscribed=False):
            await eventually(
                lambda feed=feed: str(cutter.port) in str(feed.trouble) or feed.reconnects,
                what=f"trouble after a cut at {cut} of {len(whole)}",
            )


async def test_a_link_survives_every_cut(cutter: Cutter, cut_url: str, amqp_url: str) -> None:
    async with somebody_listens(amqp_url):
        async with open_link(cut_url, NAMES, name="x") as link:
            await link.put(batch(1))
            whole = bytes(cutter.passed)
        for cut in cuts(whole):
            cutter.limit = cut
            with pytest.raises(LinkLost):
                async with asyncio.timeout(5), open_link(cut_url, NAMES, name="x") as link:
                    await link.put(batch(1))
                    await link.lost()


async def test_a_sender_survives_every_cut(cutter: Cutter, cut_url: str, amqp_url: str) -> None:
    async with somebody_listens(amqp_url):
        async with open_link(cut_url, NAMES, name="x") as link:
            await link.put(batch(1))
            whole = bytes(cutter.passed)
        for cut in cuts(whole):
            cutter.limit = cut
            sender = Sender(lambda: open_link(cut_url, NAMES, name="x"), max_buffer_bytes=10**6)
            task = asyncio.create_task(sender.run())
            sender.post(codec.new_draft(SID, 1, max_message_bytes=100))
            await eventually(
                lambda sender=sender: str(cutter.port) in str(sender.reason()) or not len(sender),
                what=f"trouble after a cut at {cut} of {len(whole)}",
            )
            assert not task.done()
            task.cancel()
            await asyncio.wait([task])
