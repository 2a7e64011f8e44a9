"""Accepting: a few in a turn of the loop, all in the end, whatever the host is short of."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientConnectionResetError, web
from structlog.testing import capture_logs

from progress_ws import new_sid
from progress_ws.node import listening
from progress_ws.node.listening import ACCEPTED_AT_ONCE, Listener
from progress_ws.node.process import OTHER_FILES, allow_files
from tests.node.conftest import LiveNode
from tests.support.waiting import eventually

MANY = 10 * ACCEPTED_AT_ONCE


class Server:
    """Counts its connections; what aiohttp's server is to a listener."""

    def __init__(self) -> None:
        self.accepted: list[asyncio.BaseTransport] = []

    def __call__(self) -> asyncio.Protocol:
        server = self

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                server.accepted.append(transport)

        return Accepted()


@pytest.fixture
def waiting() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A socket that is listened on, and many that wait to be accepted."""
    with ExitStack() as stack:
        listened = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2 * MANY))
        listened.setblocking(False)
        address = listened.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(MANY)]
        yield listened, clients


async def end(listener: Listener, server: Server) -> None:
    listener.close()
    for transport in server.accepted:
        transport.close()
    await asyncio.sleep(0)


async def test_a_turn_accepts_a_few_and_in_the_end_all_are_accepted(
    waiting: tuple[socket.socket, list[socket.socket]],
) -> None:
    server = Server()
    listener = Listener([waiting[0]], server)  # type: ignore[arg-type]
    in_a_turn = []
    before = 0
    while before < MANY:
        await asyncio.sleep(0)
        in_a_turn.append(len(server.accepted) - before)
        before = len(server.accepted)
    assert 0 < max(in_a_turn) <= ACCEPTED_AT_ONCE
    await end(listener, server)


async def test_without_files_it_waits_until_there_are_some(
    waiting: tuple[socket.socket, list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "PAUSE_S", 0.05)
    server = Server()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as filled:  # no file is free below the limit
        highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
        while (number := filled.enter_context(socket.socket()).fileno()) < highest:
            pass
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + 1, hard))
        try:
            listener = Listener([waiting[0]], server)  # type: ignore[arg-type]
            await eventually(lambda: listener._paused is not None)
            assert server.accepted == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await eventually(lambda: len(server.accepted) == MANY)
    await end(listener, server)


@pytest.mark.parametrize(
    ("hard", "allowed", "told"),
    [
        (resource.RLIM_INFINITY, 5000 + OTHER_FILES, 0),
        (20_000, 5000 + OTHER_FILES, 0),
        (4096,) * 2 + (1,),
    ],
)
def test_a_process_asks_for_a_file_for_each_connection(
    hard: int, allowed: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says it where its user may not have so many."""
    limits: list[tuple[int, int]] = [(1024, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    with capture_logs() as logs:
        allow_files(5000)
        allow_files(1000)  # it has them
    assert limits[1:] == [(allowed, hard)]
    assert len(logs) == told


async def test_a_browser_that_is_gone_before_its_upgrade_is_no_error(
    lone: LiveNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def prepare(*_: object) -> None:
        raise ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.WebSocketResponse, "prepare", prepare)
    async with lone.http.get(f"/websocket/progress?sid={new_sid()}") as answer:
        assert answer.status == 503
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
