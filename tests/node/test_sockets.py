"""`GET /websocket/progress`: what a browser is told, and what may be asked of a socket."""

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest
from websockets.asyncio.client import connect

from progress_ws import new_sid
from progress_ws.node import upgrade
from tests.node.conftest import LiveNode, Start, answer, say, still_serves
from tests.support.waiting import eventually

SID = re.compile(r"[A-Za-z0-9._~-]{16,128}")
LAST = "the last one"


# -- the welcome ------------------------------------------------------------------------------


async def test_welcome_tells_what_a_client_needs(start: Start) -> None:
    """The first frame carries sid, node, protocol and ping interval, and nothing else."""
    node = await start(node="node-7")
    async with node.tab() as browser:
        sid = browser.welcome.pop("sid")
        assert SID.fullmatch(sid)
        assert browser.welcome == {
            "type": "welcome",
            "node": "node-7",
            "protocol": 1,
            "ping_s": 25,
        }


async def test_minted_sids_differ(lone: LiveNode) -> None:
    """Whoever brings no sid gets one of his own, of at least 128 random bits."""
    sids = set()
    for _ in range(20):
        async with lone.tab() as browser:
            sids.add(browser.sid)
    assert len(sids) == 20
    assert min(map(len, sids)) >= 22  # 128 bits in base 64


@pytest.mark.parametrize("sid", ["A" * 16, "z" * 128, "az.AZ_09~-._~--.", "----------------"])
async def test_a_given_sid_is_taken(lone: LiveNode, sid: str) -> None:
    """Every sid of the legal form may be brought along."""
    async with lone.tab(sid=sid) as browser:
        assert browser.sid == sid


async def test_an_empty_sid_attaches_to_nothing(lone: LiveNode) -> None:
    """With an empty sid no sid is told, and the socket gets what it follows."""
    async with lone.tab(sid="") as browser:
        assert "sid" not in browser.welcome
        sid = new_sid()
        assert await answer(browser, "follow", sid=sid) == {"type": "followed", "sid": sid}
        await lone.send(sid, "for the follower")
        assert (await browser.frame())["message"] == "for the follower"


@pytest.mark.parametrize(
    "sid",
    ["x", "a" * 15, "a" * 129, "a" * 15 + " ", "a" * 16 + "\n", "sid-with-/-slash", "中" * 16,
     "' OR 1=1 ;;; --", "a" * 16 + "\0"],
)  # fmt: skip
async def test_a_malformed_sid_is_refused(lone: LiveNode, sid: str) -> None:
    """4400 tells the application that coming back cannot help, and says why."""
    code, reason = await lone.refusal(sid=sid)
    assert code == 4400
    assert reason is not None
    assert "sid" in reason


@pytest.mark.parametrize("format_", ["xml", "JSON", "", "json,text"])
async def test_an_unknown_format_is_refused(lone: LiveNode, format_: str) -> None:
    """A format other than json and text is 4400."""
    code, reason = await lone.refusal(format=format_)
    assert (code, reason) == (4400, "format is json or text")


@pytest.mark.parametrize(
    "after",
    ["x", "-1", "p-", "p-0", "p-01", "p-1.5", "p--1 ", "p-9007199254740992", "p-１", "p-1,,q-1",
     "p-1,", "p 1-1", "p" * 65 + "-1", ",".join(f"p-{n}" for n in range(1, 66))],
)  # fmt: skip
async def test_a_malformed_position_is_refused(lone: LiveNode, after: str) -> None:
    """An `after` that holds anything but at most 64 ids is 4400."""
    code, reason = await lone.refusal(after=after)
    assert code == 4400
    assert reason is not None
    assert "after" in reason


@pytest.mark.parametrize(
    "after",
    ["p-1", "a-b-c-9007199254740991", "p--1", ",".join(f"p{n}-{n}" for n in range(1, 65))],
)
async def test_a_position_is_answered(lone: LiveNode, after: str) -> None:
    """Who brings a position learns whether anything may be missing; here it may."""
    async with lone.tab(after=after) as browser:
        assert browser.welcome["recovered"] is False


async def test_no_position_is_not_answered(lone: LiveNode) -> None:
    """An absent or empty `after` asks nothing, so nothing is said of it."""
    async with lone.tab() as first, lone.tab(after="") as second:
        assert "recovered" not in first.welcome
        assert "recovered" not in second.welcome


