"""`stalled`: a publisher that promised news and fell silent, as browsers see it."""

import time
from typing import Any

from progress_ws import new_sid
from progress_ws.node.keys import MEMORY
from tests.node.conftest import LiveNode, Start, answer, say, still_serves
from tests.support.tab import Tab
from tests.support.waiting import eventually, stopwatch

STALL_S = 0.3
SOON_S = STALL_S + 1


async def promise(node: LiveNode, sid: str, message: object = 1, **fields: Any) -> str:
    """Publish a message whose publisher is never heard of again."""
    return await node.send(sid, message, **({"key": "report", "stall_s": STALL_S} | fields))


async def stalled(browser: Tab, sid: str, key: str = "report") -> float:
    """The next frame, which is that one; its `silent_s`."""
    frame = await browser.frame()
    silent_s = frame.pop("silent_s")
    assert frame == {"type": "stalled", "sid": sid, "key": key}
    return float(silent_s)


async def messages(browser: Tab, *expected: object) -> None:
    """The next frames are these messages."""
    for value in expected:
        frame = await browser.frame()
        assert (frame["type"], frame.get("message")) == ("message", value), frame


async def test_a_silent_publisher_is_told_once_and_its_next_message_ends_it(node: LiveNode) -> None:
    async with node.tab() as browser:
        began_s = time.monotonic()
        await promise(node, browser.sid)
        await messages(browser, 1)
        with stopwatch() as seconds:
            silent_s = await stalled(browser, browser.sid)
            assert seconds() <= SOON_S
        assert STALL_S <= silent_s <= time.monotonic() - began_s + 0.05  # it is rounded
        await promise(node, browser.sid, 2)
        await messages(browser, 2)
        await stalled(browser, browser.sid)
        await promise(node, browser.sid, 3, final=True)
        await messages(browser, 3)
        assert await still_serves(browser)
    assert await node.metric("stalls_total") == 2


async def test_every_browser_is_told_and_nobody_else(node: LiveNode) -> None:
    async with node.tab() as browser, node.tab(sid=browser.sid) as same, node.tab() as other:
        await promise(node, browser.sid)
        for each in (browser, same):
            await messages(each, 1)
            await stalled(each, browser.sid)
        assert await still_serves(other)


async def test_who_comes_later_is_told_behind_what_is_retained(node: LiveNode) -> None:
    sid = new_sid()
    await promise(node, sid, "a")
    await node.send(sid, "b", key="upload")
    await eventually(lambda: is_silent(node, sid))
    async with node.tab(sid=sid) as browser:
        await messages(browser, "a", "b")
        assert await stalled(browser, sid) >= STALL_S
        await node.send(sid, "c", key="upload")
        await messages(browser, "c")
        assert await still_serves(browser)


async def test_who_follows_is_told_too(node: LiveNode) -> None:
    sid = new_sid()
    await promise(node, sid, "a")
    await eventually(lambda: is_silent(node, sid))
    async with node.tab() as browser:
        assert (await answer(browser, "follow", sid=sid))["type"] == "followed"
        await messages(browser, "a")
        await stalled(browser, sid)
        await say(browser, "unfollow", sid=sid)
        assert (await browser.frame())["type"] == "unfollowed"


async def test_one_that_was_healed_is_told_to_nobody(node: LiveNode) -> None:
    sid = new_sid()
    await promise(node, sid, "a")
    await eventually(lambda: is_silent(node, sid))
    await node.heard(await node.send(sid, "b", key="report"))  # without a promise
    async with node.tab(sid=sid) as browser:
        await messages(browser, "b")
        assert await still_serves(browser)


async def test_a_message_of_an_older_run_changes_nothing(node: LiveNode) -> None:
    async with node.tab() as browser:
        await promise(node, browser.sid, "a", run="2")
        await promise(node, browser.sid, "b", run="1", stall_s=60)
        await messages(browser, "a")
        await stalled(browser, browser.sid)
        await promise(node, browser.sid, "b", run="1")
        await promise(node, browser.sid, "c", run="2")
        await messages(browser, "c")


async def test_without_history_who_comes_later_is_told_all_the_same(
    broker_url: str | None, start: Start
) -> None:
    node = await start(amqp_url=broker_url, history_seconds=0)
    sid = new_sid()
    async with node.tab(sid=sid) as browser:
        await promise(node, sid)
        await messages(browser, 1)
        await stalled(browser, sid)
        async with node.tab(sid=sid) as later:
            await stalled(later, sid)
            assert await still_serves(later)


async def test_the_article_s_front_ends_are_told_nothing(lone: LiveNode) -> None:
    sid = new_sid()
    async with lone.http.ws_connect(f"/websocket/progress?sid={sid}&format=text") as before:
        await promise(lone, sid, "a")
        await eventually(lambda: is_silent(lone, sid))
        async with lone.http.ws_connect(f"/websocket/progress?sid={sid}&format=text") as after:
            await lone.send(sid, "b", key="report")
            for browser, expected in ((before, ["a", "b"]), (after, ["b"])):
                assert sid in await browser.receive_str()
                texts = [await browser.receive_str(timeout=5)]
                while texts[-1] != "b":
                    texts.append(await browser.receive_str(timeout=5))
                assert texts[-len(expected) :] == expected


async def test_a_longer_promise_than_the_history_time_is_refused(start: Start) -> None:
    node = await start(history_seconds=60)
    good = {"sid": new_sid(), "message": 1, "key": "k", "stall_s": 60}
    assert (await node.post(good))[0] == 202
    status, answer = await node.post([good, good | {"stall_s": 60.5}])
    assert (status, answer["field"], answer["index"]) == (400, "stall_s", 1)
    assert answer["max_stall_s"] == 60
    assert "60" in answer["detail"]


def is_silent(node: LiveNode, sid: str) -> bool:
    """Whether the node has found it out."""
    return node.app[MEMORY].silence.is_stalled(sid, "report")
