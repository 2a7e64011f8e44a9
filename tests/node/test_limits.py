"""What a browser may ask of a node, and how one that asks too much harms itself only."""

import asyncio
import json
import os
from contextlib import AsyncExitStack

import pytest

from progress_ws.node import sockets, wire
from tests.node.conftest import LiveNode, Start, answer, say, still_serves
from tests.node.rawsocket import PING, PONG, RawSocket, raw_socket
from tests.support.tab import Tab
from tests.support.waiting import eventually

FRAME_MAX_BYTES = 16 * 1024
FRAMES_MAX = 100
LAST = "the last one"


def padded_ping(size: int, filler: str = "x") -> str:
    """A `ping` of exactly this many bytes."""
    bare = len(json.dumps({"type": "ping", "pad": ""}).encode())
    pad = filler * ((size - bare) // len(filler.encode()))
    pad += "x" * (size - bare - len(pad.encode()))
    frame = json.dumps({"type": "ping", "pad": pad}, ensure_ascii=False)
    assert len(frame.encode()) == size
    return frame


async def is_counted(node: LiveNode, code: int) -> None:
    """Wait until one socket was closed with this code."""

    async def count() -> bool:
        return await node.metric("closes_total", code=str(code)) == 1

    await eventually(count)


# -- the size of a frame ----------------------------------------------------------------------


@pytest.mark.parametrize("filler", ["x", "中", "😀"])
async def test_the_largest_frame_is_taken(lone: LiveNode, filler: str) -> None:
    """16 KiB, counted in bytes."""
    async with lone.tab() as browser:
        await browser.socket.send(padded_ping(FRAME_MAX_BYTES, filler))
        assert (await browser.frame())["type"] == "pong"


@pytest.mark.parametrize("filler", ["x", "中"])
async def test_a_larger_frame_is_1009(lone: LiveNode, filler: str) -> None:
    """One byte more closes the socket."""
    async with lone.tab() as browser:
        await browser.socket.send(padded_ping(FRAME_MAX_BYTES + 1, filler))
        assert await browser.close_code() == 1009
    await is_counted(lone, 1009)


async def test_fragments_make_one_frame(lone: LiveNode) -> None:
    """A frame in many pieces is the same frame, and as large as it may be."""
    async with lone.tab() as browser:
        frame = padded_ping(FRAME_MAX_BYTES)
        await browser.socket.send([frame[i : i + 1000] for i in range(0, len(frame), 1000)])
        assert (await browser.frame())["type"] == "pong"
        await browser.socket.send(list('{"type": "ping"}'))
        assert (await browser.frame())["type"] == "pong"


async def test_fragments_do_not_evade_the_limit(lone: LiveNode) -> None:
    """Pieces that are small each are 1009 as soon as together they are too large."""
    async with lone.tab() as browser:
        frame = padded_ping(FRAME_MAX_BYTES + 1)
        await browser.socket.send([frame[i : i + 1000] for i in range(0, len(frame), 1000)])
        assert await browser.close_code() == 1009


@pytest.mark.parametrize("length", [FRAME_MAX_BYTES + 1, 2**31, 2**40, 2**63 - 1])
async def test_a_declared_giant_is_refused_at_once(lone: LiveNode, length: int) -> None:
    """The announcement is enough: nothing is kept for what would follow."""
    async with raw_socket(lone.url) as raw, asyncio.timeout(5):
        raw.send_head(length)
        assert await raw.close_code() == 1009


# -- the number of frames ---------------------------------------------------------------------


async def test_a_hundred_frames_in_ten_seconds(lone: LiveNode) -> None:
    """The hundredth is answered, the next one is 4290; another socket notices nothing."""
    async with lone.tab() as eager, lone.tab(sid=eager.sid) as calm:
        for _ in range(FRAMES_MAX):
            await say(eager, "ping")
        for _ in range(FRAMES_MAX):
            assert (await eager.frame())["type"] == "pong"
        await say(eager, "ping")
        assert await eager.close_code() == 4290
        await lone.send(calm.sid, LAST)
        assert await calm.values_until(LAST) == []
    await is_counted(lone, 4290)


@pytest.mark.parametrize("frame", ["not JSON", b"binary", '{"type":"unknown"}'])
@pytest.mark.parametrize("format_", ["json", "text"])
async def test_every_frame_counts(lone: LiveNode, frame: str | bytes, format_: str) -> None:
    """Also what is wrong, unknown or ignored."""
    async with raw_socket(lone.url, f"/websocket/progress?format={format_}") as raw:
        payload, opcode = (frame, 2) if isinstance(frame, bytes) else (frame.encode(), 1)
        for _ in range(FRAMES_MAX + 1):
            raw.send(payload, opcode)
        async with asyncio.timeout(5):
            assert await raw.close_code() == 4290


async def test_protocol_pings_are_answered(lone: LiveNode) -> None:
    """RFC 6455, section 5.5.2: a pong carries the payload of its ping."""
    async with raw_socket(lone.url) as raw, asyncio.timeout(5):
        await raw.frame()  # welcome
        raw.send(b"are you there?", PING)
        assert await raw.frame() == (PONG, b"are you there?")


# -- the number of sockets --------------------------------------------------------------------


async def test_a_full_node_says_come_back_later(start: Start) -> None:
    """One socket too many is 1013; as soon as one goes, there is room again."""
    node = await start(max_connections=3)
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(node.tab()) for _ in range(3)]
        assert (await node.refusal())[0] == 1013
        assert await node.metric("connections") == 3
        for browser in tabs:
            assert await still_serves(browser)

        await tabs[0].socket.close()

        async def has_room() -> bool:
            return await node.metric("connections") == 2

        await eventually(has_room)
        await stack.enter_async_context(node.tab())
    await is_counted(node, 1013)


