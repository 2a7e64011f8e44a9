"""The end of a node: browsers are sent elsewhere one by one, and nothing is left behind."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from deploy.local import Node
from progress_ws import new_sid
from tests.node.conftest import BEARER, TOKEN
from tests.node.rawsocket import raw_socket
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually, stopwatch

#: So long that half of it is left after a pause of the machine.
DRAIN_S = 5
TABS = 20

StartProcess = Callable[..., Node]


async def ended(node: Node, timeout_s: float) -> int:
    """Wait for the process to end; its exit status."""
    await eventually(lambda: not node.alive, timeout_s, what="the end of the node")
    assert node.returncode is not None
    return node.returncode


async def test_sigterm_drains(node_process: StartProcess) -> None:
    """Not ready at once, no new sockets, the open ones closed with 1012 over the drain time.

    Until its turn comes a socket gets what is published; at the end the process ends well.
    """
    node = node_process(drain_seconds=DRAIN_S, publish_token=TOKEN)
    sid = new_sid()
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(node.url, sid=sid)) for _ in range(TABS)]
        http = await stack.enter_async_context(aiohttp.ClientSession(node.url))
        seconds = stack.enter_context(stopwatch())
        node.terminate()
        started = time.monotonic()
        ends = [asyncio.create_task(last_words(browser)) for browser in tabs]

        async def is_draining() -> bool:
            async with http.get("/readyz") as answer:
                return answer.status == 503 and "drain" in await answer.text()

        await eventually(is_draining, 1)
        async with http.get("/healthz") as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect("/websocket/progress")
        assert refusal.value.status == 503
        body = {"sid": sid, "message": "meanwhile"}
        async with http.post("/api/v1/messages", json=body, headers=BEARER) as answer:
            assert answer.status == 202
        closed = sorted([await end for end in ends], key=lambda end: end.at)
        assert seconds() < DRAIN_S + 1
    assert await ended(node, 5) == 0
    await eventually(lambda: not node.group_alive)
    assert '"event": "stopped"' in node.output

    assert {end.code for end in closed} == {1012}
    assert [end.messages for end in closed[-TABS // 2 :]] == [["meanwhile"]] * (TABS // 2)
    # Spread: the first leaves early, the last late, and the others between.
    times = [end.at - started for end in closed]
    assert times[0] < DRAIN_S / 2
    assert times[TABS // 2] - times[0] > DRAIN_S / 4
    assert times[-1] > DRAIN_S / 2


@dataclass(frozen=True)
class End:
    """When and how a socket was closed, and what it got before."""

    at: float
    code: int | None
    messages: list[object]


async def last_words(browser: Tab) -> End:
    """Read until the server closes."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append((await browser.frame())["message"])
    return End(time.monotonic(), browser.socket.close_code, messages)


async def test_sigint_is_quick(node_process: StartProcess) -> None:
    """Ctrl-C in a terminal does not wait: sockets are closed with 1012 at once."""
    node = node_process(drain_seconds=60)
    async with tab(node.url) as one, tab(node.url) as two:
        before = time.monotonic()
        os.kill(node.pid, signal.SIGINT)
        assert [await browser.close_code() for browser in (one, two)] == [1012, 1012]
        assert await ended(node, 5) == 0
        assert time.monotonic() - before < 3


async def test_an_idle_node_ends_at_once(node_process: StartProcess) -> None:
    """Without browsers there is nothing to spread."""
    node = node_process(drain_seconds=60)
    before = time.monotonic()
    node.terminate()
    assert await ended(node, 5) == 0
    assert time.monotonic() - before < 3


async def test_a_second_signal_ends_a_long_drain(node_process: StartProcess) -> None:
    """SIGTERM asks for patience; an operator who loses it presses Ctrl-C."""
    node = node_process(drain_seconds=60)
    async with tab(node.url) as one, tab(node.url), tab(node.url):
        node.terminate()
        await eventually(lambda: not node.ready, 2)
        os.kill(node.pid, signal.SIGINT)
        assert await one.close_code() == 1012
        assert await ended(node, 5) == 0


async def test_a_stalled_browser_does_not_keep_the_node(node_process: StartProcess) -> None:
    """Who does not read his close frame is cut off."""
    node = node_process(drain_seconds=0, publish_token=TOKEN)
    async with (
        tab(node.url) as healthy,
        raw_socket(node.url, f"/websocket/progress?sid={healthy.sid}"),
        aiohttp.ClientSession(node.url) as http,
    ):
        # More than the kernel takes for a reader that stalls, less than closes it as a slow one.
        batch = [{"sid": healthy.sid, "message": "x" * 60_000}] * 16
        for _ in range(10):
            async with http.post("/api/v1/messages", json=batch, headers=BEARER) as answer:
                assert answer.status == 202
        node.terminate()
        assert await healthy.close_code() == 1012
        assert await ended(node, 10) == 0
    assert "Traceback" not in node.output
