"""Cancel: from a browser, over any node, to the publisher of a key; or word that nobody listens."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pika
import pytest

from progress_ws import Publisher, new_sid
from progress_ws.node import cancels
from progress_ws.node.keys import MEMORY
from tests.node.conftest import TOKEN, LiveNode, Start, answer, say, still_serves
from tests.support.tab import Tab
from tests.support.waiting import eventually, stopwatch

RUNNING = {"kind": "progress", "state": "running", "cancellable": True}
WITHIN_S = 1.0


async def cancel(browser: Tab, sid: str, key: str = "report") -> None:
    """Ask the publisher of a key to stop."""
    await say(browser, "cancel", sid=sid, key=key)


async def is_refused(browser: Tab, sid: str, key: str = "report") -> bool:
    """Whether nobody listens, by the next frame, in time."""
    with stopwatch() as seconds:
        frame = await answer(browser, "cancel", sid=sid, key=key)
        took_s = seconds()
    assert frame.pop("detail")
    expected = {"type": "error", "code": "nobody_listens", "sid": sid, "key": key}
    return frame == expected and took_s < WITHIN_S + 0.3  # a busy machine


async def wanted(node: LiveNode, sid: str, message: object = RUNNING, **fields: Any) -> list[str]:
    """Publish a message of the report; the keys that somebody wants to stop."""
    status, answer = await node.post({"sid": sid, "message": message, "key": "report"} | fields)
    assert status == 202
    assert all(slot["sid"] == sid for slot in answer["cancel"])
    return [slot["key"] for slot in answer["cancel"]]


async def over_http(node: LiveNode, sid: str, body: object, **headers: str) -> tuple[int, Any]:
    """Cancel as a page without a socket does; the status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"/api/v1/sessions/{sid}/cancel"
    async with node.http.post(url, data=data, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def knows(*nodes: LiveNode, sid: str, key: str = "report") -> None:
    """Wait until these nodes have a message of the key."""
    for node in nodes:
        await eventually(lambda node=node: node.app[MEMORY].history.current(sid, key))


async def kept(node: LiveNode, count: int = 1) -> None:
    """Wait until so many requests wait here for a worker."""

    async def is_so() -> bool:
        return await node.metric("cancels_kept") == count

    await eventually(is_so)


# -- workers that publish over HTTP ---------------------------------------------------------------


async def test_a_worker_over_http_is_told_with_its_next_answer_once(node: LiveNode) -> None:
    async with node.tab() as browser:
        assert await wanted(node, browser.sid) == []
        await browser.frame()
        await cancel(browser, browser.sid)
        assert await still_serves(browser)
        await kept(node)
        assert await wanted(node, new_sid()) == []
        assert await wanted(node, browser.sid) == ["report"]
        assert await wanted(node, browser.sid) == []
    assert await node.metric("cancels_total", result="taken") == 1


async def test_without_history_it_is_the_same(broker_url: str | None, start: Start) -> None:
    node = await start(amqp_url=broker_url, history_seconds=0)
    async with node.tab() as browser:
        await wanted(node, browser.sid, run="2")
        await browser.frame()
        await cancel(browser, browser.sid)
        await kept(node)
        assert await wanted(node, browser.sid, run="2") == ["report"]
        await wanted(node, browser.sid, run="2", final=True)
        await wanted(node, browser.sid, run="2")
        assert [(await browser.frame()).get("final") for _ in range(2)] == [None, True]
        assert await is_refused(browser, browser.sid)
        status, _ = await over_http(node, browser.sid, {"key": "report"})
        assert status == 404
        async with node.tab(sid=browser.sid) as later:
            assert await still_serves(later), "nothing is replayed"


async def test_one_answer_names_all_keys_that_are_to_stop(node: LiveNode) -> None:
    async with node.tab() as browser:
        batch = [{"sid": browser.sid, "message": RUNNING, "key": key} for key in "abc"]
        await node.post(batch)
        for key in "ac":
            await browser.frame()
            await cancel(browser, browser.sid, key)
        await browser.frame()
        await kept(node, 2)
        _, said = await node.post(batch)
        assert said["cancel"] == [{"sid": browser.sid, "key": key} for key in "ac"]


@pytest.mark.broker
async def test_the_worker_may_go_to_any_node_and_the_others_forget(
    amqp_url: str, start: Start
) -> None:
    first, second = [await start(amqp_url=amqp_url, node=name) for name in ("a", "b")]
    async with first.tab() as browser:
        await wanted(second, browser.sid)
        await browser.frame()
        await cancel(browser, browser.sid)
        await kept(first)
        await kept(second)
        assert await wanted(second, browser.sid) == ["report"]
        await kept(first, 0)
        assert await wanted(first, browser.sid) == []


async def test_a_publisher_that_says_nothing_of_itself_has_a_second_to_come(
    node: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node.tab() as browser:
        await wanted(node, browser.sid, "50 %")
        await browser.frame()
        assert await is_refused(browser, browser.sid)
        # The request that was refused waits still: until it is gone nobody can tell the next one.
        assert await wanted(node, browser.sid, "51 %") == ["report"]
        assert (await browser.frame())["message"] == "51 %"
        await kept(node, 0)
        monkeypatch.setattr(cancels, "WITHIN_S", 10.0)  # however slow the machine is
        await cancel(browser, browser.sid)
        await kept(node)
        assert await wanted(node, browser.sid, "52 %") == ["report"]
        assert (await browser.frame())["message"] == "52 %"
        assert await still_serves(browser)

        async def was_taken() -> bool:
            return await node.metric("cancels_total", result="taken") == 1

        await eventually(was_taken)


async def test_a_retry_is_not_stopped_by_what_was_meant_for_the_run_before(node: LiveNode) -> None:
    async with node.tab() as browser:
        await wanted(node, browser.sid, run="1")
        await browser.frame()
        await cancel(browser, browser.sid)
        await kept(node)
        assert await wanted(node, browser.sid, run="2") == []
        await kept(node, 0)


# -- nobody listens -------------------------------------------------------------------------------


async def test_of_an_unknown_key_nobody_is_asked(node: LiveNode) -> None:
    async with node.tab() as browser:
        assert await is_refused(browser, browser.sid)
        await node.send(browser.sid, RUNNING, key="other")
        await browser.frame()
        assert await is_refused(browser, browser.sid)
        assert await node.metric("cancels_total", result="refused") == 2


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (RUNNING, {"final": True}),
        (RUNNING | {"cancellable": False}, {}),
        ({"kind": "progress", "state": "running"}, {}),
        (RUNNING | {"cancellable": "yes"}, {}),
    ],
)
async def test_what_cannot_be_cancelled(
    lone: LiveNode, message: object, fields: dict[str, Any]
) -> None:
    async with lone.tab() as browser:
        await wanted(lone, browser.sid, message, **fields)
        await browser.frame()
        assert await is_refused(browser, browser.sid)
        await kept(lone, 0)


