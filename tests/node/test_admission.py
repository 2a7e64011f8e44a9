"""What may be open before, between and beside the sockets: everything of it is few or short."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest

from progress_ws.node import admission, bodies, sockets
from progress_ws.node.admission import AT_ONCE, Turnstile
from tests.node.conftest import TOKEN, LiveNode, Start
from tests.node.rawsocket import CLOSE, PING, RawSocket, raw_socket
from tests.support.waiting import eventually

SHORT_S = 0.5
GET = b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n"
LIMIT = 5

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def plain(node: LiveNode) -> AsyncIterator[Pipe]:
    """A TCP connection that has said nothing yet."""
    where = urlsplit(node.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def is_ended(reader: asyncio.StreamReader) -> None:
    """Wait for the end of the connection, whatever comes before it."""
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass


async def drip(writer: asyncio.StreamWriter, every_s: float) -> None:
    """Send an endless header byte by byte."""
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(every_s)


def post(*, length: int, token: str = TOKEN) -> bytes:
    """The head of a publish request."""
    return (
        f"POST /api/v1/messages HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def head(reader: asyncio.StreamReader) -> bytes:
    """The head of an answer."""
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n\r\n")


async def get(pipe: Pipe) -> None:
    """One good request on a connection that stays open."""
    reader, writer = pipe
    writer.write(GET)
    answer = await head(reader)
    assert b" 200 " in answer
    length = answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))


@pytest.fixture
async def brisk(monkeypatch: pytest.MonkeyPatch, start: Start) -> LiveNode:
    """A node with little patience."""
    monkeypatch.setattr(admission, "HANDSHAKE_TIMEOUT_S", SHORT_S)
    return await start(max_connections=LIMIT)


# -- heads that are never finished --------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET /web", GET[:-2]])
async def test_a_head_that_stops_ends_the_connection(brisk: LiveNode, said: bytes) -> None:
    async with plain(brisk) as (reader, writer):
        writer.write(said)
        async with asyncio.timeout(10):
            await is_ended(reader)
    await eventually(lambda: len(brisk.door) == 0)


async def test_a_head_that_drips_ends_the_connection(brisk: LiveNode) -> None:
    async with plain(brisk) as (reader, writer), asyncio.TaskGroup() as group:
        dripping = group.create_task(drip(writer, SHORT_S / 20))
        async with asyncio.timeout(10):
            await is_ended(reader)
        dripping.cancel()


async def test_a_kept_connection_may_idle_longer_than_a_head_may_take(brisk: LiveNode) -> None:
    """But the first byte of the next head starts the clock again."""
    async with plain(brisk) as kept, plain(brisk) as silent:
        await get(kept)
        async with plain(brisk) as later, asyncio.timeout(10):
            await is_ended(silent[0])
            await is_ended(later[0])
        await get(kept)
        kept[1].write(GET[:5])
        async with asyncio.timeout(10):
            await is_ended(kept[0])


async def test_a_flood_of_silent_connections_keeps_nobody_out(
    monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """At the bound the oldest goes, long before its time."""
    monkeypatch.setattr(admission, "UNFINISHED_MAX", LIMIT)
    node = await start()
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(plain(node)) for _ in range(4 * LIMIT)]
        async with asyncio.timeout(5):
            for reader, _ in silent[: 3 * LIMIT]:
                await is_ended(reader)
        assert len(node.door) == LIMIT
        async with node.tab():
            assert len(node.door) <= LIMIT


async def test_an_open_socket_stands_in_no_line(brisk: LiveNode) -> None:
    """Nothing is left of the handshake's clock, and the socket outlives it."""
    async with brisk.tab() as browser, plain(brisk) as (reader, _):
        assert len(brisk.door) <= 1
        async with asyncio.timeout(10):
            await is_ended(reader)
        assert len(brisk.door) == 0
        await browser.socket.send('{"type": "ping"}')
        assert (await browser.frame())["type"] == "pong"


@pytest.mark.slow
async def test_ten_seconds_are_ten_seconds(lone: LiveNode) -> None:
    """The real limit, on a silent connection."""
    async with plain(lone) as (reader, _):
        began_s = time.monotonic()
        async with asyncio.timeout(15):
            await is_ended(reader)
        assert 9.5 < time.monotonic() - began_s < 12


# -- storms -------------------------------------------------------------------------------------


async def test_a_few_pass_in_a_turn_and_the_others_in_their_order() -> None:
    turnstile, passed = Turnstile(), list[int]()
    at_once = sum(turnstile.passes() for _ in range(3 * AT_ONCE))
    for number in range(3 * AT_ONCE):
        turnstile.wait(partial(passed.append, number))
    assert (at_once, passed) == (AT_ONCE, [])
    for turn in range(1, 4):
        await asyncio.sleep(0)
        assert passed == list(range(turn * AT_ONCE))
        assert not turnstile.passes()
    await asyncio.sleep(0)
    assert turnstile.passes()


