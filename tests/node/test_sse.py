"""Server-sent events: the promise of a socket, for browsers that may not have one."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from deploy.local import Node
from progress_ws import Publisher, new_sid
from progress_ws.node import streams
from progress_ws.node.keys import HUB, SOCKETS
from tests.node.conftest import BEARER, TOKEN, LiveNode, Start, still_serves
from tests.support.events import Events, events
from tests.support.server import connected
from tests.support.waiting import eventually, stopwatch

LAST = "the last one"
END = "stream closed"
PATH = "/sse/progress"
ORIGIN = "https://app.example"


def stream(node: LiveNode, *sids: str, last_id: str = "", **headers: str) -> Any:
    """Open a stream of these sessions."""
    return events(node.url, [("sid", sid) for sid in sids], last_id=last_id, **headers)


def values(frames: list[dict[str, Any]]) -> list[Any]:
    return [frame["message"] for frame in frames if frame["type"] == "message"]


async def refusal(node: LiveNode, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    """The status and the problem that a request is answered with."""
    async with node.http.get(f"{PATH}?{query}", headers=headers) as answer:
        assert answer.content_type == "application/problem+json"
        return answer.status, await answer.json(content_type=None)


async def is_empty(node: LiveNode) -> None:
    """Wait until nothing of a browser is left."""

    async def empty() -> bool:
        return await node.metric("connections") + await node.metric("sessions") == 0

    await eventually(empty)


# -- what is told -----------------------------------------------------------------------------


async def test_the_welcome_then_what_is_retained_then_what_is_live(node: LiveNode) -> None:
    sid = new_sid()
    first = await node.heard(await node.send(sid, "retained"))
    async with stream(node, sid) as browser:
        welcome = await browser.frame()
        assert (welcome["type"], welcome["sid"], welcome["protocol"]) == ("welcome", sid, 1)
        assert welcome["ping_s"] == 25
        assert "recovered" not in welcome
        assert browser.last_id == ""
        frame = await browser.frame()
        assert (frame["message"], frame["replay"]) == ("retained", True)
        assert browser.last_id == frame["id"] == first
        await node.send(sid, "live")
        frame = await browser.frame()
        assert (frame["message"], frame.get("replay")) == ("live", None)
        assert browser.last_id == frame["id"]


async def test_the_answer_is_one_that_nobody_stores_or_holds_back(lone: LiveNode) -> None:
    async with stream(lone, new_sid()) as browser:
        headers = browser.answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        await browser.frame()
        assert 1_000 <= (browser.retry_ms or 0) <= 5_000


@pytest.mark.parametrize(
    "value",
    ["two\nlines", "\r\n\r\n", "\u2028\u2029\x85", "😀 中文", "data: x\n\nid: 7\n\n", "\0", ""],
)
async def test_a_text_arrives_as_it_is(lone: LiveNode, value: str) -> None:
    async with stream(lone, new_sid()) as browser:
        sid = (await browser.frame())["sid"]
        await lone.send(sid, value)
        frame = await browser.frame()
        assert frame["message"] == value
        assert browser.last_id == frame["id"]


async def test_line_ends_in_a_publishers_json_are_no_ends_of_lines(lone: LiveNode) -> None:
    sid = new_sid()
    body = b'{"sid":"%b","message":{"a":\n\n1,\r"b":\r\n[2,\n"\\n"]}}' % sid.encode()
    async with stream(lone, sid) as browser:
        await browser.frame()
        assert (await lone.post(body))[0] == 202
        assert (await browser.frame())["message"] == {"a": 1, "b": [2, "\n"]}


async def test_an_idle_stream_tells_that_it_lives(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_S", 0.2)
    node = await start()
    async with stream(node, new_sid()) as browser:
        await browser.frame()
        pongs = [await browser.frame() for _ in range(3)]
        assert [pong["type"] for pong in pongs] == ["pong"] * 3
        spans = [b["ts"] - a["ts"] for a, b in pairwise(pongs)]
        assert min(spans) > 0.1


async def test_who_falls_silent_is_told_and_has_no_position(node: LiveNode) -> None:
    sid = new_sid()
    async with stream(node, sid) as browser:
        await browser.frame()
        await node.send(sid, 1, key="report", stall_s=0.3)
        at = (await browser.frame())["id"]
        frame = await browser.frame()
        assert (frame["type"], frame["sid"], frame["key"]) == ("stalled", sid, "report")
        assert browser.last_id == at
    async with stream(node, sid, last_id=at) as browser:
        assert [(await browser.frame())["type"] for _ in range(2)] == ["welcome", "stalled"]


async def test_a_gap_is_told(lone: LiveNode) -> None:
    sid = new_sid()
    async with stream(lone, sid) as browser:
        await browser.frame()
        lone.app[HUB].gap(sid)
        assert await browser.frame() == {"type": "gap", "sid": sid}
        assert browser.last_id == ""


async def test_only_the_newest_of_a_key_waits(lone: LiveNode) -> None:
    sid = new_sid()
    async with stream(lone, sid) as browser:
        await browser.frame()
        many = [{"sid": sid, "message": n, "key": "bar"} for n in range(500)]
        assert (await lone.post([*many, {"sid": sid, "message": LAST}]))[0] == 202
        got = values(await browser.frames_until(LAST))
        assert got[-2:] == [499, LAST]
        assert got[:-1] == sorted(got[:-1])
        assert len(got) < 100


# -- coming back ------------------------------------------------------------------------------


async def test_the_last_event_id_resumes(node: LiveNode) -> None:
    sid = new_sid()
    ids = [await node.heard(await node.send(sid, n)) for n in range(3)]
    for how in ({"last_id": ids[0]}, {"after": ids[0]}):
        query = [("sid", sid), *((k, v) for k, v in how.items() if k == "after")]
        async with events(node.url, query, last_id=how.get("last_id", "")) as browser:
            assert (await browser.frame())["recovered"] is True
            await node.send(sid, LAST)
            assert [m for m in await browser.values_until(LAST) if m != LAST][:2] == [1, 2]
            assert browser.last_id.startswith(ids[0].rpartition("-")[0])


async def test_the_last_event_id_counts_more_than_the_url(node: LiveNode) -> None:
    """An EventSource comes back with the URL that it was made with."""
    sid = new_sid()
    ids = [await node.heard(await node.send(sid, n)) for n in range(3)]
    query = [("sid", sid), ("after", ids[0])]
    async with events(node.url, query, last_id=ids[2]) as browser:
        assert (await browser.frame())["recovered"] is True
        await node.send(sid, LAST)
        assert await browser.values_until(LAST) == []


async def test_a_position_that_nobody_knows_is_not_called_recovered(node: LiveNode) -> None:
    sid = new_sid()
    await node.send(sid, LAST)
    async with stream(node, sid, last_id="nobody-7") as browser:
        assert (await browser.frame())["recovered"] is False
        frame = await browser.frame()
        assert browser.last_id == f"nobody-7,{frame['id']}"


async def test_a_browser_that_knows_no_sid_comes_back_to_its_session(node: LiveNode) -> None:
    """Also if it was cut off before the first message."""
    async with stream(node) as browser:
        sid = (await browser.frame())["sid"]
        last_id = browser.last_id
    await node.send(sid, "meanwhile")
    for expected in (["meanwhile"], []):
        async with stream(node, last_id=last_id) as browser:
            assert (await browser.frame())["sid"] == sid
            end = await node.send(sid, LAST)
            assert await browser.values_until(LAST) == expected
            last_id = browser.last_id
            assert last_id == f"{sid}:{end}"
    async with stream(node, sid, last_id=last_id) as browser:
        assert (await browser.frame())["recovered"] is True, "the sid may be named, too"


async def test_several_sessions_on_one_stream(node: LiveNode) -> None:
    a, b, c = new_sid(), new_sid(), new_sid()
    ids = [await node.heard(await node.send(a, n)) for n in range(2)]
    query = [("sid", a), ("after", ids[0]), ("sid", b), ("after", ""), ("sid", c), ("after", "")]
    async with events(node.url, query) as browser:
        welcome, *followed = [await browser.frame() for _ in range(3)]
        assert (welcome["sid"], welcome["recovered"]) == (a, True)
        assert followed == [{"type": "followed", "sid": sid} for sid in (b, c)]
        assert (await browser.frame())["message"] == 1
        assert browser.last_id == f"{ids[1]};;"
        of_c = await node.send(c, "c")
        await browser.frame()
        of_b = await node.send(b, LAST)
        await browser.frame()
        assert browser.last_id == f"{ids[1]};{of_b};{of_c}"
        last_id = browser.last_id
    async with stream(node, a, b, c, last_id=last_id) as browser:
        assert [(await browser.frame())["recovered"] for _ in range(3)] == [True] * 3
        await node.send(b, LAST)
        assert [(f["sid"], f["message"]) for f in await browser.frames_until(LAST)] == [(b, LAST)]


async def test_a_stream_may_begin_without_a_session_of_its_own(lone: LiveNode) -> None:
    sid = new_sid()
    async with stream(lone, "") as browser:
        assert "sid" not in await browser.frame()
        assert browser.last_id == ""
    async with stream(lone, "", sid) as browser:
        assert "sid" not in await browser.frame()
        assert await browser.frame() == {"type": "followed", "sid": sid}
        name = await lone.send(sid, 1)
        await browser.frame()
        assert browser.last_id == f";{name}"


async def read_some(browser: Events, count: int, seen: dict[str, list[dict[str, Any]]]) -> bool:
    """Take so many messages; whether the very last has come."""
    while count:
        frame = await browser.frame()
        if frame["type"] == "message":
            seen[frame["sid"]].append(frame)
            count -= 1
            if frame["message"] == LAST:
                return True
        else:
            assert frame["type"] in ("welcome", "followed")
            assert frame.get("recovered") is not False
    return False


@pytest.mark.broker
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
async def test_nothing_is_lost_and_nothing_comes_twice_from_node_to_node(
    amqp_url: str, start: Start, seed: int
) -> None:
    """Cut off anywhere in the replays of three sessions, while four publishers go on."""
    draw = random.Random(seed)
    nodes = [await start(amqp_url=amqp_url, node=name) for name in "ab"]
    sids = [new_sid() for _ in range(3)]
    seen: dict[str, list[dict[str, Any]]] = {sid: [] for sid in sids}
    sent: dict[str, list[str]] = {sid: [] for sid in sids}

    async def publish(publisher: Publisher, name: int) -> None:
        for n in range(60):
            sid = draw.choice(sids)
            padding = "x" * draw.choice([1, 100, 20_000])
            sent[sid].append(await publisher.send(sid, f"{name} {n} {padding}"))
            await publisher.send(sid, n, key=f"bar {name}")

    async def browse() -> None:
        last_id, hop = "", 0
        while True:
            hop += 1
            async with stream(nodes[hop % 2], *sids, last_id=last_id) as browser:
                is_over = await read_some(browser, draw.randint(1, 25), seen)
                last_id = browser.last_id
            if is_over:
                return

    async with AsyncExitStack() as stack:
        publishers = [await stack.enter_async_context(Publisher(amqp_url)) for _ in range(4)]
        browsing = asyncio.create_task(browse())
        await asyncio.gather(*(publish(each, n) for n, each in enumerate(publishers)))
        for sid in sids[:2]:
            sent[sid].append(await publishers[0].send(sid, "nearly"))

        def has_nearly_all() -> bool:
            got = {frame["id"] for frames in seen.values() for frame in frames}
            return {id_ for ids in sent.values() for id_ in ids} <= got

        await eventually(has_nearly_all, 30)
        sent[sids[2]].append(await publishers[1].send(sids[2], LAST))
        await browsing
    for sid, frames in seen.items():
        ids = [frame["id"] for frame in frames]
        assert len(ids) == len(set(ids)), "twice"
        assert [i for i in ids if i in set(sent[sid])] != [], "nothing came"
        assert set(sent[sid]) <= set(ids), "lost"
        by_publisher: dict[str, list[int]] = {}
        for publisher, _, seq in (id_.rpartition("-") for id_ in ids):
            by_publisher.setdefault(publisher, []).append(int(seq))
        assert all(seqs == sorted(seqs) for seqs in by_publisher.values()), "out of order"


@pytest.mark.parametrize("cut", range(6))
async def test_cut_off_within_a_replay(node: LiveNode, cut: int) -> None:
    sid, other = new_sid(), new_sid()
    for n in range(3):
        await node.send(sid, n)
        await node.send(other, n)
    seen: dict[str, list[dict[str, Any]]] = {sid: [], other: []}
    last_id = ""
    for count in (cut, 100):
        async with stream(node, sid, other, last_id=last_id) as browser:
            if count == 100:
                await node.send(other, LAST)
            await read_some(browser, count, seen)
            last_id = browser.last_id
    assert values(seen[sid]) == [0, 1, 2]
    assert values(seen[other]) == [0, 1, 2, LAST]


# -- refusals ---------------------------------------------------------------------------------

SID = "s" * 22


@pytest.mark.parametrize(
    ("query", "last_id"),
    [
        ("sid=short", ""),
        (f"sid={'s' * 129}", ""),
        (f"sid={SID}&sid=", ""),
        (f"sid={SID}&sid={SID}", ""),
        (f"sid={SID}&after=what", ""),
        (f"sid={SID}&after=p-1&after=p-2", ""),
        (f"sid={SID}&sid={'t' * 22}&after=p-1", ""),
        ("after=p-1&after=p-2", ""),
        (f"sid={SID}", "what"),
        (f"sid={SID}", "p-1;p-2"),
        (f"sid={SID}", f"{'t' * 22}:p-1"),
        ("", "short:"),
        ("", f"{SID}:p-1;q-1"),
        (f"sid={SID}&after=" + ",".join(f"p{n}-1" for n in range(65)), ""),
        ("&".join(f"sid={n:016}" for n in range(258)), ""),
    ],
)
async def test_what_makes_no_sense_is_400(lone: LiveNode, query: str, last_id: str) -> None:
    status, problem = await refusal(lone, query, **{"Last-Event-ID": last_id})
    assert (status, problem["status"]) == (400, 400)
    assert problem["detail"]
    assert await lone.metric("connections") == 0


async def test_an_unknown_field_is_ignored(lone: LiveNode) -> None:
    async with events(lone.url, [("sid", SID), ("format", "text"), ("x", "y")]) as browser:
        assert (await browser.frame())["type"] == "welcome"


async def test_head_and_other_methods(lone: LiveNode) -> None:
    async with lone.http.head(f"{PATH}?sid={SID}") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
    async with lone.http.post(PATH) as answer:
        assert (answer.status, answer.content_type) == (405, "application/problem+json")
    assert await lone.metric("connections") == 0


async def test_a_foreign_page_is_403(lone: LiveNode) -> None:
    status, _ = await refusal(lone, f"sid={SID}", Origin="https://evil.example")
    assert status == 403


async def test_an_allowed_page_gets_what_it_needs(start: Start) -> None:
    node = await start(allowed_origins=(ORIGIN,))
    async with stream(node, SID, Origin=ORIGIN) as browser:
        assert browser.answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert browser.answer.headers["Vary"] == "Origin"
    async with node.http.get(f"{PATH}?sid=short", headers={"Origin": ORIGIN}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (400, ORIGIN)
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
    async with node.http.options(PATH, headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 204
        assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]


async def test_streams_and_sockets_share_the_limit(start: Start) -> None:
    node = await start(max_connections=2)
    async with stream(node, SID) as browser, node.tab():
        await browser.frame()
        assert await node.metric("connections") == 2
        async with node.http.get(PATH) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert (await node.refusal())[0] == 1013
        assert await node.metric("closes_total", code="1013") == 2

    async def has_room() -> bool:
        return await node.metric("connections") == 0

    await eventually(has_room)
    async with stream(node, SID) as browser:
        await browser.frame()


async def test_a_draining_node_says_come_back(start: Start) -> None:
    node = await start()
    node.app[SOCKETS].draining = True
    async with node.http.get(PATH) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


# -- the end ----------------------------------------------------------------------------------


async def test_a_stream_counts_as_a_connection(node: LiveNode) -> None:
    async with stream(node, new_sid(), new_sid()) as browser:
        await browser.frame()
        assert await node.metric("connections") == 1
        assert await node.metric("sessions") == 2

        async def is_announced() -> bool:
            _, text = await node.get("/api/v1/cluster")
            return json.loads(text)["totals"]["connections"] == 1

        await eventually(is_announced)
    await is_empty(node)


@pytest.mark.parametrize("how", ["closed", "cut off"])
async def test_nothing_of_a_browser_that_leaves_stays(lone: LiveNode, how: str) -> None:
    """Though nothing is written to it, it is noticed at once."""
    sid = new_sid()
    async with connected(int(lone.url.rpartition(":")[2])) as (reader, writer):
        writer.write(f"GET {PATH}?sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(10):
            await reader.readuntil(b"welcome")
        assert await lone.metric("connections") == 1
        if how == "closed":
            writer.close()
        else:
            writer.transport.abort()
        await is_empty(lone)
    assert await lone.metric("closes_total", code="1005") == 1


async def test_what_is_said_during_a_stream_is_ignored(lone: LiveNode) -> None:
    """It is the connection's last answer, and what would queue behind it would queue for ever."""
    async with connected(int(lone.url.rpartition(":")[2])) as (reader, writer):
        request = f"GET {PATH}?sid={SID} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        writer.write(request)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: close" in head.lower()
            await reader.readuntil(b"welcome")
            for _ in range(1000):
                writer.write(request)
            await writer.drain()
            await lone.send(SID, LAST)
            await reader.readuntil(LAST.encode())
        assert await lone.metric("connections") == 1
        writer.close()
        await is_empty(lone)


