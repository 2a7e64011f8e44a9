"""A string is delivered as that very string, and any JSON value as that value."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from progress_ws import Publisher, new_sid
from progress_ws.node.settings import Settings
from tests.node.conftest import BEARER, TOKEN, LiveNode, Start, live_when_ready
from tests.support.tab import Tab

STRINGS = {
    "empty": "",
    "quotes": "\"'`“”„“«»",
    "backslashes": "\\ \\\\ \\n \\u0041 C:\\new\\table",
    "the article's separator": ";;;sid;;;{};;;",
    "line ends": "a\nb\r\nc\rd\n\n",
    "NUL": "before\0after\0",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 😀",
    "beyond the BMP": "\U0001f600\U00010000\U0010ffff",
    "JavaScript's line ends": "\u2028\u2029\u0085",
    "byte order marks": "\ufeff\ufffe\uffff",
    "combining": "e\u0301 é ﬁ ﷺ",
    "right to left": "שלום \u202eabc\u202c مرحبا",
    "looks like JSON": '{"type":"message","sid":"x"}',
    "looks like HTML": "<script>alert('&amp;')</script>",
    "blanks": " \t  ",
    "Chinese": "进度：百分之五十",
    "64 KiB of Chinese": "进" * 21_845 + "x",
    "64 KiB of NUL": "\0" * 65_536,
    "64 KiB of quotes": '"' * 65_536,
    "64 KiB of emoji": "😀" * 16_384,
}

#: JSON as a publisher writes it: the text of a value is not rebuilt on its way.
VALUES = [
    "0",
    "-0",
    "1.0",
    "1.10",
    "1e5",
    "1E+05",
    "9007199254740993",
    "123456789012345678901234567890",
    "3.14159265358979323846264338327950288",
    "1e999",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    '[1, [2, [3, [4, {"five": [6]}]]]]',
    '{"b": 1, "a": 2, "": 3, "b ": {"sid": "x", "type": "message"}}',
    '{"kind":"progress","state":"running","current":5,"total":10}',
    '"\\u4e2d\\/\\ud83d\\ude00"',
    "[" * 100 + "]" * 100,
]


@pytest.mark.parametrize("text", STRINGS.values(), ids=STRINGS.keys())
async def test_a_string_arrives_as_it_is(lone: LiveNode, text: str) -> None:
    """Through the HTTP API, written with escapes and without, in both formats."""
    async with (
        lone.tab() as browser,
        lone.http.ws_connect(f"/websocket/progress?format=text&sid={browser.sid}") as old,
    ):
        await old.receive_str()
        for ascii_ in (True, False):
            member = {"sid": browser.sid, "message": text}
            body = json.dumps(member, ensure_ascii=ascii_).encode()
            assert (await lone.post(body))[0] == 202
            assert (await browser.frame())["message"] == text
            assert await old.receive_str(timeout=5) == text


@pytest.mark.broker
async def test_every_string_at_once(amqp_url: str, start: Start) -> None:
    """Through RabbitMQ, from a worker's publisher and from the HTTP API, in arrays."""
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser, Publisher(amqp_url) as publisher:
        texts = list(STRINGS.values())
        batch = [{"sid": browser.sid, "message": text} for text in texts]
        assert (await node.post(batch))[0] == 202
        await asyncio.gather(*(publisher.send(browser.sid, text) for text in texts))
        got = [(await browser.frame())["message"] for _ in range(2 * len(texts))]
        assert got == texts * 2


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:40])
async def test_a_value_arrives_as_it_was_written(lone: LiveNode, value: str) -> None:
    """Not only equal: the very text, so that no number is rounded and no key reordered."""
    async with lone.tab() as browser:
        body = b'{"sid":"%b","message":%b}' % (browser.sid.encode(), value.encode())
        assert (await lone.post(body))[0] == 202
        async with asyncio.timeout(5):
            frame = await browser.socket.recv()
        assert f'"message":{value}' in frame
        assert json.loads(frame)["message"] == json.loads(value)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "depths",
    [[1, 50, 100], [250, 500], range(970, 1000), [5000, 30_000]],
    ids=["shallow", "deep", "around the limit of the interpreter", "absurd"],
)
async def test_a_deep_value_is_delivered_or_refused(lone: LiveNode, depths: Sequence[int]) -> None:
    """202 means that browsers get it; what is too deep for any part of the way is a 400."""
    async with lone.tab() as browser:
        for depth in depths:
            value = "[" * depth + "]" * depth
            body = b'{"sid":"%b","message":%b}' % (browser.sid.encode(), value.encode())
            status, _ = await lone.post(body)
            assert status == 202 or (status == 400 and depth > 100)
            await lone.send(browser.sid, "next")
            for expected in [value, '"next"'] if status == 202 else ['"next"']:
                async with asyncio.timeout(5):
                    assert f'"message":{expected},' in await browser.socket.recv()


async def test_the_size_is_measured_as_utf8(lone: LiveNode) -> None:
    """A string without its quotes and escapes: exactly 65,536 bytes pass, one more does not."""
    async with lone.tab() as browser:
        for text in ("x" * 65_536, "进" * 21_845 + "x", "\n" * 65_536, "😀" * 16_384):
            assert len(text.encode()) == 65_536
            for ascii_ in (True, False):
                for over, expected in ((text, 202), (text + "x", 413)):
                    member = {"sid": browser.sid, "message": over}
                    body = json.dumps(member, ensure_ascii=ascii_).encode()
                    assert (await lone.post(body))[0] == expected


# -- any JSON value ---------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One loop for all examples: hypothesis calls plain functions."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def opened(loop: asyncio.Runner) -> Iterator[tuple[LiveNode, Tab]]:
    """A node and a tab that live as long as that loop."""

    @asynccontextmanager
    async def both() -> AsyncIterator[tuple[LiveNode, Tab]]:
        async with (
            live_when_ready(Settings(publish_token=TOKEN)) as node,
            node.tab(sid=new_sid()) as browser,
        ):
            yield node, browser

    context = both()
    yield loop.run(context.__aenter__())
    loop.run(context.__aexit__(None, None, None))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=JSON, ascii_=st.booleans())
def test_any_json_value(
    loop: asyncio.Runner, opened: tuple[LiveNode, Tab], value: object, ascii_: bool
) -> None:
    """Whatever JSON can carry goes through the HTTP API and comes out the same."""
    node, browser = opened

    async def through() -> object:
        member = {"sid": browser.sid, "message": value}
        body = json.dumps(member, ensure_ascii=ascii_).encode()
        async with node.http.post("/api/v1/messages", data=body, headers=BEARER) as answer:
            assert answer.status == 202, await answer.text()
        return (await browser.frame())["message"]

    assert _same(loop.run(through()), value)


def _same(got: object, sent: object) -> bool:
    """Equal, and of equal types all the way down: for Python `1 == 1.0 == True`."""
    return repr(got) == repr(sent)
