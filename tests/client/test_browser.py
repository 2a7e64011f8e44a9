"""The browser client in Chromium, against a real node that is killed, frozen and drained."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from deploy.local import Node
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-tests"
SID = "sid-of-a-job-in-the-browser"
EVENTS = ["state", "welcome", "message", "followed", "error"]

# Run in each document of a tab. `options` go to its client; `jitter` replaces chance in its waits.
SCRIPT = """
window.seen = [];
window.loaded = import("/client/progress-ws.js").then(({ ProgressClient }) => {
  const random = () => window.jitter ?? Math.random();
  window.progress = new ProgressClient({ random, ...%s });
  for (const type of %s) progress.addEventListener(type, ({ detail }) => seen.push([type, detail]));
});
"""


@pytest.fixture
def node(node_process: Callable[..., Node]) -> Node:
    return node_process(publish_token=TOKEN)


class Tab:
    """One tab with the client in it."""

    def __init__(self, page: "Page") -> None:
        self.page = page

    @classmethod
    async def open(cls, context: "BrowserContext", node: Node, **options: object) -> "Tab":
        """Open a page of the node's origin whose client has these options."""
        page = await context.new_page()
        await page.add_init_script(SCRIPT % (json.dumps(options), json.dumps(EVENTS)))
        # Any document of the node will do, but it must be the node's: Chromium lets no page that
        # a test made up open sockets to this machine.
        await page.goto(f"{node.url}/healthz")
        tab = cls(page)
        await tab.load()
        return tab

    async def load(self) -> None:
        """Wait until the client is there."""
        await self.page.evaluate("loaded")

    async def reload(self) -> None:
        await self.page.reload()
        await self.load()

    async def ready(self) -> str:
        """Wait for the first welcome."""
        sid: str = await self.page.evaluate("progress.ready")
        return sid

    async def details(self, event: str) -> list[dict[str, Any]]:
        """The details of all events of this type so far."""
        return [detail for type_, detail in await self.page.evaluate("seen") if type_ == event]

    async def messages(self) -> list[object]:
        return [detail["message"] for detail in await self.details("message")]

    async def state(self) -> str:
        state: str = await self.page.evaluate("progress.state")
        return state

    async def reaches(self, state: str, timeout_s: float = 10) -> None:
        async def reached() -> bool:
            return await self.state() == state

        await eventually(reached, timeout_s, what=f"state {state}")

    async def gets(self, *messages: object, timeout_s: float = 10) -> None:
        """Wait until these messages, and no others, have arrived."""

        async def got() -> bool:
            arrived = await self.messages()
            assert arrived == list(messages)
            return True

        await eventually(got, timeout_s, what=f"messages {messages}")

    async def wait_long(self) -> None:
        """Make every wait far longer than a test."""
        await self.page.evaluate("window.jitter = 1000")

    async def is_shown(self) -> None:
        """What the browser does when the tab comes to the front."""
        script = "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))"
        await self.page.evaluate(script)


async def publish(node: Node, sid: str, *messages: object) -> None:
    body = [{"sid": sid, "message": message} for message in messages]
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{node.url}/api/v1/messages", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer,
    ):
        assert answer.status == 202, await answer.text()


def restart(node: Node) -> None:
    node.start()
    node.wait_ready()


