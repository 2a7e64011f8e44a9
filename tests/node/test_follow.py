"""`follow` and `unfollow`: many sessions over one socket."""

import pytest

from progress_ws import new_sid
from progress_ws.node import sockets
from tests.node.conftest import LiveNode, answer, still_serves

FOLLOWS_MAX = 256
LAST = "the last one"


@pytest.fixture
def no_frame_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow hundreds without waiting: 100 frames in 10 seconds is another limit."""
    monkeypatch.setattr(sockets, "FRAMES_MAX", 10_000)


async def test_a_followed_session_comes_over_the_same_socket(node: LiveNode) -> None:
    """After `followed`, messages of both sids come, each frame saying whose it is."""
    async with node.tab() as browser:
        other = new_sid()
        assert await answer(browser, "follow", sid=other) == {"type": "followed", "sid": other}
        for n in range(5):
            await node.send(browser.sid, n)
            await node.send(other, n)
        frames = [await browser.frame() for _ in range(10)]
        for sid in (browser.sid, other):
            assert [f["message"] for f in frames if f["sid"] == sid] == list(range(5))


async def test_an_unfollowed_session_no_longer_comes(node: LiveNode) -> None:
    """After `unfollowed`, nothing of that sid comes; the others go on."""
    async with node.tab() as browser:
        other = new_sid()
        await answer(browser, "follow", sid=other)
        gone = await answer(browser, "unfollow", sid=other)
        assert gone == {"type": "unfollowed", "sid": other}
        await node.send(other, "too late")
        await node.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == []


async def test_the_sid_of_the_query_can_be_unfollowed_and_followed_again(lone: LiveNode) -> None:
    """The query's sid is one like the others."""
    async with lone.tab() as browser:
        assert (await answer(browser, "unfollow", sid=browser.sid))["type"] == "unfollowed"
        await lone.send(browser.sid, "while it was not followed")
        assert await still_serves(browser)
        assert (await answer(browser, "follow", sid=browser.sid))["type"] == "followed"
        await lone.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == ["while it was not followed"]


@pytest.mark.parametrize("which", ["of the query", "another"])
async def test_following_twice_does_not_double_messages(lone: LiveNode, which: str) -> None:
    """A second `follow` is answered like the first, and every message still comes once."""
    async with lone.tab() as browser:
        sid = browser.sid if which == "of the query" else new_sid()
        for _ in range(3):
            assert await answer(browser, "follow", sid=sid) == {"type": "followed", "sid": sid}
        await lone.send(sid, "once")
        assert (await browser.frame())["message"] == "once"
        assert await still_serves(browser)


async def test_one_unfollow_undoes_two_follows(lone: LiveNode) -> None:
    """Following is a state, not a count."""
    async with lone.tab(sid="") as browser:
        sid = new_sid()
        await answer(browser, "follow", sid=sid)
        await answer(browser, "follow", sid=sid)
        await answer(browser, "unfollow", sid=sid)
        await lone.send(sid, "too late")
        assert await still_serves(browser)


async def test_other_sockets_of_the_sid_keep_it(lone: LiveNode) -> None:
    """One tab's `unfollow` takes nothing from another."""
    async with lone.tab() as one, lone.tab(sid=one.sid) as two:
        await answer(one, "unfollow", sid=one.sid)
        await lone.send(one.sid, "for the second")
        assert (await two.frame())["message"] == "for the second"
        assert await still_serves(one)


async def test_unfollowing_what_was_not_followed_is_an_error(lone: LiveNode) -> None:
    """`not_attached` names the sid; the socket stays open."""
    async with lone.tab() as browser:
        sid = new_sid()
        error = await answer(browser, "unfollow", sid=sid)
        assert error.pop("detail")
        assert error == {"type": "error", "code": "not_attached", "sid": sid}
        assert await still_serves(browser)


@pytest.mark.parametrize("type_", ["follow", "unfollow"])
@pytest.mark.parametrize("sid", [None, "", "short", 5, ["x" * 16], "a" * 129, "blank in the sid."])
async def test_a_malformed_sid_is_an_error(lone: LiveNode, type_: str, sid: object) -> None:
    """`bad_sid`, also where the field is missing or no string; the socket stays open."""
    async with lone.tab() as browser:
        error = await answer(browser, type_, **({} if sid is None else {"sid": sid}))
        assert (error["type"], error["code"]) == ("error", "bad_sid")
        assert error["detail"]
        assert await still_serves(browser)


async def test_a_follow_with_a_position_is_answered(lone: LiveNode) -> None:
    """`followed` says whether anything after the position may be missing; here it may."""
    async with lone.tab(sid="") as browser:
        sid = new_sid()
        followed = await answer(browser, "follow", sid=sid, after=["p-1", "q-77"])
        assert followed == {"type": "followed", "sid": sid, "recovered": False}


async def test_the_longest_position_is_taken(lone: LiveNode) -> None:
    """1,024 ids may be given, as many as fit."""
    async with lone.tab(sid="") as browser:
        after = [f"{n:x}-1" for n in range(1024)]
        assert (await answer(browser, "follow", sid=new_sid(), after=after))["type"] == "followed"


@pytest.mark.parametrize(
    "after",
    ["p-1", 5, {}, [5], ["p"], ["p-0"], [None], ["p-1", "-1"], [f"{n:x}-1" for n in range(1025)]],
)
async def test_a_malformed_position_is_an_error(lone: LiveNode, after: object) -> None:
    """`bad_after` names the sid, the session is not followed, and the socket stays open."""
    async with lone.tab(sid="") as browser:
        sid = new_sid()
        error = await answer(browser, "follow", sid=sid, after=after)
        assert error.pop("detail")
        assert error == {"type": "error", "code": "bad_after", "sid": sid}
        await lone.send(sid, "nobody follows")
        assert await still_serves(browser)


@pytest.mark.usefixtures("no_frame_limit")
async def test_so_many_sessions_and_no_more(lone: LiveNode) -> None:
    """256 follows beside the query's sid; one more is an error, until another is given up."""
    async with lone.tab() as browser:
        sids = [new_sid() for _ in range(FOLLOWS_MAX)]
        for sid in sids:
            assert (await answer(browser, "follow", sid=sid))["type"] == "followed"
        extra = new_sid()
        error = await answer(browser, "follow", sid=extra)
        assert error.pop("detail")
        assert error == {"type": "error", "code": "too_many_follows", "sid": extra}
        assert (await answer(browser, "follow", sid=sids[0]))["type"] == "followed"

        await lone.send(extra, "not followed", key="k")
        await lone.send(sids[-1], "followed")
        assert (await browser.frame())["message"] == "followed"

        await answer(browser, "unfollow", sid=sids[7])
        assert (await answer(browser, "follow", sid=extra))["type"] == "followed"
        assert (await browser.frame())["message"] == "not followed"
        await lone.send(extra, "followed now", key="k")
        assert (await browser.frame())["message"] == "followed now"