async def flood(node: LiveNode, sid: str, *, count: int) -> None:
    """Publish so many MiB."""
    for _ in range(count):
        batch = [{"sid": sid, "message": "x" * 60_000}] * 17
        assert (await node.post(batch))[0] == 202


@pytest.mark.parametrize(
    ("count", "stalled_after_s"),
    [
        pytest.param(24, 3600, id="more waits than the bound allows"),
        pytest.param(8, 0.3, id="one write does not end"),
    ],
)
async def test_who_does_not_read_is_let_go_and_others_notice_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, count: int, stalled_after_s: float
) -> None:
    monkeypatch.setattr(streams, "STALLED_AFTER_S", stalled_after_s)
    monkeypatch.setattr(streams, "LINGER_S", 0.3)
    node = await start()
    async with (
        node.tab() as healthy,
        connected(int(node.url.rpartition(":")[2])) as (reader, writer),
    ):
        request = f"GET {PATH}?sid={healthy.sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        writer.write(request)
        await reader.readuntil(b"welcome")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        reading = asyncio.create_task(healthy.values_until(LAST))
        await flood(node, healthy.sid, count=count)
        await node.send(healthy.sid, LAST)
        assert len(await reading) == 17 * count

        async def is_let_go() -> bool:
            return await node.metric("closes_total", code="4001") == 1

        await eventually(is_let_go)
        assert await node.metric("connections") == 1
        assert await still_serves(healthy)


