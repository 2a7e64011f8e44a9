"""What closes is freed at once, without the collector, which looks at what is young only."""

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp import web

from progress_ws import new_sid
from progress_ws.broker.connection import connect
from progress_ws.broker.seam import LinkLost
from progress_ws.core.frames import CloseCode
from progress_ws.node import garbage
from progress_ws.node.admission import Connection
from progress_ws.node.keys import SOCKETS
from progress_ws.node.sockets import Socket
from progress_ws.node.streams import Stream
from tests.node.conftest import LiveNode
from tests.node.test_sse import stream
from tests.support.waiting import eventually

OURS = (Connection, Socket, Stream, web.WebSocketResponse, web.Request)


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile; what other tests left behind is not counted."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Cycle:
    def __init__(self) -> None:
        self.me = self


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OURS)


def end_all(node: LiveNode) -> None:
    for socket in node.app[SOCKETS]:
        socket.end(CloseCode.RESTARTING, "restarting")


async def nothing_is_left(before: Counter[str]) -> None:
    def freed() -> bool:
        assert alive() <= before
        return True

    await eventually(freed, 2)


async def test_a_closed_socket_is_freed(lone: LiveNode) -> None:
    before = alive()
    async with lone.tab(sid=new_sid()) as browser:
        await lone.send(browser.sid, 1)
        await browser.frame()
        assert alive()["Socket"] > before["Socket"]
    await nothing_is_left(before)


async def test_a_socket_whose_connection_is_cut_is_freed(lone: LiveNode) -> None:
    before = alive()
    async with lone.tab(sid=new_sid()) as browser:
        browser.socket.transport.abort()
        await nothing_is_left(before)


async def test_a_socket_that_the_node_closes_is_freed(lone: LiveNode) -> None:
    before = alive()
    async with lone.tab(sid=new_sid()):
        end_all(lone)
        await nothing_is_left(before)


async def test_a_closed_stream_is_freed(lone: LiveNode) -> None:
    before = alive()
    async with stream(lone, new_sid()) as browser:
        await browser.frame()
        assert alive()["Stream"] > before["Stream"]
    await nothing_is_left(before)


async def with_a_frozen_cycle() -> tuple[asyncio.Task[None], weakref.ref[Cycle]]:
    """Begin to spare the old; among them is what only a full collection finds."""
    cycle = Cycle()
    task = asyncio.create_task(garbage.spare_the_old())
    await eventually(lambda: gc.get_freeze_count() > 1000)
    return task, weakref.ref(cycle)


async def test_what_lives_is_not_looked_at_but_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thresholds = gc.get_threshold()
    monkeypatch.setattr(garbage, "FREEZE_EVERY_S", 0.01)
    task, left = await with_a_frozen_cycle()
    gc.collect()
    assert left() is not None, "a frozen cycle is not found"
    task.cancel()
    await asyncio.wait([task])
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, thresholds)
    monkeypatch.setattr(garbage, "COLLECT_EVERY_S", 0.05)
    task = asyncio.create_task(garbage.spare_the_old())
    await eventually(lambda: left() is None, what="the full collection")
    task.cancel()
    await asyncio.wait([task])


async def test_what_lost_connections_to_the_broker_leave_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library leaves each in a cycle: a night of lost connections must not fill the memory."""
    monkeypatch.setattr(garbage, "FREEZE_EVERY_S", 0.01)
    task, left = await with_a_frozen_cycle()
    for _ in range(garbage.COLLECT_AFTER):
        with pytest.raises(LinkLost):
            async with connect("amqp://127.0.0.1:1/", name="x"):
                pass
    await eventually(lambda: left() is None, what="the full collection")
    task.cancel()
    await asyncio.wait([task])
