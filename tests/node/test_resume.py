"""A browser that comes back, or late, gets what it has not seen: no gap, and nothing twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import pytest

from deploy.local import Node, free_port
from progress_ws import Publisher, new_sid
from progress_ws.core import holes
from tests.node.conftest import LiveNode, Start, answer, say, still_serves
from tests.support.server import connected
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

LAST = "the last one"

Put = Callable[..., Awaitable[None]]


async def frames_until(browser: Tab, last: object) -> list[dict[str, Any]]:
    """The frames up to and with the message `last`."""
    frames = [await browser.frame()]
    while frames[-1].get("message") != last:
        frames.append(await browser.frame())
    return frames


def values(frames: list[dict[str, Any]]) -> list[Any]:
    return [frame["message"] for frame in frames if frame["type"] == "message"]


async def test_a_browser_that_comes_late_sees_the_current_state(node: LiveNode) -> None:
    sid = new_sid()
    for n in range(3):
        await node.send(sid, n)
    await node.send(sid, "10 %", key="report")
    await node.heard(await node.send(sid, "20 %", key="report"))
    async with node.tab(sid=sid) as browser:
        assert "recovered" not in browser.welcome
        frames = [await browser.frame() for _ in range(4)]
        assert values(frames) == [0, 1, 2, "20 %"]
        assert all(frame["replay"] is True for frame in frames)
        await node.send(sid, "live")
        frame = await browser.frame()
        assert frame["message"] == "live"
        assert "replay" not in frame


async def test_a_browser_that_comes_back_gets_what_it_missed_and_no_more(node: LiveNode) -> None:
    async with node.tab() as before:
        sid = before.sid
        ids = [await node.send(sid, n) for n in range(4)]
        assert await before.values_until(3) == [0, 1, 2]
    async with node.tab(sid=sid, after=ids[1]) as browser:
        assert browser.welcome["recovered"] is True
        assert values(await frames_until(browser, 3)) == [2, 3]
        assert await still_serves(browser)


async def test_an_empty_position_is_none(node: LiveNode) -> None:
    sid = new_sid()
    await node.send(sid, LAST)
    async with node.tab(sid=sid, after="") as browser:
        assert "recovered" not in browser.welcome
        assert (await browser.frame())["message"] == LAST


async def test_nobody_knows_what_follows_an_unknown_id(node: LiveNode) -> None:
    sid = new_sid()
    await node.send(sid, LAST)
    async with node.tab(sid=sid, after="nobody-7") as browser:
        assert browser.welcome["recovered"] is False
        assert (await browser.frame())["message"] == LAST


async def test_what_a_browser_saw_elsewhere_first_does_not_come_again(node: LiveNode) -> None:
    sid = new_sid()
    publisher, _, seq = (await node.heard(await node.send(sid, 1))).rpartition("-")
    async with node.tab(sid=sid, after=f"{publisher}-{int(seq) + 1}") as browser:
        assert browser.welcome["recovered"] is True
        await node.send(sid, "seen already")
        await node.send(sid, LAST)
        assert await browser.values_until(LAST) == []


async def test_follow_resumes_and_following_again_replays_again(node: LiveNode) -> None:
    sid = new_sid()
    ids = [await node.heard(await node.send(sid, n)) for n in range(3)]
    async with node.tab(sid="") as browser:
        followed = await answer(browser, "follow", sid=sid, after=[ids[0]])
        assert followed == {"type": "followed", "sid": sid, "recovered": True}
        assert [(await browser.frame())["message"] for _ in range(2)] == [1, 2]
        followed = await answer(browser, "follow", sid=sid)
        assert followed == {"type": "followed", "sid": sid}
        assert [(await browser.frame())["message"] for _ in range(3)] == [0, 1, 2]
        assert await still_serves(browser)


async def test_who_unfollows_in_the_middle_of_a_replay_gets_no_more(lone: LiveNode) -> None:
    sid = new_sid()
    for n in range(200):
        await lone.send(sid, "x" * 30_000 + str(n))
    async with lone.tab(sid="") as browser:
        await say(browser, "follow", sid=sid)
        await say(browser, "unfollow", sid=sid)
        count = 0
        while (frame := await browser.frame())["type"] != "unfollowed":
            count += frame["type"] == "message"
        assert count < 200
        assert await still_serves(browser)


@pytest.mark.parametrize("count", [2, 5])
async def test_messages_during_a_replay_come_once_and_in_order(node: LiveNode, count: int) -> None:
    """Several tabs resume at once while a publisher goes on; large values make replays long."""
    sid = new_sid()
    for n in range(150):
        await node.send(sid, f"{n} " + "x" * 20_000)

    async def resume() -> list[int]:
        async with node.tab(sid=sid) as browser:
            return [int(str(v).split()[0]) for v in await browser.values_until(LAST)]

    async def go_on() -> None:
        for n in range(150, 300):
            await node.send(sid, f"{n} " + "x" * 20_000)
        await node.send(sid, LAST)

    results = await asyncio.gather(*(resume() for _ in range(count)), go_on())
    assert results[:-1] == [list(range(300))] * count


async def test_a_run_ends_with_its_final_message(node: LiveNode) -> None:
    sid = new_sid()
    async with node.tab(sid=sid) as browser:
        await node.send(sid, "a", key="k", run="1")
        await node.send(sid, "end of 1", key="k", run="1", final=True)
        await node.send(sid, "too late", key="k", run="1")
        await node.send(sid, "of an older run", key="k", run="0", final=True)
        await node.send(sid, "b", key="k", run="2")
        await node.send(sid, "end of 2", key="k", run="2", final=True)
        await node.send(sid, LAST)
        live = await browser.values_until(LAST)
    assert [value for value in live if value not in ("a", "b")] == ["end of 1", "end of 2"]
    async with node.tab(sid=sid) as late:
        assert await late.values_until(LAST) == ["end of 2"]


async def test_the_article_s_front_ends_get_what_is_retained_too(lone: LiveNode) -> None:
    sid = new_sid()
    await lone.send(sid, "one")
    await lone.send(sid, {"two": 2})
    address = f"{lone.url}/websocket/progress?sid={sid}&format=text"
    async with lone.http.ws_connect(address) as browser:
        texts = [(await browser.receive_str(timeout=5)) for _ in range(3)]
        assert texts == [f"连接成功{sid}", "one", '{"two": 2}']


async def test_history_can_be_off(broker_url: str | None, start: Start) -> None:
    node = await start(amqp_url=broker_url, history_bytes=0)
    sid = new_sid()
    first = await node.heard(await node.send(sid, "gone"))
    async with node.tab(sid=sid, after=first) as browser:
        assert browser.welcome["recovered"] is False
        await node.send(sid, LAST)
        assert await browser.values_until(LAST) == []


async def test_what_is_too_old_is_gone_and_a_browser_is_told(
    broker_url: str | None, start: Start
) -> None:
    node = await start(amqp_url=broker_url, history_seconds=1)
    sid = new_sid()
    first = await node.send(sid, 1)
    await node.send(sid, 2)

    async def forgotten() -> bool:
        return await node.metric("history_messages") == 0

    await eventually(forgotten)
    async with node.tab(sid=sid, after=first) as browser:
        assert browser.welcome["recovered"] is False
        assert await still_serves(browser)


async def test_the_metrics_tell_what_is_retained(node: LiveNode) -> None:
    before = await node.metric("history_bytes")
    await node.heard(await node.send(new_sid(), "x" * 1000))
    assert await node.metric("history_messages") >= 1
    assert await node.metric("history_sessions") >= 1
    assert await node.metric("history_bytes") > before + 1000


async def test_a_repetition_through_another_publisher_is_dropped(node: LiveNode) -> None:
    """And its id is as good as the first one's for whoever saw it elsewhere."""
    sid = new_sid()
    async with node.tab(sid=sid) as browser:
        await node.send(sid, "once", dedupe="d")
        again = await node.send(sid, "once", dedupe="d")
        await node.send(sid, "other", dedupe="e")
        await node.send(sid, LAST)
        assert await browser.values_until(LAST) == ["once", "other"]
    async with node.tab(sid=sid, after=again) as browser:
        assert await browser.values_until(LAST) == ["other"]