async def test_a_browser_that_vanished_is_noticed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes back from it, not even that something was received."""
    monkeypatch.setattr(streams, "DEAD_AFTER_MS", 500)
    node = await start()
    async with connected(int(node.url.rpartition(":")[2])) as (reader, writer):
        writer.write(f"GET {PATH}?sid={SID} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"welcome")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await flood(node, SID, count=8)  # the kernels take some of it, and then no more
        await is_empty(node)


async def test_a_stream_is_resumed_after_it_was_let_go(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALLED_AFTER_S", 0.3)
    node = await start()
    sid = new_sid()
    async with events(node.url, [("sid", sid)], buffer_bytes=40_000) as browser:
        await browser.frame()
        await flood(node, sid, count=7)
        await is_empty(node)
        seen = [frame["id"] for frame in await browser.end()]
        last_id = browser.last_id
    async with stream(node, sid, last_id=last_id) as browser:
        assert (await browser.frame())["recovered"] is True
        await node.send(sid, LAST)
        seen += [frame["id"] for frame in await browser.frames_until(LAST)]
    assert len(seen) == len(set(seen)) == 7 * 17 + 1


async def test_the_log_has_one_event_at_the_end(node_process: Callable[..., Node]) -> None:
    node = node_process()
    sid = new_sid()
    async with events(node.url, [("sid", sid)]) as browser:
        await browser.frame()

    def said() -> dict[str, Any] | None:
        return next(
            (dict(json.loads(line)) for line in node.output.splitlines() if END in line), None
        )

    line = await eventually(said)
    assert line is not None
    assert (line["code"], line["written"]) == (1005, 1)
    assert line["connection"]
    assert sid not in node.output


STREAMS = 12
#: So long that half of it is left after a pause of the machine.
DRAIN_S = 3


async def last_words(browser: Events, at: Callable[[], float]) -> tuple[float, list[Any]]:
    frames = await browser.end()
    return at(), values(frames)


async def test_a_drained_node_ends_its_streams_one_by_one(
    node_process: Callable[..., Node],
) -> None:
    node = node_process(drain_seconds=DRAIN_S, publish_token=TOKEN)
    sid = new_sid()
    at = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(node.url))
        browsers = [
            await stack.enter_async_context(events(node.url, [("sid", sid)]))
            for _ in range(STREAMS)
        ]
        for browser in browsers:
            await browser.frame()
        seconds = stack.enter_context(stopwatch())
        node.terminate()
        began = at()
        ends = [asyncio.create_task(last_words(browser, at)) for browser in browsers]

        async def is_draining() -> bool:
            async with http.get(PATH) as answer:
                return answer.status == 503

        await eventually(is_draining)
        body = {"sid": sid, "message": "meanwhile"}
        async with http.post("/api/v1/messages", json=body, headers=BEARER) as answer:
            assert answer.status == 202
        closed = sorted([await end for end in ends])
        assert seconds() < DRAIN_S + 1
        assert all((browser.retry_ms or 0) <= 1_000 for browser in browsers)
    await eventually(lambda: not node.alive, 5)
    assert node.returncode == 0
    times = [when - began for when, _ in closed]
    assert times[0] < DRAIN_S / 2 < times[-1]
    assert [messages for _, messages in closed[-3:]] == [["meanwhile"]] * 3


async def test_a_stalled_browser_does_not_keep_the_node(node_process: Callable[..., Node]) -> None:
    node = node_process(drain_seconds=0, publish_token=TOKEN)
    async with (
        connected(node.port) as (reader, writer),
        aiohttp.ClientSession(node.url) as http,
    ):
        writer.write(f"GET {PATH}?sid={SID} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"welcome")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(10):
            batch = [{"sid": SID, "message": "x" * 60_000}] * 16
            async with http.post("/api/v1/messages", json=batch, headers=BEARER) as answer:
                assert answer.status == 202
        node.terminate()
        await eventually(lambda: not node.alive)
        assert node.returncode == 0


async def test_a_browser_that_leaves_while_the_node_starts_is_no_error(
    start: Start, unheard: Callable[[], Awaitable[LiveNode]]
) -> None:
    """A node that has heard nothing yet lets browsers wait a moment for what it will know."""
    node = await unheard()
    async with connected(int(node.url.rpartition(":")[2])) as (_, writer):
        writer.write(f"GET {PATH}?sid={SID} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await writer.drain()
    async with stream(node, SID, last_id="p-1") as browser:
        assert (await browser.frame())["recovered"] is False
    await is_empty(node)


@pytest.fixture
def unheard(start: Start) -> Callable[[], Awaitable[LiveNode]]:
    """A node whose broker is away."""

    async def started() -> LiveNode:
        return await start(amqp_url="amqp://guest:guest@127.0.0.1:1/", ready=False)

    return started
