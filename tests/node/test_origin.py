"""Which pages may open a socket: decided before the upgrade."""

import asyncio
import base64

import pytest
import structlog

from progress_ws.node.origins import TOLD_CHARS, TOLD_MAX
from progress_ws.node.settings import Settings
from tests.node.conftest import LiveNode, Start

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


async def handshake(node: LiveNode, **headers: str) -> int:
    """The status of an upgrade request with these headers besides."""
    async with asyncio.timeout(5):
        answer = await node.http.get("/websocket/progress", headers=UPGRADE | headers)
        answer.close()
        return answer.status


async def test_a_client_without_origin_is_no_browser(lone: LiveNode) -> None:
    """Programs send no `Origin` and are let in."""
    assert await handshake(lone) == 101


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com", "example.com:443"),
        ("http://example.com:8080", "example.com:8080"),
        ("HTTP://Example.COM", "example.com"),
        ("http://example.com", "EXAMPLE.com"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
async def test_the_same_origin_is_let_in(lone: LiveNode, origin: str, host: str) -> None:
    """Host and port of the page are those of the request; a proxy may have taken TLS off."""
    assert await handshake(lone, Origin=origin, Host=host) == 101


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.com"),
        ("http://sub.example.com", "example.com"),
        ("http://example.com", "sub.example.com"),
        ("http://example.com:8081", "example.com:8080"),
        ("http://example.com", "example.com:8080"),
        ("http://example.com", "example.com:443"),
        ("http://example.com.evil.example", "example.com"),
        ("http://example.com@evil.example", "example.com"),
        ("http://evil.example/example.com", "example.com"),
        ("http://evil.example#example.com", "example.com"),
        ("http://notexample.com", "example.com"),
        ("http://example.com:99999999", "example.com"),
        ("http://[::1", "[::1"),
        ("null", "null"),
        ("null", "example.com"),
        ("", "example.com"),
        ("file://", ""),
        ("http://", ""),
    ],
)
async def test_a_foreign_origin_is_refused(lone: LiveNode, origin: str, host: str) -> None:
    """A 403 instead of the upgrade, so that no foreign page reads what its visitor may read."""
    assert await handshake(lone, Origin=origin, Host=host) == 403
    assert await lone.metric("connections") == 0


@pytest.mark.parametrize("origin", ["https://app.example", "https://b.example:8443"])
async def test_an_allowed_origin_is_let_in(start: Start, origin: str) -> None:
    """Origins of the setting may connect to any host name of the node."""
    given = {"PROGRESS_WS_ALLOWED_ORIGINS": "https://app.example, https://B.example:8443/"}
    node = await start(allowed_origins=Settings.from_environ(given).allowed_origins)
    assert await handshake(node, Origin=origin) == 101
    assert await handshake(node, Origin=node.url) == 101
    assert await handshake(node, Origin=origin.replace("https", "http")) == 403
    assert await handshake(node, Origin=f"{origin}.evil.example") == 403


@pytest.mark.parametrize("origin", ["https://anything.example", "null", "chrome-extension://abc"])
async def test_a_star_lets_everybody_in(start: Start, origin: str) -> None:
    """`*` is for nodes that are meant to be read from anywhere."""
    assert await handshake(await start(allowed_origins=("*",)), Origin=origin) == 101


async def test_the_origin_comes_before_the_query(lone: LiveNode) -> None:
    """A foreign page is not even told that its sid is malformed."""
    async with lone.http.get(
        "/websocket/progress?sid=x", headers=UPGRADE | {"Origin": "http://evil.example"}
    ) as answer:
        assert answer.status == 403


async def test_a_refusal_is_told_to_the_operator(lone: LiveNode) -> None:
    """Once per origin in the log, clipped, for so many origins; each request in the metrics."""
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert await handshake(lone, Origin="http://evil.example", Host="example.com") == 403
        async with lone.http.post(
            "/api/v1/sessions", headers={"Origin": "http://" + "x" * 500}
        ) as answer:
            assert answer.status == 403
        for n in range(TOLD_MAX):
            assert await handshake(lone, Origin=f"http://{n}.example") == 403
    told = [event for event in logged if event["event"] == "page refused"]
    assert len(told) == TOLD_MAX
    assert told[0]["origin"] == "http://evil.example"
    assert told[0]["host"] == "example.com"
    assert "PROGRESS_WS_ALLOWED_ORIGINS" in told[0]["reason"]
    assert told[0]["log_level"] == "warning"
    assert len(told[1]["origin"]) == TOLD_CHARS
    assert await lone.metric("origins_refused_total") == 4 + TOLD_MAX