async def test_a_page_learns_its_sid_and_gets_its_messages(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    messages = ["50 %", "", '"\\;;;\n\0</script>', "进度 😀", 0, None, {"rows": [1, 2.5]}]
    await publish(node, sid, *messages)
    await tab.gets(*messages)
    assert await tab.details("error") == []


async def test_a_reload_keeps_the_sid(context: "BrowserContext", node: Node) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    await tab.reload()
    assert await tab.ready() == sid
    await publish(node, sid, "after the reload")
    await tab.gets("after the reload")


@pytest.mark.slow
async def test_two_tabs_have_a_session_each_or_share_one(
    context: "BrowserContext", node: Node
) -> None:
    tabs = [await Tab.open(context, node) for _ in range(2)]
    sids = [await tab.ready() for tab in tabs]
    assert sids[0] != sids[1]
    shared = [await Tab.open(context, node, sid=SID) for _ in range(2)]
    for tab in shared:
        assert await tab.ready() == SID
    await publish(node, sids[0], "mine")
    await publish(node, SID, "ours")
    await tabs[0].gets("mine")
    for tab in shared:
        await tab.gets("ours")
    await tabs[1].gets()


async def test_many_sessions_share_one_socket(context: "BrowserContext", node: Node) -> None:
    tab = await Tab.open(context, node, sid="")
    assert await tab.ready() == ""
    sids = [f"sid-of-job-number-{number:04}" for number in range(60)]
    await tab.page.evaluate("sids => sids.forEach((sid) => progress.follow(sid))", sids)
    await publish_when_followed(tab, node, sids)
    await tab.gets("first", "last")
    await tab.page.evaluate("sid => progress.unfollow(sid)", sids[0])
    await publish(node, sids[0], "unheard")
    await publish(node, sids[-1], "heard")
    await tab.gets("first", "last", "heard")


@pytest.mark.slow
async def test_very_many_follows_do_not_run_into_the_limit_of_frames(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node, sid="")
    await tab.ready()
    sids = [f"sid-of-job-number-{number:04}" for number in range(256)]
    await tab.page.evaluate("sids => sids.forEach((sid) => progress.follow(sid))", sids)
    await publish_when_followed(tab, node, sids)
    await tab.gets("first", "last")
    assert [detail["state"] for detail in await tab.details("state")] == ["open"]


async def publish_when_followed(tab: Tab, node: Node, sids: list[str]) -> None:
    async def all_followed() -> bool:
        return [detail["sid"] for detail in await tab.details("followed")] == sids

    await eventually(all_followed, 60)
    await publish(node, sids[0], "first")
    await publish(node, sids[-1], "last")


async def test_a_page_comes_back_by_itself_to_a_node_that_was_killed(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    node.kill()
    await tab.reaches("waiting")
    restart(node)
    await tab.reaches("open", timeout_s=30)
    assert await tab.page.evaluate("progress.sid") == sid
    await publish(node, sid, "news")
    await tab.gets("news")


async def test_a_page_comes_back_at_once_when_its_tab_is_shown(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    await tab.ready()
    await tab.wait_long()
    node.kill()
    await tab.reaches("waiting")
    restart(node)
    assert await tab.state() == "waiting"
    await tab.is_shown()
    await tab.reaches("open")


async def test_a_page_comes_back_at_once_when_the_network_returns(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    await tab.ready()
    await tab.wait_long()
    node.kill()
    await tab.reaches("waiting")
    await context.set_offline(True)
    restart(node)
    await tab.is_shown()  # comes too early: there is no network yet
    await tab.reaches("waiting")
    await context.set_offline(False)
    await tab.reaches("open")


@pytest.mark.slow
async def test_a_page_that_is_shown_finds_out_that_its_node_is_dead(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    node.freeze()
    await tab.is_shown()
    await tab.reaches("waiting", timeout_s=20)
    node.thaw()
    await tab.reaches("open", timeout_s=30)
    await publish(node, sid, "awake")
    await tab.gets("awake")


async def test_a_drained_node_sends_its_pages_away_and_they_come_back(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    node.terminate()
    await tab.reaches("waiting")
    waiting = next(d for d in await tab.details("state") if d["state"] == "waiting")
    assert waiting["code"] == 1012
    assert waiting["wait_s"] <= 2
    await eventually(lambda: not node.alive, 20)
    restart(node)
    await tab.reaches("open", timeout_s=30)
    assert await tab.page.evaluate("progress.sid") == sid


async def test_a_malformed_sid_in_storage_locks_nobody_out(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    for kept in ["short", "a b; c", "%2e%2e%2f", "x" * 10_000, "\ud800" * 20]:
        await tab.page.evaluate(f"sessionStorage.setItem('progress-ws.sid', {json.dumps(kept)})")
        await tab.reload()
        assert await tab.ready() not in (kept, sid)
        sid = await tab.ready()
        await publish(node, sid, "in")
        await tab.gets("in")
    await tab.reload()
    assert await tab.ready() == sid


async def test_a_refusal_for_good_is_told_to_the_application(
    context: "BrowserContext", node: Node
) -> None:
    tab = await Tab.open(context, node, url="/websocket/progress?format=tea", sid=SID)
    await tab.reaches("closed")
    (error,) = await tab.details("error")
    assert error["code"] == 4400
    assert error["detail"]


@pytest.mark.slow
async def test_a_page_without_storage_works(context: "BrowserContext", node: Node) -> None:
    await context.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('blocked'); } })"
    )
    tab = await Tab.open(context, node)
    sid = await tab.ready()
    await publish(node, sid, "works")
    await tab.gets("works")