# -- slow readers -----------------------------------------------------------------------------


async def flood(node: LiveNode, sid: str, *, total_bytes: int) -> int:
    """Publish that much in messages of 60 KiB, each with its number in front; how many."""
    sizes = 60 * 1024
    count = total_bytes // sizes
    for first in range(0, count, 100):
        batch = [
            {"sid": sid, "message": f"{n:06}" + "x" * (sizes - 6)}
            for n in range(first, min(first + 100, count))
        ]
        status, _ = await node.post(batch)
        assert status == 202
    return count


async def numbers_until_last(browser: Tab) -> list[int]:
    """The numbers in front of the messages of `flood`."""
    return [int(value[:6]) for value in await browser.values_until(LAST)]


async def test_a_stalled_reader_is_let_go_and_others_notice_nothing(node: LiveNode) -> None:
    """Past its bound it is closed with 4001, after what it had not read yet; others get it all."""
    async with node.tab() as healthy, raw_socket(node.url, _path(healthy.sid)) as stalled:
        reading = asyncio.create_task(numbers_until_last(healthy))
        count = await flood(node, healthy.sid, total_bytes=24 * 1024 * 1024)
        await node.send(healthy.sid, LAST)
        assert await reading == list(range(count))
        assert await still_serves(healthy)
        async with asyncio.timeout(20):
            assert await stalled.close_code() == 4001
    await is_counted(node, 4001)


async def test_too_many_small_messages_are_a_slow_reader_too(lone: LiveNode) -> None:
    """What waits is bounded in number as well as in bytes."""
    async with raw_socket(lone.url) as stalled:
        sid = await _sid(stalled)
        for _ in range(30):
            assert (await lone.post([{"sid": sid, "message": "x" * 100}] * 1000))[0] == 202
        async with asyncio.timeout(20):
            assert await stalled.close_code() == 4001


async def test_updates_of_a_key_make_no_reader_slow(lone: LiveNode) -> None:
    """However many there are: only the newest of each key waits."""
    async with raw_socket(lone.url) as stalled:
        sid = await _sid(stalled)
        big = "x" * 60_000
        for first in range(0, 600, 100):
            batch = [
                {"sid": sid, "message": f"{n:06}{big}", "key": f"bar {n % 3}"}
                for n in range(first, first + 100)
            ]
            assert (await lone.post(batch))[0] == 202
        await lone.send(sid, LAST)
        got = []
        async with asyncio.timeout(20):
            while (message := json.loads((await stalled.frame())[1])["message"]) != LAST:
                got.append(int(message[:6]))
        assert got == sorted(got)
        assert set(got) >= {597, 598, 599}
        assert len(got) < 100


@pytest.mark.parametrize(
    ("total_bytes", "stalled_after_s"),
    [
        pytest.param(24 * 1024 * 1024, 3600, id="more waits than the bound allows"),
        pytest.param(8 * 1024 * 1024, 0.3, id="one write does not end"),
    ],
)
async def test_a_reader_that_never_reads_again_is_cut_off(
    start: Start, monkeypatch: pytest.MonkeyPatch, total_bytes: int, stalled_after_s: float
) -> None:
    """A close frame that it will never read does not keep the socket for ever."""
    for module in (sockets, wire):
        monkeypatch.setattr(module, "STALLED_AFTER_S", stalled_after_s)
    monkeypatch.setattr(sockets, "LINGER_S", 0.3)
    node = await start()
    async with raw_socket(node.url) as stalled:
        await flood(node, await _sid(stalled), total_bytes=total_bytes)
        await is_counted(node, 4001)
        assert await node.metric("connections") == 0
        assert await node.metric("sessions") == 0


async def test_a_slow_but_steady_reader_is_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow is not stalled: who takes something now and then gets everything."""
    for module in (sockets, wire):
        monkeypatch.setattr(module, "STALLED_AFTER_S", 2.0)
    node = await start()
    async with raw_socket(node.url) as slow:
        sid = await _sid(slow)
        count = await flood(node, sid, total_bytes=6 * 1024 * 1024)
        async with asyncio.timeout(20):
            for n in range(count):
                message = json.loads((await slow.frame())[1])["message"]
                assert int(message[:6]) == n
                await asyncio.sleep(0.005)  # what makes it slow


def _path(sid: str) -> str:
    return f"/websocket/progress?sid={sid}"


async def _sid(raw: RawSocket) -> str:
    return str(json.loads((await raw.frame())[1])["sid"])


# -- garbage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_garbage_harms_nobody_else(lone: LiveNode, seed: int) -> None:
    """Random bytes instead of frames end that socket, with a code or without, and no other."""
    async with lone.tab() as other, raw_socket(lone.url) as raw:
        raw.writer.write(os.urandom(2000 + seed))
        raw.writer.write_eof()
        async with asyncio.timeout(5):
            await raw.reader.read()

        async def is_gone() -> bool:
            return await lone.metric("connections") == 1

        await eventually(is_gone)
        assert (await answer(other, "ping"))["type"] == "pong"
