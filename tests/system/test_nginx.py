"""`deploy/nginx.conf` in front of real nodes."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from deploy.local import Nginx, Node
from progress_ws import Publisher, new_sid
from tests.support.parts import running, subfolder
from tests.support.server import connected, serving
from tests.support.tab import tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.nginx

TOKEN = "a-token-for-tests"
Site = tuple[list[Node], Nginx]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Three nodes, each on its own, since nothing here needs RabbitMQ; and nginx."""
    with ExitStack() as stack:
        own = subfolder(folder)
        nodes = [Node(own, node=name, publish_token=TOKEN, drain_seconds=2) for name in "abc"]
        for node in nodes:
            stack.enter_context(running(node, wait=False))
        for node in nodes:
            node.wait_ready()
        nginx = Nginx(own / "nginx", [node.port for node in nodes])
        yield nodes, stack.enter_context(running(nginx))


@pytest.fixture(scope="module")
def shared_site(session_folder: Path) -> Iterator[Site]:
    """For tests that harm nothing."""
    with site(session_folder) as parts:
        yield parts


@pytest.fixture
def own_site(session_folder: Path) -> Iterator[Site]:
    """For a test that ends a node."""
    with site(session_folder) as parts:
        yield parts


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics?a=b",
        "//metrics",
        "/./metrics",
        "/a/../metrics",
        "/%6detrics",
        "/api/v1/cluster",
        "/api//v1/cluster",
        "/api/v1/../v1/cluster",
        "/metrics/",
        "/api/v1/cluster/",
    ],
)
def test_what_is_the_operators_stays_inside(path: str, shared_site: Site) -> None:
    _, proxy = shared_site
    assert status(proxy.url + path) == 404


def test_the_rest_goes_through(shared_site: Site) -> None:
    nodes, proxy = shared_site
    assert status(f"{nodes[0].url}/metrics") == 200
    assert status(f"{proxy.url}/healthz") == 200
    assert status(f"{proxy.url}/client/progress-ws.js") == 200


async def test_no_sid_is_logged(own_site: Site) -> None:
    nodes, proxy = own_site
    sid = new_sid()
    async with tab(proxy.url, sid=sid):
        pass
    status(f"{proxy.url}/api/v1/sessions/{sid}/messages?after=x")
    nodes[0].kill()
    for _ in nodes:
        status(f"{proxy.url}/healthz?sid={sid}")
    await eventually(lambda: proxy.output.count("/healthz") == len(nodes))
    assert "/websocket/progress" in proxy.output
    assert "/api/v1/sessions/-/messages" in proxy.output
    assert sid not in proxy.output


async def test_a_page_of_the_same_origin_may_connect_and_no_other(
    shared_site: Site,
) -> None:
    _, proxy = shared_site
    async with tab(proxy.url, origin=proxy.url):
        pass
    with pytest.raises(InvalidStatus) as refused:
        async with tab(proxy.url, origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403


async def test_a_node_that_was_killed_is_passed_over(own_site: Site) -> None:
    nodes, proxy = own_site
    nodes[1].kill()
    for _ in range(6):
        assert status(f"{proxy.url}/healthz") == 200
        async with tab(proxy.url) as browser:
            assert browser.node in ("a", "c")


async def test_a_draining_node_is_passed_over(own_site: Site) -> None:
    nodes, proxy = own_site
    async with AsyncExitStack() as stack:
        for _ in range(20):  # one after the other is closed: together they take the drain time
            await stack.enter_async_context(tab(nodes[1].url))
        nodes[1].terminate()
        await eventually(lambda: nodes[1].status("/readyz") == 503)
        for _ in range(6):
            async with tab(proxy.url) as browser:
                assert browser.node in ("a", "c")


async def test_what_was_published_once_arrives_once(shared_site: Site) -> None:
    """Only one of the three nodes has the browser, so of six requests in turn two reach it."""
    nodes, proxy = shared_site
    async with tab(nodes[0].url) as browser, Publisher(proxy.url, token=TOKEN) as through_nginx:
        for number in range(6):
            await through_nginx.send(browser.sid, number)
        async with Publisher(nodes[0].url, token=TOKEN) as direct:
            await direct.send(browser.sid, "last")
        assert len(await browser.values_until("last")) == 2


async def test_nothing_is_buffered_in_either_direction(session_folder: Path) -> None:
    """An upload goes to the node as it comes, whatever its size, and so does the answer."""
    chunk = b"x" * 1_000
    async with serving(echo) as port, asyncio.timeout(20):
        with running(Nginx(subfolder(session_folder), [port])) as proxy:
            async with connected(proxy.port) as (reader, writer):
                writer.write(
                    b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000000\r\n\r\n"
                )
                writer.write(chunk)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                assert await reader.readexactly(len(chunk)) == chunk
                writer.write(chunk[::-1])
                assert await reader.readexactly(len(chunk)) == chunk[::-1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n")
    while chunk := await reader.read(65_536):
        writer.write(chunk)
