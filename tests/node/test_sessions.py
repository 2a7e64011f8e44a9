"""`POST /api/v1/sessions`: a sid before the socket; and the CORS headers that pages need."""

import re

import pytest

from progress_ws.node.keys import SOCKETS
from tests.node.conftest import LiveNode, Start

URL = "/api/v1/sessions"
SID = re.compile(r"[A-Za-z0-9._~-]{22,128}")  # 22: 128 bits in base 64
APP = "https://app.example"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


async def test_a_sid_is_minted(node: LiveNode) -> None:
    """201 with a sid that a socket can attach to and messages reach."""
    async with node.http.post(URL) as answer:
        assert answer.status == 201
        assert answer.headers["Cache-Control"] == "no-store"
        body = await answer.json()
    assert list(body) == ["sid"]
    assert SID.fullmatch(body["sid"])
    async with node.tab(sid=body["sid"]) as browser:
        await node.send(body["sid"], "hello")
        assert (await browser.frame())["message"] == "hello"


async def test_a_draining_node_mints_and_says_so(lone: LiveNode) -> None:
    """The sid is any node's; but a client that is refused here must not blame its way here."""
    lone.app[SOCKETS].draining = True
    async with lone.http.post(URL) as answer:
        assert answer.status == 201
        body = await answer.json()
    assert SID.fullmatch(body["sid"])
    assert body["draining"] is True


async def test_sids_differ(lone: LiveNode) -> None:
    """No sid is given twice."""
    sids = set()
    for _ in range(100):
        async with lone.http.post(URL, json={"anything": 1}) as answer:
            sids.add((await answer.json())["sid"])
    assert len(sids) == 100


@pytest.mark.parametrize("origin", [None, "same", APP])
async def test_a_page_may_read_the_answer(start: Start, origin: str | None) -> None:
    """Same origin and allowed origins get it, with the header that lets a page read it."""
    node = await start(allowed_origins=(APP,))
    origin = node.url if origin == "same" else origin
    async with node.http.post(URL, headers={"Origin": origin} if origin else {}) as answer:
        assert answer.status == 201
        assert answer.headers.get("Access-Control-Allow-Origin") == origin
        assert "Origin" in answer.headers["Vary"]


async def test_a_star_allows_any_page(start: Start) -> None:
    """With `*` every origin may read it."""
    node = await start(allowed_origins=("*",))
    async with node.http.post(URL, headers={"Origin": "https://any.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://any.example")


async def test_the_preflight_is_answered(start: Start) -> None:
    """A browser asks before it sends `Content-Type: application/json`."""
    node = await start(allowed_origins=(APP,))
    async with node.http.options(URL, headers={"Origin": APP} | ASKED) as answer:
        assert answer.status in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "content-type" in answer.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_foreign_page_is_refused(lone: LiveNode, method: str) -> None:
    """403, and no header that lets it read anything."""
    headers = {"Origin": "https://evil.example"} | ASKED
    async with lone.http.request(method, URL, headers=headers) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_pages_may_not_publish(start: Start) -> None:
    """Publishing is for backends: a page is not told that it may send the token's header."""
    node = await start(allowed_origins=("*",))
    async with node.http.options("/api/v1/messages", headers={"Origin": APP} | ASKED) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers
