"""What serves for a test is gone after it, also to whoever was just on his way to it."""

import asyncio
import socket

import pytest

from tests.support.proxy import Proxy
from tests.support.server import serving
from tests.support.waiting import eventually


async def for_ever(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("turns", range(5))
async def test_a_server_that_ends_leaves_no_task(turns: int) -> None:
    before = asyncio.all_tasks()
    async with serving(for_ever) as port:
        client = socket.create_connection(("127.0.0.1", port))
        for _ in range(turns):
            await asyncio.sleep(0)
    with client:
        await eventually(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize("turns", range(5))
async def test_a_proxy_that_refuses_lets_nobody_through(turns: int) -> None:
    async with serving(for_ever) as port, Proxy(port) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port))
        client.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await proxy.refuse()
        with client, pytest.raises(ConnectionError):
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().sock_recv(client, 1)
