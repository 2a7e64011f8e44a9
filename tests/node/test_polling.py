"""Polling: what is retained beyond a position, and the position behind it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import pytest

from progress_ws import Publisher, new_sid
from progress_ws.node.keys import MEMORY
from tests.node.conftest import LiveNode, Start
from tests.support.server import connected
from tests.support.waiting import eventually

ORIGIN = "https://app.example"
LAST = "the last one"


async def poll(node: LiveNode, sid: str, after: str | None = None) -> dict[str, Any]:
    """The answer to one request."""
    query = {} if after is None else {"after": after}
    async with node.http.get(f"/api/v1/sessions/{sid}/messages", params=query) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        found: dict[str, Any] = json.loads(await answer.read())
        assert found["sid"] == sid
        return found


def values(answer: dict[str, Any]) -> list[Any]:
    return [frame["message"] for frame in answer["messages"]]


async def test_a_session_of_which_nothing_is_known_is_empty(node: LiveNode) -> None:
    sid = new_sid()
    assert await poll(node, sid) == {"sid": sid, "messages": [], "after": ""}
    assert await poll(node, sid, "") == {"sid": sid, "messages": [], "after": ""}
    assert await poll(node, sid, "p-1") == {
        "sid": sid,
        "recovered": False,
        "messages": [],
        "after": "p-1",
    }


async def test_each_call_goes_on_where_the_last_one_ended(node: LiveNode) -> None:
    sid = new_sid()
    first = await node.send(sid, 1)
    await node.send(sid, "10 %", key="report")
    await node.heard(await node.send(sid, "20 %", key="report", final=True))
    answer = await poll(node, sid)
    assert "recovered" not in answer
    assert values(answer) == [1, "20 %"]
    frame = answer["messages"][0]
    assert frame["ts"] > 0
    assert frame | {"ts": 0} == {
        "type": "message",
        "sid": sid,
        "message": 1,
        "id": first,
        "ts": 0,
        "replay": True,
    }
    assert answer["after"] == answer["messages"][1]["id"]
    after = answer["after"]
    for n in range(3):
        answer = await poll(node, sid, after)
        assert (answer["recovered"], values(answer), answer["after"]) == (True, [], after)
        after = await node.heard(await node.send(sid, n))
        answer = await poll(node, sid, answer["after"])
        assert (answer["recovered"], values(answer), answer["after"]) == (True, [n], after)


async def test_a_position_ahead_of_the_node_is_kept(node: LiveNode) -> None:
    sid = new_sid()
    publisher, _, seq = (await node.heard(await node.send(sid, 1))).rpartition("-")
    ahead = f"{publisher}-{int(seq) + 1}"
    answer = await poll(node, sid, f"other-5,{ahead}")
    assert (values(answer), answer["after"]) == ([], f"other-5,{ahead}")
    await node.heard(await node.send(sid, "seen already"))
    answer = await poll(node, sid, ahead)
    assert (values(answer), answer["after"]) == ([], ahead)
    last = await node.heard(await node.send(sid, LAST))
    answer = await poll(node, sid, ahead)
    assert (values(answer), answer["after"]) == ([LAST], last)


async def test_who_is_silent_stands_at_the_end(node: LiveNode) -> None:
    sid = new_sid()
    after = await node.send(sid, 1, key="report", stall_s=0.3)
    await eventually(lambda: node.app[MEMORY].silence.is_stalled(sid, "report"))
    for position in (None, after):
        frame = (await poll(node, sid, position))["messages"][-1]
        assert (frame["type"], frame["sid"], frame["key"]) == ("stalled", sid, "report")
        assert frame["silent_s"] >= 0.3


async def test_without_history_there_is_nothing_to_have(
    broker_url: str | None, start: Start
) -> None:
    node = await start(amqp_url=broker_url, history_bytes=0)
    sid = new_sid()
    after = await node.heard(await node.send(sid, 1))
    answer = await poll(node, sid, after)
    assert (answer["recovered"], answer["messages"]) == (False, [])


async def test_a_long_answer_is_whole(lone: LiveNode) -> None:
    """As much as a session may have; publishing goes on meanwhile."""
    sid, big = new_sid(), "x" * 50_000
    for _ in range(6):
        assert (await lone.post([{"sid": sid, "message": big}] * 20))[0] == 202
    polling = [asyncio.create_task(poll(lone, sid)) for _ in range(3)]
    for n in range(20):
        await lone.send(sid, f"{n}{big}")
    for answer in await asyncio.gather(*polling):
        frames = answer["messages"]
        assert [frame["message"] for frame in frames[:120]] == [big] * 120
        assert answer["after"] == frames[-1]["id"]
        rest = await poll(lone, sid, answer["after"])
        assert rest["recovered"] is True
        assert len(frames) + len(rest["messages"]) == 140


async def test_who_does_not_read_the_answer_is_cut_off(
    lone: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progress_ws.node.polling.STALLED_AFTER_S", 0.3)
    sid = new_sid()
    for _ in range(7):
        assert (await lone.post([{"sid": sid, "message": "x" * 60_000}] * 17))[0] == 202
    async with connected(int(lone.url.rpartition(":")[2])) as (reader, writer):
        writer.write(f"GET /api/v1/sessions/{sid}/messages HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"messages")
        reader._transport.pause_reading()  # type: ignore[attr-defined]

        def is_cut_off() -> bool:
            writer.write(b"x")  # only then is it told
            return writer.transport.is_closing()

        await eventually(is_cut_off)
    assert (await poll(lone, sid))["messages"]


@pytest.mark.parametrize(
    ("sid", "query"),
    [
        ("short", ""),
        ("s" * 129, ""),
        ("%20" * 20, ""),
        ("s" * 22, "?after=what"),
        ("s" * 22, "?after=p-1;q-1"),
        ("s" * 22, "?after=" + ",".join(f"p{n}-1" for n in range(65))),
    ],
)
async def test_what_makes_no_sense_is_400(lone: LiveNode, sid: str, query: str) -> None:
    async with lone.http.get(f"/api/v1/sessions/{sid}/messages{query}") as answer:
        assert (answer.status, answer.content_type) == (400, "application/problem+json")
        assert (await answer.json(content_type=None))["field"] == ("after" if query else "sid")


async def test_pages_of_allowed_origins(start: Start) -> None:
    node = await start(allowed_origins=(ORIGIN,))
    path = f"/api/v1/sessions/{new_sid()}/messages"
    async with node.http.get(path, headers={"Origin": ORIGIN}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert answer.headers["Vary"] == "Origin"
    async with node.http.options(path, headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 204
    async with node.http.get(path, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


async def test_head_and_unknown_fields(lone: LiveNode) -> None:
    sid = new_sid()
    path = f"/api/v1/sessions/{sid}/messages"
    async with lone.http.head(path) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
    async with lone.http.get(path, params={"x": "y", "format": "text"}) as answer:
        assert json.loads(await answer.read()) == {"sid": sid, "messages": [], "after": ""}


# -- several nodes and publishers ----------------------------------------------------------------


@pytest.fixture
async def put(amqp_url: str) -> Callable[[str, object], Awaitable[None]]:
    """Publish by hand, without an id."""

    async def put(sid: str, value: object) -> None:
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange("progress-ws")
            body = json.dumps({"sid": sid, "message": value}).encode()
            await exchange.publish(aio_pika.Message(body), "")

    return put


@pytest.mark.broker
async def test_any_node_goes_on(amqp_url: str, start: Start) -> None:
    nodes = [await start(amqp_url=amqp_url, node=name) for name in "ab"]
    sid, after, got = new_sid(), "", []
    async with Publisher(amqp_url) as p, Publisher(amqp_url) as q:
        sent = [await (p, q)[n % 2].send(sid, n) for n in range(20)]

        async def has_all() -> bool:
            nonlocal after
            nodes.reverse()
            answer = await poll(nodes[0], sid, after)
            assert answer.get("recovered") is not False
            got.extend(frame["id"] for frame in answer["messages"])
            after = answer["after"]
            return len(got) >= len(sent)

        await eventually(has_all)
    assert sorted(got) == sorted(sent)


@pytest.mark.broker
async def test_what_has_no_id_comes_every_time(
    amqp_url: str, start: Start, put: Callable[[str, object], Awaitable[None]]
) -> None:
    """No position covers it."""
    node = await start(amqp_url=amqp_url)
    sid = new_sid()
    await put(sid, "by hand")

    async def has_come() -> bool:
        return values(await poll(node, sid)) == ["by hand"]

    await eventually(has_come)
    after = await node.heard(await node.send(sid, 1))
    answer = await poll(node, sid, "")
    assert (values(answer), answer["after"]) == (["by hand", 1], after)
    answer = await poll(node, sid, after)
    assert (values(answer), answer["after"]) == (["by hand"], after)
    assert (await poll(node, sid))["after"] == after
