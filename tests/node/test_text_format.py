"""`format=text`: the wire of the original article, for the front ends that were written for it."""

import asyncio
import json

import pytest
from websockets.asyncio.client import ClientConnection, connect

from progress_ws import new_sid
from tests.node.conftest import LiveNode

GREETING = "连接成功"


def text_tab(node: LiveNode, sid: str | None) -> connect:
    """Open a socket as the article's page does."""
    address = node.url.replace("http", "ws", 1) + "/websocket/progress?format=text"
    return connect(address + ("" if sid is None else f"&sid={sid}"), proxy=None)


async def received(socket: ClientConnection) -> str:
    """The next frame, which is text."""
    async with asyncio.timeout(10):
        frame = await socket.recv()
    assert isinstance(frame, str)
    return frame


async def test_the_greeting_carries_the_sid(node: LiveNode) -> None:
    """The first frame is the greeting followed by the sid, under which messages then come."""
    async with text_tab(node, None) as socket:
        greeting = await received(socket)
        assert greeting.startswith(GREETING)
        sid = greeting.removeprefix(GREETING)
        await node.send(sid, "50 %")
        assert await received(socket) == "50 %"


async def test_a_given_sid_is_told_back(lone: LiveNode) -> None:
    """A sid that the page brings stands in the greeting."""
    sid = new_sid()
    async with text_tab(lone, sid) as socket:
        assert await received(socket) == GREETING + sid


async def test_an_empty_sid_is_greeted_without_one(lone: LiveNode) -> None:
    """Who attaches to nothing is told no sid."""
    async with text_tab(lone, "") as socket:
        assert await received(socket) == GREETING


@pytest.mark.parametrize(
    "text", ["", " ", "a\nb\r\nc", '"quoted"', "back\\slash", "sid;;;message", "\0", "😀中\u2028"]
)
async def test_a_string_comes_as_it_is(lone: LiveNode, text: str) -> None:
    """No quotes, no escapes, nothing around it."""
    sid = new_sid()
    async with text_tab(lone, sid) as socket:
        await received(socket)
        await lone.send(sid, text, key="k", final=True)
        assert await received(socket) == text


@pytest.mark.parametrize("value", [None, True, 5, -0.25, [], {}, {"rows": [1, "zwei", None]}])
async def test_anything_else_comes_as_json(lone: LiveNode, value: object) -> None:
    """What is no string is the JSON of the value, and nothing more."""
    sid = new_sid()
    async with text_tab(lone, sid) as socket:
        await received(socket)
        await lone.send(sid, value)
        assert json.loads(await received(socket)) == value


async def test_what_the_browser_sends_is_ignored(lone: LiveNode) -> None:
    """No pong, no error, no `followed`, and no effect."""
    sid, other = new_sid(), new_sid()
    async with text_tab(lone, sid) as socket:
        await received(socket)
        follow = json.dumps({"type": "follow", "sid": other})
        for frame in ('{"type":"ping"}', "hello", b"\0\1", follow):
            await socket.send(frame)
        await lone.send(other, "not followed")
        await lone.send(sid, "next")
        assert await received(socket) == "next"


async def test_tabs_of_both_formats_share_a_session(node: LiveNode) -> None:
    """An old page and a new one may look at the same sid."""
    sid = new_sid()
    async with text_tab(node, sid) as old, node.tab(sid=sid) as new:
        await received(old)
        await node.send(sid, {"rows": 1})
        assert json.loads(await received(old)) == (await new.frame())["message"] == {"rows": 1}


async def test_refusals_are_the_same(lone: LiveNode) -> None:
    """A malformed sid is 4400 here too."""
    assert (await lone.refusal(format="text", sid="x"))[0] == 4400