async def test_a_plain_request_is_no_upgrade(lone: LiveNode) -> None:
    """A GET that wants no WebSocket is the client's mistake."""
    status, _ = await lone.get("/websocket/progress")
    assert status in (400, 426)


# -- messages ---------------------------------------------------------------------------------


async def test_a_message_carries_what_applies_and_no_more(node: LiveNode) -> None:
    """Without key, run and final a frame has type, sid, message, id and ts."""
    async with node.tab() as browser:
        before = time.time()
        id_ = await node.send(browser.sid, {"rows": 10})
        frame = await browser.frame()
        assert before - 1 < frame.pop("ts") < time.time() + 1
        assert frame == {"type": "message", "sid": browser.sid, "message": {"rows": 10}, "id": id_}


async def test_a_message_keeps_key_run_and_final(node: LiveNode) -> None:
    """What the publisher said of a message is told to the browser."""
    async with node.tab() as browser:
        fields = {"key": "report", "run": "0001", "final": True}
        await node.send(browser.sid, "done", **fields)
        frame = await browser.frame()
        assert fields.items() <= frame.items()


async def test_every_tab_gets_every_message_in_order(node: LiveNode) -> None:
    """Several sockets of one sid each get each message once, as it was sent."""
    sid = new_sid()
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(node.tab(sid=sid)) for _ in range(5)]
        for start_ in range(0, 100, 20):
            batch = [{"sid": sid, "message": n} for n in range(start_, start_ + 20)]
            assert (await node.post(batch))[0] == 202
        await node.send(sid, LAST)
        for browser in tabs:
            assert await browser.values_until(LAST) == list(range(100))


async def test_numbers_of_a_publisher_rise(node: LiveNode) -> None:
    """The ids of the frames are the ids of the 202, and their numbers rise."""
    async with node.tab() as browser:
        ids = [await node.send(browser.sid, n) for n in range(10)]
        assert [(await browser.frame())["id"] for _ in ids] == ids
        publishers, numbers = zip(*(id_.rsplit("-", 1) for id_ in ids), strict=True)
        assert len(set(publishers)) == 1
        assert [int(n) for n in numbers] == sorted({int(n) for n in numbers})


async def test_nobody_gets_what_is_for_others(node: LiveNode) -> None:
    """Messages for another sid, however similar, do not come."""
    async with node.tab() as browser:
        for sid in (browser.sid + "x", browser.sid[:-1], browser.sid.swapcase()):
            await node.send(sid, "not for this one")
        await node.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == []


async def test_of_a_key_only_the_newest_matters(node: LiveNode) -> None:
    """In a burst, older updates of a key may be skipped, never the newest, nor one without key."""
    async with node.tab() as browser:
        batch = []
        for n in range(300):
            batch.append({"sid": browser.sid, "message": n, "key": "bar"})
            if n % 3 == 0:
                batch.append({"sid": browser.sid, "message": n})
        assert (await node.post(batch))[0] == 202
        await node.send(browser.sid, LAST)
        plain, keyed, numbers = [], [], []
        while (frame := await browser.frame())["message"] != LAST:
            (keyed if "key" in frame else plain).append(frame["message"])
            numbers.append(int(frame["id"].rpartition("-")[2]))
        assert plain == list(range(0, 300, 3))
        assert keyed[-1] == 299
        assert numbers == sorted(set(numbers))


# -- frames of the browser --------------------------------------------------------------------


async def test_ping_is_answered(lone: LiveNode) -> None:
    """A browser's script cannot see protocol pings, so it has a ping of its own."""
    async with lone.tab() as browser:
        pong = await answer(browser, "ping")
        assert abs(pong.pop("ts") - time.time()) < 5
        assert pong == {"type": "pong"}


async def test_what_is_unknown_is_ignored(lone: LiveNode) -> None:
    """A client of a later version may say what this node does not know."""
    async with lone.tab() as browser:
        await say(browser, "dance", sid="x", after=5)
        await say(browser, "", style="waltz")
        assert (await answer(browser, "ping", and_more={"deep": [1]}))["type"] == "pong"