async def test_a_storm_of_heads_is_answered_and_nobody_is_forgotten(
    lone: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads in two halves, the second of which may come while the first one waits."""
    monkeypatch.setattr(admission, "AT_ONCE", 2)
    async with AsyncExitStack() as stack:
        pipes = [await stack.enter_async_context(plain(lone)) for _ in range(50)]
        for half in (GET[:20], GET[20:]):
            for _, writer in pipes:
                writer.write(half)
        leaving, staying = pipes[::5], [p for n, p in enumerate(pipes) if n % 5]
        for _, writer in leaving:
            writer.transport.abort()
        for reader, _ in staying:
            assert b" 200 " in await head(reader)
        async with lone.tab():
            pass
        assert len(lone.door) == 0


async def test_many_browsers_that_go_at_once_are_all_gone(
    lone: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "AT_ONCE", 2)
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(lone.tab()) for _ in range(30)]
        assert await lone.metric("connections") == len(tabs)
        for browser in tabs:
            browser.socket.transport.abort()

        async def all_gone() -> bool:
            return await lone.metric("connections") + await lone.metric("sessions") == 0

        await eventually(all_gone)


# -- the connection limit -----------------------------------------------------------------------


async def test_many_handshakes_at_once_do_not_exceed_the_limit(brisk: LiveNode) -> None:
    async with AsyncExitStack() as stack:
        opening = [stack.enter_async_context(raw_socket(brisk.url)) for _ in range(8 * LIMIT)]
        browsers = await asyncio.gather(*opening)
        first = await asyncio.gather(*(browser.frame() for browser in browsers))
        refused = [payload for opcode, payload in first if opcode == CLOSE]
        assert len(refused) == 7 * LIMIT
        assert {int.from_bytes(payload[:2], "big") for payload in refused} == {1013}


async def test_who_was_refused_and_stays_is_cut(brisk: LiveNode) -> None:
    """A close frame that is not answered holds the connection no longer than a head may."""
    async with AsyncExitStack() as stack:
        for _ in range(LIMIT):
            await stack.enter_async_context(raw_socket(brisk.url))
        async with raw_socket(brisk.url) as refused, asyncio.timeout(10):
            assert await refused.close_code() == 1013
            await is_ended(refused.reader)


# -- pings --------------------------------------------------------------------------------------


async def flood(browser: RawSocket) -> None:
    """Send pings as fast as they are taken, and read nothing."""
    while True:
        for _ in range(100):
            browser.send(b"p" * 125, PING)
        await browser.writer.drain()


async def test_pings_count_as_frames(lone: LiveNode) -> None:
    async with raw_socket(lone.url) as browser, asyncio.timeout(10):
        for _ in range(101):
            browser.send(b"", PING)
        assert await browser.close_code() == 4290


async def test_a_ping_flood_without_reading_ends(
    monkeypatch: pytest.MonkeyPatch, lone: LiveNode
) -> None:
    monkeypatch.setattr(sockets, "LINGER_S", SHORT_S)
    async with raw_socket(lone.url) as browser, asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            await flood(browser)


# -- bodies -------------------------------------------------------------------------------------


async def test_a_body_that_stalls_is_408(monkeypatch: pytest.MonkeyPatch, lone: LiveNode) -> None:
    monkeypatch.setattr(bodies, "BODY_STALL_S", SHORT_S)
    async with plain(lone) as (reader, writer):
        writer.write(post(length=1000) + b"{")
        assert b" 408 " in await head(reader)


async def test_a_body_is_not_awaited_from_who_may_not_publish(lone: LiveNode) -> None:
    async with plain(lone) as (reader, writer):
        writer.write(post(length=8 << 20, token="wrong"))
        assert b" 401 " in await head(reader)


async def test_a_declared_giant_is_refused_before_it_comes(lone: LiveNode) -> None:
    async with plain(lone) as (reader, writer):
        writer.write(post(length=(8 << 20) + 1))
        assert b" 413 " in await head(reader)


async def test_large_bodies_at_once_are_bounded_in_sum(lone: LiveNode) -> None:
    """The ninth of 8 MiB is 429, and there is room again when one of the eight goes."""
    async with AsyncExitStack() as stack:
        pipes = [await stack.enter_async_context(plain(lone)) for _ in range(8)]
        for _, writer in pipes:
            writer.write(post(length=8 << 20) + b"[")

        async def is_refused() -> bool:
            async with plain(lone) as (reader, writer):
                writer.write(post(length=8 << 20))
                try:
                    async with asyncio.timeout(0.2):
                        answer = await reader.readuntil(b"\r\n\r\n")
                except TimeoutError:
                    return False
                assert b"retry-after:" in answer.lower()
                return b" 429 " in answer

        await eventually(is_refused)
        pipes[0][1].transport.abort()

        async def has_room() -> bool:
            return (await lone.post({"sid": "s" * 22, "message": 1}))[0] == 202

        await eventually(has_room)
