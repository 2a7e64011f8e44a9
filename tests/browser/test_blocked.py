"""Something between a page and its nodes lets no WebSocket through, or no event stream either."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.browser.conftest import Judge, Work
from tests.browser.judge import seconds
from tests.browser.screen import Screen
from tests.browser.site import Site, door
from tests.support.server import serving

if TYPE_CHECKING:
    import asyncio

    from playwright.async_api import BrowserContext, Route

pytestmark = [pytest.mark.browser, pytest.mark.nginx, pytest.mark.broker, pytest.mark.slow]

SOCKET, STREAM = "/websocket/progress", "/sse/progress"
#: Two attempts that nobody answers, of 4 and 8 s, and the waits behind them.
SWALLOWED_S = 30
BACK_S = 10


@dataclass(frozen=True)
class Way:
    """How something is blocked.

    Args:
        nginx: what a proxy does with requests to the endpoint; `{hole}` is a port.
        script: what was done to the browser.
        hole: who listens at that port: `silent` answers nothing, `mute` shakes hands at least.
    """

    nginx: str = ""
    script: str = ""
    hole: str = "silent"


THROWS = "window.WebSocket = class { constructor() { throw new DOMException('blocked'); } };"
LOST = "proxy_set_header Upgrade ''; proxy_set_header Connection ''; proxy_pass http://progress_ws;"
HOLE = "proxy_pass http://127.0.0.1:{hole};"
WAYS = {
    "the constructor throws": Way(script=THROWS),
    "there is no WebSocket": Way(script="delete window.WebSocket;"),
    "nginx answers 403": Way(nginx="return 403;"),
    "nginx answers 400": Way(nginx="return 400;"),
    "nginx does not upgrade": Way(nginx=LOST),
    "the upgrade is swallowed": Way(nginx=HOLE),
    "every frame is swallowed": Way(nginx=HOLE, hole="mute"),
}
STREAM_WAYS = {
    "nginx answers 403": Way(nginx="return 403;"),
    "the stream is swallowed": Way(nginx=HOLE),
}


async def stay_silent(reader: "asyncio.StreamReader", _: "asyncio.StreamWriter") -> None:
    while await reader.read(65_536):
        pass


async def stay_mute(socket: ServerConnection) -> None:
    async for _ in socket:
        pass


@asynccontextmanager
async def blocked(
    folder: Path, site: Site, context: "BrowserContext", **ways: Way
) -> AsyncIterator[str]:
    """Open a way in at which these endpoints are blocked; yields its address."""
    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(serving(stay_silent))
        mute = await stack.enter_async_context(serve(stay_mute, "127.0.0.1", 0))
        holes = {"silent": silent, "mute": mute.sockets[0].getsockname()[1]}
        directives = []
        for endpoint, way in ways.items():
            if way.script:
                await context.add_init_script(way.script)
            if way.nginx:
                path = {"socket": SOCKET, "stream": STREAM}[endpoint]
                deed = way.nginx.format(hole=holes[way.hole])
                directives.append(f"location = {path} {{ {deed} }}")
        yield stack.enter_context(door(folder, site, *directives))


def leaving(transport: str, *, socket: str) -> dict[str, Way]:
    """What has to be blocked so that only this transport is left, the socket in this way."""
    stream = {"stream": STREAM_WAYS["nginx answers 403"]} if transport == "polling" else {}
    return {"socket": WAYS[socket]} | stream


async def watched(
    screen: Screen, site: Site, work: Work, judged: Judge, sid: str, *, transport: str
) -> None:
    """See a job from its beginning to its end over one of these transports."""
    opened = screen.notes[0].at if await screen.look() else time.monotonic()
    worker = work(site.amqp_url, sid)
    await screen.shows("running", within_s=SWALLOWED_S)
    assert await screen.client("it.transport") in transport.split()
    welcome = await screen.since(opened, "client", type="welcome")
    await worker.says(20)
    worker.terminate()
    await screen.shows("done")
    await judged([screen], [worker], open_s=seconds(opened, welcome))


@pytest.mark.parametrize("way", WAYS)
async def test_without_websocket_a_page_streams(
    way: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    async with blocked(session_folder, site, context, socket=WAYS[way]) as url:
        screen = await Screen.open(context, url, sid=sid)
        await watched(screen, site, work, judged, sid, transport="sse")


@pytest.mark.parametrize("way", STREAM_WAYS)
async def test_without_streams_a_page_polls(
    way: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    ways = {"socket": WAYS["nginx answers 403"], "stream": STREAM_WAYS[way]}
    async with blocked(session_folder, site, context, **ways) as url:
        screen = await Screen.open(context, url, sid=sid)
        await watched(screen, site, work, judged, sid, transport="polling")


@pytest.mark.parametrize("transport", ["sse", "polling"])
async def test_the_node_is_killed_under_a_page_without_websocket(
    transport: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    ways = leaving(transport, socket="nginx answers 403")
    async with blocked(session_folder, site, context, **ways) as url:
        screen = await Screen.open(context, url, sid=sid)
        worker = work(site.amqp_url, sid)
        await screen.shows("running")
        name = (await screen.is_open()).get("node") or site.nodes[0].name
        killed = time.monotonic()
        site.node(name).kill()
        await worker.says(20)
        news = await screen.since(killed, "client", type="message", within_s=BACK_S)
        worker.terminate()
        await screen.shows("done")
        assert await screen.client("it.transport") == transport
        await judged([screen], [worker], news_s=seconds(killed, news))


@pytest.mark.parametrize("transport", ["sse", "polling"])
async def test_offline_and_online_without_websocket(
    transport: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    ways = leaving(transport, socket="the constructor throws")
    async with blocked(session_folder, site, context, **ways) as url:
        screen = await Screen.open(context, url, sid=sid)
        worker = work(site.amqp_url, sid)
        await screen.shows("running")
        await context.set_offline(True)
        await worker.says(20)
        online = time.monotonic()
        await context.set_offline(False)
        news = await screen.since(online, "client", type="message", within_s=BACK_S)
        await worker.says(10)
        worker.terminate()
        await screen.shows("done")
        await judged([screen], [worker], news_s=seconds(online, news))


@pytest.mark.parametrize("way", ["nginx answers 403"])
async def test_a_job_is_cancelled_without_websocket(
    way: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    async with blocked(session_folder, site, context, socket=WAYS[way]) as url:
        screen = await Screen.open(context, url, sid=sid)
        worker = work(site.amqp_url, sid)
        await screen.shows("running")
        await screen.page.get_by_role("button", name="Cancel").click()
        await screen.shows("cancelled")
        await judged([screen], [worker])


@pytest.mark.parametrize("how", ["it fails", "it does not come"])
async def test_the_fallback_could_not_be_loaded_at_first(
    how: str,
    context: "BrowserContext",
    session_folder: Path,
    site: Site,
    work: Work,
    judged: Judge,
    sid: str,
) -> None:
    """A browser does not ask twice for a module under one address."""
    asked = 0

    async def miss(route: "Route") -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await route.continue_()
        elif how == "it fails":
            await route.abort()

    async with blocked(session_folder, site, context, socket=Way(script=THROWS)) as url:
        await context.route("**/client/progress-http.js*", miss)
        screen = await Screen.open(context, url, sid=sid)
        await watched(screen, site, work, judged, sid, transport="sse polling")
        assert asked == 2