@pytest.mark.parametrize(
    "frame",
    ["", "not JSON", "[]", "null", '"ping"', "5", "{}", '{"type": 1}', '{"type": null}',
     '{"type": "ping"', '{"type": "ping"} trailing', '{"type": "\\ud800"}', "[" * 16_000,
     '{"type":"follow","sid":"\\x"}', '{"type":"follow","sid":"\\udfff"}',
     b'{"type": "ping"}', b"", b"\xff\xfe"],
)  # fmt: skip
@pytest.mark.usefixtures("no_collector")
async def test_a_bad_frame_is_answered_and_forgiven(lone: LiveNode, frame: str | bytes) -> None:
    """What is no frame gets an error `bad_frame`; the socket stays open."""
    async with lone.tab() as browser:
        await browser.socket.send(frame)
        error = await browser.frame()
        assert error.pop("detail")
        assert error == {"type": "error", "code": "bad_frame"}
        assert await still_serves(browser)


@pytest.mark.usefixtures("no_collector")
async def test_a_frame_nested_as_deep_as_it_may_be_long_is_forgiven(lone: LiveNode) -> None:
    """Where the interpreter's stack holds it, it is a frame, with a bad sid: from 3.13 on."""
    async with lone.tab() as browser:
        await browser.socket.send('{"type":"follow","sid":' + "[" * 8000 + "]" * 8000 + "}")
        error = await browser.frame()
        assert (error["type"], error["code"]) in {("error", "bad_frame"), ("error", "bad_sid")}
        assert await still_serves(browser)


async def test_text_that_is_not_utf8_ends_the_socket(lone: LiveNode) -> None:
    """RFC 6455, section 8.1: such a frame fails the connection, with 1007."""
    async with lone.tab() as browser:
        await browser.socket.send(b'{"type": "\xff"}', text=True)
        assert await browser.close_code() == 1007


# -- the connection ---------------------------------------------------------------------------


async def test_no_compression(lone: LiveNode) -> None:
    """An offer to compress is not taken up: it would cost 90 KiB for each idle socket."""
    address = lone.url.replace("http", "ws", 1) + "/websocket/progress"
    async with connect(address, compression="deflate", proxy=None) as socket:
        assert socket.request is not None
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" in socket.request.headers
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


async def test_the_server_pings(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocol-level pings come at the interval, and whoever does not answer is let go."""
    monkeypatch.setattr(upgrade, "PING_S", 0.2)
    node = await start()
    async with node.http.ws_connect("/websocket/progress", autoping=False) as socket:
        assert (await socket.receive_json(timeout=5))["type"] == "welcome"
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        assert await node.metric("connections") == 1

        async def is_gone() -> bool:
            return await node.metric("connections") == 0

        await eventually(is_gone)


@pytest.mark.parametrize("how", ["closed", "gone without a word", "cut off"])
async def test_nothing_of_a_socket_stays(lone: LiveNode, how: str) -> None:
    """However a socket ends, it is detached from all its sessions."""
    async with lone.tab() as browser:
        await answer(browser, "follow", sid=new_sid())
        assert await lone.metric("connections") == 1
        assert await lone.metric("sessions") == 2
        if how == "closed":
            await browser.socket.close()
        elif how == "cut off":
            browser.socket.transport.abort()
        else:
            browser.socket.transport.write_eof()

        async def is_empty() -> bool:
            return await lone.metric("connections") == await lone.metric("sessions") == 0

        await eventually(is_empty)


async def test_many_sockets_come_and_go(lone: LiveNode) -> None:
    """Sockets that open, follow and close all at once leave no trace."""

    async def visit() -> None:
        async with lone.tab() as browser:
            await answer(browser, "follow", sid=new_sid())
            await lone.send(browser.sid, "hello")
            assert (await browser.frame())["message"] == "hello"

    await asyncio.gather(*(visit() for _ in range(50)))

    async def is_empty() -> bool:
        return await lone.metric("sessions") == 0

    await eventually(is_empty)
    assert await lone.metric("closes_total", code="1000") == 50


async def test_frames_are_plain_json(lone: LiveNode) -> None:
    """Each frame is one JSON object in a text frame."""
    async with lone.tab(sid="") as browser:
        await say(browser, "ping")
        await say(browser, "follow")
        for _ in range(2):
            text = await browser.socket.recv()
            assert isinstance(text, str)
            assert isinstance(json.loads(text), dict)