# -- several nodes, and what is lost on its way --------------------------------------------------


@pytest.fixture
async def put(amqp_url: str) -> Put:
    """Publish to the exchange: `await put(sid, value, id=…)`; `to=` a queue instead."""

    async def put(sid: str, value: object, *, to: str = "", type: str = "", **f: object) -> None:
        body = json.dumps({"sid": sid, "message": value} | f if sid else f).encode()
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            exchange = channel.default_exchange
            if not to:
                exchange = await channel.get_exchange("progress-ws")
            message = aio_pika.Message(body, type=type or None)
            await exchange.publish(message, to)

    return put


@pytest.mark.broker
async def test_any_node_resumes_any_browser(amqp_url: str, start: Start) -> None:
    a, b = await start(amqp_url=amqp_url, node="a"), await start(amqp_url=amqp_url, node="b")
    async with Publisher(amqp_url) as publisher:
        async with a.tab() as before:
            sid = before.sid
            ids = [await publisher.send(sid, n) for n in range(5)]
            await frames_until(before, 4)
        for node in (b, a):
            await node.heard(ids[-1])
            async with node.tab(sid=sid, after=ids[1]) as browser:
                assert browser.welcome["recovered"] is True
                assert values(await frames_until(browser, 4)) == [2, 3, 4]


