"""What a publisher promises, on both ways: over RabbitMQ and over a node's HTTP API."""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any

import pytest

from progress_ws import BlockingPublisher, InvalidMessage, ProgressError, Publisher, new_sid, track
from progress_ws.core.message import parse_id
from progress_ws.errors import SettingsError
from tests.publish.conftest import Way

LAST = "the last one"


async def test_a_message_that_was_sent_arrives(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        id_ = await publisher.send(browser.sid, {"rows": 10})
        frame = await browser.frame()
        assert (frame["message"], frame["id"]) == ({"rows": 10}, id_)


async def test_every_field_arrives(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        await publisher.send(browser.sid, "v", key="k", run="r", final=True, stall_s=5, dedupe="d")
        frame = await browser.frame()
        assert (frame["key"], frame["run"], frame["final"]) == ("k", "r", True)


async def test_ids_rise_by_one(way: Way) -> None:
    async with way.publisher() as publisher:
        numbers = [parse_id(await publisher.send(new_sid(), n)) for n in range(5)]
    assert len({number.publisher for number in numbers if number}) == 1
    first = numbers[0]
    assert first is not None
    assert [number.seq for number in numbers if number] == [first.seq + n for n in range(5)]


async def test_posts_arrive_in_their_order(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        for n in range(3000):
            publisher.post(browser.sid, n)
        await publisher.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == list(range(3000))


async def test_posts_and_sends_keep_their_common_order(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        for n in range(0, 100, 2):
            publisher.post(browser.sid, n)
            await publisher.send(browser.sid, n + 1)
        await publisher.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == list(range(100))


async def test_many_sends_at_once_have_as_many_ids_and_keep_their_order(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        ids = await asyncio.gather(*(publisher.send(browser.sid, n) for n in range(500)))
        await publisher.send(browser.sid, LAST)
        assert await browser.values_until(LAST) == list(range(500))
        assert len(set(ids)) == 500


async def test_of_many_posts_of_a_key_the_newest_arrives_last(way: Way) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        for n in range(1000):
            publisher.post(browser.sid, n, key="k")
        await publisher.send(browser.sid, LAST)
        values = await browser.values_until(LAST)
        assert values[-1] == 999
        assert values == sorted(set(values))
        assert len(values) < 100, "what is replaced need not travel"


@pytest.mark.parametrize(
    "text",
    [
        "",
        'quotes " and \' and \\ and \\"',
        ";;;",
        "a\r\nb\x00\x1f\x7f",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u2028\ufeff",
        "中" * 21845,
        '"' * 65536,
    ],
    ids=["empty", "quotes", ";;;", "control", "emoji", "64 KiB of Chinese", "64 KiB of quotes"],
)
async def test_any_string_arrives_as_it_is(way: Way, text: str) -> None:
    async with way.tab() as browser, way.publisher() as publisher:
        await publisher.send(browser.sid, text)
        assert (await browser.frame())["message"] == text


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"sid": "short"}, "sid"),
        ({"sid": None}, "sid"),
        ({"message": object()}, "message"),
        ({"message": "x" * 65537}, "message"),
        ({"key": "k" * 129}, "key"),
        ({"run": "without a key"}, "run"),
        ({"key": "k", "stall_s": math.inf}, "stall_s"),
        ({"dedupe": "d" * 65}, "dedupe"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_no_node_would_accept_is_the_callers_mistake_at_once(
    way: Way, fields: dict[str, Any], wrong: str
) -> None:
    given = {"sid": new_sid(), "message": 1} | fields
    sid, message = given.pop("sid"), given.pop("message")
    async with way.publisher() as publisher:
        with pytest.raises(InvalidMessage) as from_send:
            await publisher.send(sid, message, **given)
        with pytest.raises(InvalidMessage) as from_post:
            publisher.post(sid, message, **given)
        assert from_send.value.field == from_post.value.field == wrong


async def test_what_joins_others_is_looked_at_as_much(way: Way) -> None:
    """Whatever is posted right behind its like takes a shorter way, with the same outcome."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    wrong: list[Any] = [deep, "x" * 70_000, object(), [1, {"a": object()}], 1j]
    async with way.tab() as browser, way.publisher() as publisher:
        mutable = {"rows": 1}
        publisher.post(browser.sid, "first")
        for value in wrong:
            publisher.post(browser.sid, "between")
            with pytest.raises(InvalidMessage, match="message"):
                publisher.post(browser.sid, value)
        for sid in ("short", 5, ["a list"]):
            with pytest.raises(InvalidMessage, match="sid"):
                publisher.post(sid, 1)  # type: ignore[arg-type]
        for field in ({"run": "r"}, {"stall_s": 5}, {"dedupe": "d" * 65}, {"key": "k" * 200}):
            with pytest.raises(InvalidMessage):
                publisher.post(browser.sid, 1, **field)  # type: ignore[arg-type]
        publisher.post(browser.sid, mutable)
        mutable["rows"] = 2
        publisher.post(browser.sid, math.nan)
        publisher.post(browser.sid, "long" * 500)
        publisher.post(browser.sid, "keyed", key="")
        publisher.post(browser.sid, "after")
        await publisher.send(browser.sid, LAST)
        expected = ["first", *["between"] * len(wrong), {"rows": 1}, None, "long" * 500]
        assert await browser.values_until(LAST) == [*expected, "keyed", "after"]


async def test_the_bound_of_a_message_can_be_set_as_on_the_nodes(way: Way) -> None:
    async with way.publisher(max_message_bytes=10) as publisher:
        await publisher.send(new_sid(), "x" * 10)
        with pytest.raises(InvalidMessage):
            await publisher.send(new_sid(), "x" * 11)


async def test_closing_sends_what_still_waits(way: Way) -> None:
    async with way.tab() as browser:
        async with way.publisher() as publisher:
            for n in range(1000):
                publisher.post(browser.sid, n)
        for n in range(1000):
            assert (await browser.frame())["message"] == n


async def test_closing_says_how_many_were_not_confirmed(way: Way) -> None:
    publisher = way.publisher()
    publisher.start()
    publisher.post(new_sid(), 1)
    assert await publisher.close() == 0
    assert await publisher.close() == 0


async def test_what_was_posted_before_an_error_is_sent_all_the_same(way: Way) -> None:
    async with way.tab() as browser:
        with suppress(ZeroDivisionError):
            async with way.publisher() as publisher:
                publisher.post(browser.sid, "failed", final=True, key="k")
                raise ZeroDivisionError
        assert (await browser.frame())["message"] == "failed"


async def test_before_the_start_and_after_the_end_it_says_how_it_is_meant(way: Way) -> None:
    publisher = way.publisher()
    with pytest.raises(ProgressError, match="async with"):
        await publisher.send(new_sid(), 1)
    with pytest.raises(ProgressError, match="async with"):
        list(track([1], sid=new_sid(), publisher=publisher))
    async with publisher:
        await publisher.send(new_sid(), 1)
    with pytest.raises(ProgressError, match="async with"):
        publisher.post(new_sid(), 1)
    with pytest.raises(ProgressError, match="async with"):
        publisher.progress(new_sid())


async def test_another_event_loop_is_told_so_at_once(way: Way) -> None:
    """As that of an `asyncio.run` in a thread, where nothing would ever wake who waits."""
    async with way.publisher() as publisher:
        with pytest.raises(ProgressError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, publisher.send(new_sid(), 1))


async def test_a_publisher_whose_task_was_cancelled_says_so(way: Way) -> None:
    """Some programs cancel all tasks at their end; a job must not be taken along."""
    async with way.publisher() as publisher:
        await publisher.send(new_sid(), 1)
        (running,) = [t for t in asyncio.all_tasks() if t.get_name() == "progress-ws publisher"]
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(ProgressError, match="ended"):
            publisher.post(new_sid(), 2)
        with pytest.raises(ProgressError, match="ended"):
            await publisher.send(new_sid(), 2)


async def test_it_can_be_started_again(way: Way) -> None:
    publisher = way.publisher()
    async with way.tab() as browser:
        for n in range(3):
            async with publisher:
                await publisher.send(browser.sid, n)
            assert (await browser.frame())["message"] == n


async def test_starting_twice_is_starting_once(way: Way) -> None:
    before = asyncio.all_tasks()
    async with way.publisher() as publisher:
        publisher.start()
        await publisher.send(new_sid(), 1)
    assert not [task for task in asyncio.all_tasks() - before if "publisher" in task.get_name()]


async def test_it_leaves_no_task_behind(way: Way) -> None:
    before = asyncio.all_tasks()
    async with way.publisher() as publisher:
        await publisher.send(new_sid(), 1)
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    # A node of this process may still be ending its side of the connection.
    assert not [
        task for task in left if "progress_ws.publish" in str(task) or "aiormq" in str(task)
    ]


async def test_it_logs_nothing_while_all_is_well(
    way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with way.publisher() as publisher:
        await publisher.send(new_sid(), "secret content")
        publisher.post(new_sid(), "secret content")
    assert [record.name for record in caplog.records if record.name == "progress_ws"] == []
    assert "secret content" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "redis://localhost/",
        "amqp://",
        "amqp:///vhost",
        "http://",
        "amqp://host:port/",
        "amqp://host:99999/",
        "http://host:port",
        "httpx://host",
        "http://user:password@host",
        "http://a host",
    ],
)
def test_an_address_of_no_known_kind_is_told_before_anything_is_opened(url: str) -> None:
    with pytest.raises(SettingsError, match=r"amqp|http"):
        Publisher(url, token="a-token")


def test_an_address_is_told_without_its_password() -> None:
    for url in (
        "redis://user:hunter2@host/",
        "amqp://user:hunter2@host:port/",
        "user:hunter2@host",
        "http://user:hunter2@host",
    ):
        with pytest.raises(SettingsError) as refusal:
            Publisher(url, token="a-token")
        assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("prefix", ["", "é b", "amq.x", "x" * 65, "x\n"])
def test_a_prefix_that_no_node_takes_is_told_before_anything_is_opened(prefix: str) -> None:
    with pytest.raises(SettingsError, match=r"prefix=.* is wrong: it must be 1 to 64 characters"):
        Publisher("amqp://localhost/", prefix=prefix)


@pytest.mark.parametrize("kind", [Publisher, BlockingPublisher])
def test_a_wrong_prefix_of_the_environment_is_told_as_such(
    kind: type[Publisher | BlockingPublisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROGRESS_WS_PREFIX", "é b")
    with pytest.raises(SettingsError, match="PROGRESS_WS_PREFIX='é b' is wrong"):
        kind("amqp://localhost/")
    kind("amqp://localhost/", prefix="given")


def test_a_node_needs_a_token() -> None:
    with pytest.raises(SettingsError, match="PROGRESS_WS_PUBLISH_TOKEN"):
        Publisher("http://localhost:8080")


@pytest.mark.parametrize("token", ["with\nnewline", "newline at the end\n", "", " "])
def test_a_token_that_cannot_be_sent_is_told_before_anything_is_opened(token: str) -> None:
    """Read from a file, it often has a line's end."""
    with pytest.raises(SettingsError, match="token"):
        Publisher("http://localhost:8080", token=token)


def test_a_publisher_shows_no_secret() -> None:
    assert "hunter2" not in repr(Publisher("amqp://user:hunter2@host/"))
    assert "hunter2" not in repr(Publisher("http://host", token="hunter2"))