async def test_of_a_publisher_that_fell_silent_nothing_is_asked(node: LiveNode) -> None:
    async with node.tab() as browser:
        await wanted(node, browser.sid, stall_s=0.2)
        assert [(await browser.frame())["type"] for _ in range(2)] == ["message", "stalled"]
        assert await is_refused(browser, browser.sid)


# -- frames ---------------------------------------------------------------------------------------


async def test_only_who_is_attached_may_cancel(lone: LiveNode) -> None:
    sid = new_sid()
    await wanted(lone, sid)
    async with lone.tab() as browser:
        frame = await answer(browser, "cancel", sid=sid, key="report")
        assert frame.pop("detail")
        assert frame == {"type": "error", "code": "not_attached", "sid": sid, "key": "report"}
        assert (await answer(browser, "follow", sid=sid))["type"] == "followed"
        await browser.frame()
        await cancel(browser, sid)
        assert await still_serves(browser)
        await kept(lone)


async def test_a_flood_of_cancels_is_answered_and_does_not_stop_the_reader(
    lone: LiveNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight are underway, each for a while; the others are refused at once."""
    monkeypatch.setattr(cancels, "WITHIN_S", 2.0)  # longer than the machine pauses
    async with lone.tab() as browser:
        for n in range(20):
            await lone.send(browser.sid, "opaque", key=f"k{n}")
            await browser.frame()
        for n in range(20):
            await cancel(browser, browser.sid, f"k{n}")
        refused = [(await browser.frame())["key"] for _ in range(12)]
        assert refused == [f"k{n}" for n in range(8, 20)]
        assert await still_serves(browser)
        late = {(await browser.frame())["key"] for _ in range(8)}
        assert late == {f"k{n}" for n in range(8)}


async def test_a_browser_that_leaves_meanwhile_leaves_nothing_behind(lone: LiveNode) -> None:
    async with lone.tab() as browser:
        await lone.send(browser.sid, "opaque", key="report")
        await browser.frame()
        await cancel(browser, browser.sid)
        await kept(lone)
    await eventually(lambda: "Asking" not in repr(asyncio.all_tasks()))


# -- over HTTP ------------------------------------------------------------------------------------


async def test_a_page_without_a_socket_cancels_over_http(node: LiveNode) -> None:
    sid = new_sid()
    assert (await over_http(node, sid, {"key": "report"}))[0] == 404
    await wanted(node, sid)
    await knows(node, sid=sid)
    assert (await over_http(node, sid, {"key": "report"}))[0] == 202
    await kept(node)
    assert await wanted(node, sid) == ["report"]


@pytest.mark.parametrize(
    "body", [b"", b"{", {}, {"key": 1}, {"key": None}, ["report"], {"key": "k" * 129}]
)
async def test_a_wrong_key_is_called_so(lone: LiveNode, body: object) -> None:
    status, said = await over_http(lone, new_sid(), body)
    assert (status, said["field"]) == (400, "key")


async def test_a_wrong_sid_is_called_so(lone: LiveNode) -> None:
    status, said = await over_http(lone, "short", {"key": "report"})
    assert (status, said["field"]) == (400, "sid")


async def test_foreign_pages_may_not_and_allowed_ones_get_what_they_need(start: Start) -> None:
    node = await start(allowed_origins=("https://good.example",))
    sid = new_sid()
    status, _ = await over_http(node, sid, {"key": "report"}, Origin="https://bad.example")
    assert status == 403
    url, headers = f"/api/v1/sessions/{sid}/cancel", {"Origin": "https://good.example"}
    for method in ("POST", "OPTIONS"):
        async with node.http.request(method, url, json={"key": "k"}, headers=headers) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "https://good.example"


# -- publishers at RabbitMQ -----------------------------------------------------------------------


class Worker:
    """A publisher that listens, as a foreign program does it: with pika, in a thread."""

    def __init__(self, amqp_url: str) -> None:
        self.name = name = f"worker-{uuid.uuid4().hex[:8]}"
        self.asked: list[dict[str, Any]] = []
        self.types: list[str | None] = []
        self.listens = True
        self._connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        self._channel = self._connection.channel()
        queue = f"progress-ws.pub.{name}"
        self._channel.queue_declare(queue, exclusive=True, auto_delete=True)
        self._channel.queue_bind(queue, "progress-ws.control", routing_key=name)
        self._channel.basic_consume(queue, self._on_request, auto_ack=True)
        self._seq = 0
        self._ending = False

    def run(self) -> None:
        """Answer requests until the end."""
        while not self._ending:
            self._connection.process_data_events(0.05)
        self._connection.close()

    def end(self) -> None:
        """Go, and be asked no more."""
        self._ending = True

    async def publish(self, sid: str, message: object, **fields: Any) -> None:
        """Publish a message of the report."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def put() -> None:
            self._seq += 1
            id_ = f"{self.name}-{self._seq}"
            body = {"sid": sid, "message": message, "key": "report", "id": id_} | fields
            self._channel.basic_publish("progress-ws", sid, json.dumps(body).encode())
            loop.call_soon_threadsafe(done.set)

        self._connection.add_callback_threadsafe(put)
        await done.wait()

    def _on_request(self, _channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        self.asked.append(json.loads(body))
        self.types.append(properties.type)
        if self.listens:
            taken = json.dumps({"request": self.asked[-1]["request"]}).encode()
            self._channel.basic_publish(
                "progress-ws", "", taken, pika.BasicProperties(type="progress-ws.taken")
            )


@asynccontextmanager
async def working(amqp_url: str) -> AsyncIterator[Worker]:
    """Run one."""
    worker = await asyncio.to_thread(Worker, amqp_url)
    running = asyncio.create_task(asyncio.to_thread(worker.run))
    try:
        yield worker
    finally:
        worker.end()
        await running


@pytest.mark.broker
async def test_a_publisher_at_the_broker_is_asked_from_any_node(
    amqp_url: str, start: Start
) -> None:
    nodes = [await start(amqp_url=amqp_url, node=name) for name in ("a", "b")]
    sid = new_sid()
    async with working(amqp_url) as worker, working(amqp_url) as other:
        await worker.publish(sid, RUNNING)
        await knows(*nodes, sid=sid)
        for count, node in enumerate(nodes, 1):
            async with node.tab(sid=sid) as browser:
                await browser.frame()
                await cancel(browser, sid)
                await eventually(lambda count=count: len(worker.asked) == count)
                await worker.publish(sid, "stopped")
                assert (await browser.frame())["message"] == "stopped"
                await worker.publish(sid, RUNNING)
                await browser.frame()
                assert await still_serves(browser)
            assert (await over_http(node, sid, {"key": "report"}))[0] == 202
            worker.asked.pop()
        assert set(worker.types) == {"progress-ws.cancel"}
        (request, _) = worker.asked
        assert (request["sid"], request["key"]) == (sid, "report")
        assert len({request["request"] for request in worker.asked}) == 2
        assert other.asked == []


@pytest.mark.broker
async def test_a_publisher_that_does_not_take_it_or_has_gone(amqp_url: str, start: Start) -> None:
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        async with working(amqp_url) as worker:
            worker.listens = False
            await worker.publish(browser.sid, "opaque")
            await browser.frame()
            assert await is_refused(browser, browser.sid)
            assert len(worker.asked) == 1
            await worker.publish(browser.sid, "opaque", key="another")
            await worker.publish(browser.sid, RUNNING, key="bar")
            for _ in range(2):
                await browser.frame()
        for key in ("report", "another", "bar"):
            assert await is_refused(browser, browser.sid, key)
            assert (await over_http(node, browser.sid, {"key": key}))[0] == 404
        assert await still_serves(browser)
        assert await node.metric("broker_reconnects_total") == 0


@pytest.mark.broker
async def test_without_the_exchange_nobody_is_asked_and_publishing_goes_on(
    amqp_url: str, start: Start, rabbitmq: Any, vhost: str
) -> None:
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser:
        async with working(amqp_url) as worker:
            await worker.publish(browser.sid, "opaque")
            await browser.frame()
            await cancel(browser, browser.sid)
            await eventually(lambda: worker.asked)
        delete = "DELETE", "exchanges", vhost, "progress-ws.control"
        await asyncio.to_thread(rabbitmq.management.request, *delete)
        for count in range(2):
            assert await is_refused(browser, browser.sid)
            await node.send(browser.sid, count)
            assert (await browser.frame())["message"] == count
        assert await node.metric("broker_reconnects_total") == 0


# -- bars -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["http", pytest.param("amqp", marks=pytest.mark.broker)])
async def test_a_bar_is_stopped_from_a_browser(
    way: str, start: Start, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancels, "WITHIN_S", 10.0)  # until the publisher listens at the broker
    amqp_url = request.getfixturevalue("amqp_url") if way == "amqp" else None
    node = await start(amqp_url=amqp_url)
    async with node.tab() as browser, Publisher(amqp_url or node.url, token=TOKEN) as publisher:
        async with publisher.progress(browser.sid, total=10, cancellable=True, stall_s=1.5) as bar:
            assert (await browser.frame())["message"]["state"] == "running"
            await still_serves(browser)
            await cancel(browser, browser.sid, "progress")
            await eventually(lambda: bar.cancelled)
        while (state := (await browser.frame())["message"]["state"]) == "running":
            pass
        assert state == "cancelled"
        assert await is_refused(browser, browser.sid, "progress")
