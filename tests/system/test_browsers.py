"""Browsers that do not read, and a node that ends: nobody else notices."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy.local import Node
from progress_ws import Publisher, new_sid
from tests.support.metrics import metric
from tests.support.tab import tab
from tests.support.waiting import eventually, stopwatch

TOKEN = "a-token-for-tests"
SLOW_READER = 4001

Start = Callable[..., Node]


async def test_a_browser_that_does_not_read_harms_itself_only(node_process: Start) -> None:
    """Of two tabs of one session one reads; together they are sent more than may wait for one."""
    node = node_process(publish_token=TOKEN)
    before_bytes = memory_bytes(node)
    sid = new_sid()
    count, megabytes = 800, 48
    value = "x" * 60_000
    address = f"{node.url.replace('http', 'ws')}/websocket/progress?sid={sid}"
    async with (
        # Two frames wait in the client; then it stops to read from the network.
        connect(address, proxy=None, max_queue=1, ping_interval=None) as stalled,
        tab(node.url, sid=sid) as healthy,
        Publisher(node.url, token=TOKEN) as publisher,
    ):
        with stopwatch() as seconds:
            for number in range(count):
                started_s = seconds()
                await publisher.send(sid, f"{number} {value}")
                assert (await healthy.frame())["message"] == f"{number} {value}"
                assert seconds() - started_s < 1
        assert memory_bytes(node) - before_bytes < 65e6
        received = 0
        async with asyncio.timeout(30):
            async for _ in until_closed(stalled):
                received += 1
        assert stalled.close_code == SLOW_READER
        assert received < count / 2, f"{megabytes} MB waited for a browser that does not read"
        await healthy.socket.ping()
        await eventually(lambda: metric(node, "closes_total", code=str(SLOW_READER)) == 1)
        assert metric(node, "connections") == 1


async def until_closed(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


def memory_bytes(node: Node) -> int:
    """What it holds in RAM."""
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{node.pid}/status").read_text())
    assert resident is not None
    return int(resident[1]) * 1024


async def test_a_node_without_browsers_ends_at_once(node_process: Start) -> None:
    node = node_process(drain_seconds=20)
    started_s = time.monotonic()
    node.terminate()
    node.wait_end()
    assert node.returncode == 0
    assert time.monotonic() - started_s < 5
