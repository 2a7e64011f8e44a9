"""`POST /api/v1/messages`: all of a request is published, or nothing and a problem says why."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from deploy.local import RabbitMQ
from progress_ws import new_sid
from progress_ws.node import parts
from tests.node.conftest import BEARER, LiveNode, Start, still_serves
from tests.support.proxy import Proxy
from tests.support.tab import Tab
from tests.support.waiting import eventually, stopwatch

URL = "/api/v1/messages"
SID = "a-sid-that-nobody-reads"
LAST = "the last one"
REQUEST_MAX_BYTES = 8 * 1024 * 1024
MEMBERS_MAX = 1000
PROBLEM = "application/problem+json"


@pytest.fixture
async def browser(lone: LiveNode) -> AsyncIterator[Tab]:
    """A tab that shows whether something was published after all."""
    async with lone.tab() as opened:
        yield opened


# -- accepted ---------------------------------------------------------------------------------


async def test_one_message(node: LiveNode) -> None:
    """202 tells the id, and which cancel requests wait: none."""
    async with node.tab() as browser:
        status, answer = await node.post({"sid": browser.sid, "message": "hello"})
        frame = await browser.frame()
        assert (status, answer) == (202, {"ids": [frame["id"]], "cancel": []})
        assert frame["message"] == "hello"


async def test_an_array(node: LiveNode) -> None:
    """As many ids as messages, in their order; each message goes to its own sid."""
    async with node.tab() as one, node.tab() as two:
        batch = [
            {"sid": browser.sid, "message": [n, name]}
            for n in range(MEMBERS_MAX // 2)
            for name, browser in (("one", one), ("two", two))
        ]
        status, answer = await node.post(batch)
        assert status == 202
        for place, (name, browser) in enumerate((("one", one), ("two", two))):
            ids = answer["ids"][place::2]
            frames = [await browser.frame() for _ in ids]
            assert [f["id"] for f in frames] == ids
            assert [f["message"] for f in frames] == [[n, name] for n in range(MEMBERS_MAX // 2)]


async def test_an_empty_array(lone: LiveNode) -> None:
    """Nothing to do is no mistake."""
    assert await lone.post([]) == (202, {"ids": [], "cancel": []})


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "k" * 128},
        {"key": "报告" * 64},
        {"key": "k", "run": "r" * 64, "final": True},
        {"key": "k", "final": False},
        {"key": "k", "stall_s": 30},
        {"key": "k", "stall_s": 0.5},
        {"dedupe": "d" * 64},
        {"dedupe": ""},
        {"key": None, "run": None, "final": None, "stall_s": None, "dedupe": None},
        {"unknown": {"of a later": "version"}, "id": "theirs-1", "ts": 5},
    ],
    ids=str,
)
async def test_optional_fields(lone: LiveNode, browser: Tab, fields: dict[str, object]) -> None:
    """Every optional field at its bound, `null` for absent, and fields that are unknown."""
    id_ = await lone.send(browser.sid, "hello", **fields)
    frame = await browser.frame()
    assert (frame["id"], frame["message"]) == (id_, "hello")


@pytest.mark.parametrize(
    "body",
    [
        b' {"sid":"%b","message":1}\r\n',
        b'{"message":1,"sid":"%b"}',
        b'\n\t[ {"sid" : "%b" , "message" : 1 } ]',
        b" " * 500 + b'[{"sid":"%b","message":1}]',
        b'{"\\u0073id":"%b","message":1}',
    ],
)
async def test_any_way_to_write_json(lone: LiveNode, browser: Tab, body: bytes) -> None:
    """Blanks, order and escapes of the request make no difference."""
    status, answer = await lone.post(body.replace(b"%b", browser.sid.encode()))
    assert status == 202, answer
    assert (await browser.frame())["message"] == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_the_content_type_is_not_asked_for(lone: LiveNode, content_type: str) -> None:
    """What `curl -d` sends is enough."""
    headers = {"Content-Type": content_type}
    assert (await lone.post({"sid": SID, "message": 1}, **headers))[0] == 202


async def test_requests_that_wait_for_each_other_are_ordered(node: LiveNode) -> None:
    """The next request after the 202 comes later in every browser."""
    async with node.tab() as browser:
        for n in range(50):
            await node.send(browser.sid, n)
        await node.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == list(range(50))


async def test_requests_at_once_are_all_taken(node: LiveNode) -> None:
    """Without order, but each once."""
    async with node.tab() as browser:
        await asyncio.gather(*(node.send(browser.sid, n) for n in range(100)))
        await node.send(browser.sid, LAST)
        assert sorted(await browser.values_until(LAST)) == list(range(100))


# -- the caller's mistakes --------------------------------------------------------------------

WRONG = [
    ({"message": 1}, "sid"),
    ({"sid": None, "message": 1}, "sid"),
    ({"sid": 5, "message": 1}, "sid"),
    ({"sid": "short", "message": 1}, "sid"),
    ({"sid": "a" * 129, "message": 1}, "sid"),
    ({"sid": "a" * 16 + "\n", "message": 1}, "sid"),
    ({"sid": "中" * 16, "message": 1}, "sid"),
    ({"sid": SID}, "message"),
    ({"sid": SID, "message": 1, "key": 5}, "key"),
    ({"sid": SID, "message": 1, "key": "k" * 129}, "key"),
    ({"sid": SID, "message": 1, "key": "k", "run": 5}, "run"),
    ({"sid": SID, "message": 1, "key": "k", "run": "r" * 65}, "run"),
    ({"sid": SID, "message": 1, "run": "r"}, "run"),
    ({"sid": SID, "message": 1, "key": "k", "final": "yes"}, "final"),
    ({"sid": SID, "message": 1, "key": "k", "final": 1}, "final"),
    ({"sid": SID, "message": 1, "key": "k", "stall_s": 0}, "stall_s"),
    ({"sid": SID, "message": 1, "key": "k", "stall_s": -1}, "stall_s"),
    ({"sid": SID, "message": 1, "key": "k", "stall_s": "5"}, "stall_s"),
    ({"sid": SID, "message": 1, "stall_s": 5}, "stall_s"),
    ({"sid": SID, "message": 1, "dedupe": 5}, "dedupe"),
    ({"sid": SID, "message": 1, "dedupe": "d" * 65}, "dedupe"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG, ids=lambda value: str(value)[:60])
async def test_a_wrong_field_is_named(
    lone: LiveNode, browser: Tab, wrong: dict[str, object], field: str
) -> None:
    """400 names the field; in an array its index too, and none of the array is published."""
    status, problem = await lone.post(wrong)
    assert (status, problem["status"], problem["field"]) == (400, 400, field)
    assert problem["title"]
    assert problem["detail"]

    right = {"sid": browser.sid, "message": "never published"}
    status, problem = await lone.post([right] * 7 + [wrong] + [right] * 3)
    assert (status, problem["field"], problem["index"]) == (400, field, 7)
    assert await still_serves(browser)


@pytest.mark.parametrize(
    "member", [b"5", b"null", b'"x"', b"[]", b"{}", b'{"sid":"%s","message":}' % SID.encode()]
)
async def test_a_member_that_is_no_message(lone: LiveNode, browser: Tab, member: bytes) -> None:
    """One that is none spoils the whole request."""
    right = b'{"sid":"%s","message":"never published"}' % browser.sid.encode()
    status, problem = await lone.post(b"[%b,%b]" % (right, member))
    assert (status, problem["status"]) == (400, 400)
    assert await still_serves(browser)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"null",
        b"5",
        b'"text"',
        b"{",
        b"[",
        b'[{"sid":"%b","message":1}',
        b'{"sid":"%b","message":1}{"sid":"%b","message":2}',
        b'{"sid":"%b","message":1}\n{"sid":"%b","message":2}',
        b'{"sid":"%b","message":NaN}',
        b"{'sid':'%b','message':1}",
        b'{"sid":"%b","message":01}',
        b'{"sid":"%b","message":"\n"}',
        b'{"sid":"%b","message":"\xff"}',
        b'[{"sid":"%b","message":"\xed\xa0\x80"}]',
        b'{"sid":"%b","message":"\\ud800"}',
        b"\xff\xfe{\x00",
        b'{"sid":"%b","message":' + b"[" * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
@pytest.mark.usefixtures("no_collector")
async def test_a_body_that_is_no_json(lone: LiveNode, browser: Tab, body: bytes) -> None:
    """400, a problem, and nothing published, however broken it is."""
    async with lone.http.post(
        URL, data=body.replace(b"%b", browser.sid.encode()), headers=BEARER
    ) as answer:
        assert answer.status == 400
        assert answer.content_type == PROBLEM
        assert (await answer.json(content_type=None))["detail"]
    assert await still_serves(browser)


async def test_a_body_that_cannot_be_unpacked(lone: LiveNode) -> None:
    """A wrong content encoding is the caller's mistake, not the server's."""
    async with lone.http.post(
        URL, data=b"no gzip", headers=BEARER | {"Content-Encoding": "gzip"}
    ) as answer:
        assert (answer.status, answer.content_type) == (400, PROBLEM)


# -- too large --------------------------------------------------------------------------------


async def test_so_many_messages_and_no_more(lone: LiveNode, browser: Tab) -> None:
    """1,000 messages of one request are published, of 1,001 none."""
    member = {"sid": browser.sid, "message": "x"}
    status, problem = await lone.post([member] * (MEMBERS_MAX + 1))
    assert status in (400, 413)
    assert str(MEMBERS_MAX) in problem["detail"]
    assert await still_serves(browser)
    status, answer = await lone.post([member] * MEMBERS_MAX)
    assert (status, len(answer["ids"])) == (202, MEMBERS_MAX)


async def test_the_largest_request(lone: LiveNode, browser: Tab) -> None:
    """8 MiB are taken, one byte more is 413; without a declared length too."""
    body = b'{"sid":"%b","message":1}' % browser.sid.encode()
    body += b" " * (REQUEST_MAX_BYTES - len(body))
    assert (await lone.post(body))[0] == 202
    assert (await browser.frame())["message"] == 1

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]
        yield b" "

    assert (await lone.post(body + b" "))[0] == 413
    async with lone.http.post(URL, data=in_chunks(), headers=BEARER) as answer:
        assert (answer.status, answer.content_type) == (413, PROBLEM)
    assert await still_serves(browser)


async def test_a_message_that_is_too_large(lone: LiveNode, browser: Tab) -> None:
    """413 names the field and in an array the index, and nothing is published."""
    right = {"sid": browser.sid, "message": "never published"}
    wrong = {"sid": browser.sid, "message": "x" * 65_537}
    status, problem = await lone.post(wrong)
    assert (status, problem["field"]) == (413, "message")
    status, problem = await lone.post([right, wrong])
    assert (status, problem["field"], problem["index"]) == (413, "message", 1)
    assert await still_serves(browser)


async def test_the_limit_of_a_message_is_a_setting(start: Start) -> None:
    """`PROGRESS_WS_MAX_MESSAGE_BYTES`, of strings and of other values."""
    node = await start(max_message_bytes=10)
    for message in ("x" * 10, [1, 2, 3, 4], 1234567890, "\n" * 10, "中中中x"):
        assert (await node.post({"sid": SID, "message": message}))[0] == 202, message
    for message in ("x" * 11, [1, 2, 3, 4, 5], 12345678901, "\n" * 11, "中中中中"):
        assert (await node.post({"sid": SID, "message": message}))[0] == 413, message


# -- not allowed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer a-token-for-test",
     "Bearer a-token-for-tests2", "a-token-for-tests", "Bearer A-TOKEN-FOR-TESTS", "Bearer 密码"],
)  # fmt: skip
async def test_without_the_token_it_is_401(lone: LiveNode, browser: Tab, given: str | None) -> None:
    """A missing or wrong token is refused before the body is looked at."""
    headers = {} if given is None else {"Authorization": given}
    for body in ({"sid": browser.sid, "message": "never published"}, "no message"):
        async with lone.http.post(URL, json=body, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (401, PROBLEM)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            has_come = (given or "").startswith("Bearer ") and given != "Bearer "
            said = "the publish token is wrong" if has_come else "send the header Authorization"
            assert said in (await answer.json(content_type=None))["detail"]
    assert await still_serves(browser)


async def test_the_scheme_has_no_case(lone: LiveNode) -> None:
    """RFC 9110, section 11.1: `bearer` is `Bearer`."""
    headers = {"Authorization": BEARER["Authorization"].replace("Bearer", "bearer")}
    async with lone.http.post(URL, json={"sid": SID, "message": 1}, headers=headers) as answer:
        assert answer.status == 202


async def test_without_a_configured_token_it_is_403(start: Start) -> None:
    """Nobody may publish, whatever he sends."""
    node = await start(publish_token=None)
    for headers in ({}, {"Authorization": "Bearer None"}, {"Authorization": "Bearer "}):
        async with node.http.post(URL, json={"sid": SID, "message": 1}, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (403, PROBLEM)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", URL, 405),
        ("PUT", URL, 405),
        ("DELETE", "/api/v1/cluster", 405),
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v2/messages", 404),
    ],
)
async def test_other_errors_are_problems_too(
    lone: LiveNode, method: str, path: str, status: int
) -> None:
    """A client of the API need not understand a second kind of error."""
    async with lone.http.request(method, path) as answer:
        assert (answer.status, answer.content_type) == (status, PROBLEM)
        assert (await answer.json(content_type=None))["status"] == status


# -- the broker is away -----------------------------------------------------------------------

NOBODY = "amqp://somebody:a-secret-password@127.0.0.1:1/"


async def test_without_a_broker_it_is_503(start: Start) -> None:
    """Within the publish timeout, with `Retry-After`, the reason, and no password in it."""
    node = await start(amqp_url=NOBODY, publish_timeout_seconds=0.5, ready=False)
    before = time.monotonic()
    with stopwatch() as seconds:
        async with node.http.post(URL, json={"sid": SID, "message": 1}, headers=BEARER) as answer:
            assert (answer.status, answer.content_type) == (503, PROBLEM)
            assert int(answer.headers["Retry-After"]) > 0
            text = await answer.text()
        assert seconds() < 2
    assert time.monotonic() - before > 0.4
    assert "127.0.0.1:1" in text
    assert "secret" not in text


@pytest.fixture
async def proxy(rabbitmq: RabbitMQ) -> AsyncIterator[Proxy]:
    """The way to RabbitMQ, which can be cut."""
    async with Proxy(rabbitmq.port) as opened:
        yield opened


@pytest.mark.broker
async def test_a_broker_that_falls_silent_is_503(
    rabbitmq: RabbitMQ, amqp_url: str, proxy: Proxy, start: Start
) -> None:
    """Nothing says that it is gone: the timeout does. What it may still get, it gets once."""
    url = amqp_url.replace(f":{rabbitmq.port}/", f":{proxy.port}/")
    node = await start(amqp_url=url, publish_timeout_seconds=0.5)
    async with node.tab() as browser:
        proxy.black_hole()
        with stopwatch() as seconds:
            status, problem = await node.post({"sid": browser.sid, "message": "perhaps"})
            assert seconds() < 2
        assert status == 503
        assert problem["detail"]
        proxy.pass_on()

        async def is_taken() -> bool:
            return (await node.post({"sid": browser.sid, "message": LAST}))[0] == 202

        await eventually(is_taken)
        assert (await browser.values_until(LAST)).count("perhaps") <= 1


@pytest.mark.broker
async def test_browsers_stay_while_the_broker_is_away(
    rabbitmq: RabbitMQ, amqp_url: str, proxy: Proxy, start: Start
) -> None:
    """503 and not ready while it is gone; when it is back, the same socket gets messages again."""
    url = amqp_url.replace(f":{rabbitmq.port}/", f":{proxy.port}/")
    node = await start(amqp_url=url, publish_timeout_seconds=0.2)
    async with node.tab() as browser:
        await proxy.refuse()

        async def is_unready() -> bool:
            return (await node.get("/readyz"))[0] == 503

        await eventually(is_unready)
        assert (await node.post({"sid": browser.sid, "message": "lost"}))[0] == 503
        assert await still_serves(browser)
        await proxy.listen()

        async def is_ready() -> bool:
            return (await node.get("/readyz"))[0] == 200

        await eventually(is_ready)
        await node.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == []
        assert await node.metric("broker_reconnects_total", side="consuming") == 1


async def test_a_mistake_is_told_though_the_broker_is_away(start: Start) -> None:
    """Trying again cannot help, so 400, and at once."""
    node = await start(amqp_url=NOBODY, publish_timeout_seconds=30, ready=False)
    async with asyncio.timeout(5):
        assert (await node.post({"sid": "x", "message": 1}))[0] == 400


async def test_with_a_full_buffer_it_is_429(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded while the broker is away: more is refused at once, with `Retry-After`."""
    monkeypatch.setattr(parts, "MAX_BUFFER_BYTES", 1024 * 1024)
    node = await start(amqp_url=NOBODY, publish_timeout_seconds=1, ready=False)
    message = {"sid": new_sid(), "message": "x" * 60_000}
    waiting = asyncio.create_task(node.post([message] * 15))

    async def is_waiting() -> bool:
        return await node.metric("publish_unconfirmed") == 15

    await eventually(is_waiting)
    async with (
        asyncio.timeout(0.5),
        node.http.post(URL, json=[message] * 3, headers=BEARER) as answer,
    ):
        assert (answer.status, answer.content_type) == (429, PROBLEM)
        assert int(answer.headers["Retry-After"]) > 0
    assert (await waiting)[0] == 503
    assert await node.metric("publish_unconfirmed") == 0