@pytest.mark.broker
async def test_a_node_knows_what_was_before_it(amqp_url: str, start: Start) -> None:
    """Also when the browser comes with a position from before the node was born."""
    await start(amqp_url=amqp_url, node="a")
    sid = new_sid()
    async with Publisher(amqp_url) as publisher:
        ids = [await publisher.send(sid, n) for n in range(5)]
        young = await start(amqp_url=amqp_url, node="young")
        async with young.tab(sid=sid, after=ids[2]) as browser:
            assert browser.welcome["recovered"] is True
            await publisher.send(sid, LAST)
            assert await browser.values_until(LAST) == [3, 4]


@pytest.mark.broker
async def test_a_hole_is_filled_from_the_stream(
    amqp_url: str, start: Start, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the stream has got, as when a node's queue lost its head."""
    monkeypatch.setattr(holes, "HOLD_S", 60.0)  # however slow the machine is
    p = new_sid()  # the suite's stream remembers other tests
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        sid = browser.sid
        await put(sid, 1, id=f"{p}-1")
        await put(sid, 2, id=f"{p}-2", to="progress-ws.history")
        await put(sid, "old", id=f"{p}-3", key="k", to="progress-ws.history")
        await put(sid, "new", id=f"{p}q-1", key="k")
        await put(sid, 4, id=f"{p}-4")
        await put(sid, LAST, id=f"{p}-5")
        frames = await frames_until(browser, LAST)
        own = [frame["message"] for frame in frames if frame["id"].startswith(f"{p}-")]
        assert own == [1, 2, 4, LAST], "what is outdated stays away, the others come in order"
        assert all(frame["type"] == "message" for frame in frames)
    async with node.tab(sid=sid, after=f"{p}-1") as browser:
        assert browser.welcome["recovered"] is True
        assert set(values(await frames_until(browser, LAST))) == {2, "new", 4, LAST}


@pytest.mark.broker
async def test_a_hole_that_nobody_can_fill_holds_nothing_up(
    amqp_url: str, start: Start, put: Put
) -> None:
    p = new_sid()  # the suite's stream remembers other tests
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        await put(browser.sid, 7, id=f"{p}-7")
        await put(browser.sid, LAST, id=f"{p}-9")
        async with asyncio.timeout(5):
            assert values(await frames_until(browser, LAST)) == [7, LAST]

        async def mended() -> bool:
            return await node.metric("holes") == 0

        await eventually(mended)
        assert await still_serves(browser)


@pytest.mark.broker
@pytest.mark.parametrize("teller", ["progress-ws.last", "progress-ws.heartbeat"])
async def test_a_loss_at_the_very_end_is_noticed(
    amqp_url: str, start: Start, put: Put, teller: str
) -> None:
    """By what its publisher says once more, or by what other nodes have heard."""
    p = new_sid()  # the suite's stream remembers other tests
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        await put(browser.sid, 1, id=f"{p}-1")
        await put(browser.sid, LAST, id=f"{p}-2", to="progress-ws.history")
        if teller == "progress-ws.last":
            await put("", None, type=teller, publisher=p, seq=2)
        else:
            beat = {"node": "n", "instance": "i", "version": "1", "connections": 0, "sessions": 0}
            await put("", None, type=teller, **beat, last=[[p, 2]])
        assert values(await frames_until(browser, LAST)) == [1, LAST]


@pytest.mark.broker
async def test_a_void_is_nothing(amqp_url: str, start: Start, put: Put) -> None:
    p = new_sid()  # the suite's stream remembers other tests
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        await put(browser.sid, 1, id=f"{p}-1")
        await put("", None, id=f"{p}-2", void=True)
        await put(browser.sid, LAST, id=f"{p}-3")
        assert values(await frames_until(browser, LAST)) == [1, LAST]
        assert await node.metric("messages_rejected_total") == 0
        assert await node.metric("repairs_total") == 0


async def test_a_browser_that_leaves_while_a_node_starts_is_no_error(
    node_process: Callable[..., Node],
) -> None:
    """A node that has not heard anything yet lets browsers wait a moment for what it will know."""
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    node = node_process(amqp_url=nowhere, wait=False)
    await eventually(lambda: node.status("/healthz") == 200)
    async with connected(node.port) as (_, writer):
        writer.write(
            b"GET /websocket/progress?after=p-1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await writer.drain()
    async with tab(node.url, after="p-1") as browser:  # it waits as long, and then is served
        assert browser.welcome["recovered"] is False
    assert "Traceback" not in node.output
