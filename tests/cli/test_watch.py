"""`progress-ws watch`: what crosses the exchange, one JSON line each."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from deploy.local import RabbitMQ
from progress_ws import cli, new_sid
from progress_ws.cli import watch
from tests.cli.conftest import TOKEN, Here, Place, command, end, run, shell
from tests.support.waiting import eventually

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def publish(place: Place, body: str | list[object] | dict[str, object]) -> None:
    """Publish through the node."""
    data = body if isinstance(body, str) else json.dumps(body)
    async with (
        aiohttp.ClientSession(place.url) as http,
        http.post("/api/v1/messages", data=data, headers=BEARER) as answer,
    ):
        assert answer.status == 202, await answer.text()


async def line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line on standard output."""
    assert process.stdout is not None
    async with asyncio.timeout(10):
        text = await process.stdout.readline()
    assert text.endswith(b"\n")
    return dict(json.loads(text))


@asynccontextmanager
async def watching(
    place: Place, *arguments: str, sid: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start `watch`; it shows what is sent to this sid as soon as this begins."""
    async with command(place.environ, "watch", *arguments) as process:
        first = asyncio.create_task(line(process))
        while not first.done():
            await publish(place, {"sid": sid, "message": "are you there?"})
            await asyncio.wait([first], timeout=0.1)
        await publish(place, {"sid": sid, "message": "now"})
        shown = first.result()
        while shown.get("message") != "now":  # over a node a `welcome` comes first
            shown = await line(process)
        yield process


# -- over RabbitMQ ----------------------------------------------------------------------------


@pytest.mark.broker
async def test_everything_that_crosses_is_shown(broker_place: Place) -> None:
    """Messages of all sids and publishers, members of an array apart, and no heartbeats."""
    sid, other = new_sid(), new_sid()
    async with watching(broker_place, sid=sid) as process:
        await publish(broker_place, {"sid": sid, "message": {"rows": 1}, "key": "k", "final": True})
        await publish(broker_place, [{"sid": other, "message": n} for n in range(3)])
        shown = await line(process)
        assert shown["id"]
        assert shown["ts"] > 0
        expected = {"sid": sid, "message": {"rows": 1}, "key": "k", "final": True}
        assert expected.items() <= shown.items()
        assert [(await line(process))["message"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.broker
async def test_one_sid_may_be_picked(broker_place: Place) -> None:
    """With a SID, what is for others is left out."""
    sid = new_sid()
    async with watching(broker_place, sid, sid=sid) as process:
        await publish(broker_place, [{"sid": new_sid(), "message": "another's"}] * 3)
        await publish(broker_place, {"sid": sid, "message": "mine"})
        assert (await line(process))["message"] == "mine"


PRETTY = """{
  "sid": "%s",\r
  "message": {
    "text": "two\\nlines \u2028",
\t"n": 1.10
  }
}"""


async def test_one_line_each_however_it_was_written(place: Place) -> None:
    """Indented JSON is shown on one line, its numbers as they were written."""
    sid = new_sid()
    async with watching(place, sid, sid=sid) as process:
        await publish(place, PRETTY % sid)
        assert process.stdout is not None
        async with asyncio.timeout(10):
            text = (await process.stdout.readline()).decode()
        assert json.loads(text)["message"] == {"text": "two\nlines \u2028", "n": 1.1}
        assert "1.10" in text
        await publish(place, {"sid": sid, "message": "next"})
        assert (await line(process))["message"] == "next"


@pytest.mark.broker
async def test_what_is_no_message_is_told_apart(rabbitmq: RabbitMQ, broker_place: Place) -> None:
    """Broken bodies go to standard error, so that standard output stays JSON."""
    vhost = broker_place.environ["PROGRESS_WS_AMQP_URL"].rpartition("/")[2].partition("?")[0]
    sid = new_sid()
    async with watching(broker_place, sid=sid) as process:
        publish_raw = rabbitmq.management.publish
        await asyncio.to_thread(publish_raw, vhost, "progress-ws", "no message")
        await publish(broker_place, {"sid": sid, "message": "next"})
        assert (await line(process))["message"] == "next"
        assert process.stderr is not None
        async with asyncio.timeout(5):
            told = (await process.stderr.readline()).decode()
        assert told.startswith("progress-ws: ")


@pytest.mark.broker
async def test_it_goes_on_after_its_connection_was_closed(
    rabbitmq: RabbitMQ, broker_place: Place
) -> None:
    """After a forced close in the management UI the next messages are shown again."""
    management = rabbitmq.management
    vhost = broker_place.environ["PROGRESS_WS_AMQP_URL"].rpartition("/")[2].partition("?")[0]
    sid = new_sid()
    async with watching(broker_place, sid=sid) as process:

        def of_watch() -> list[str]:
            return [
                connection["name"]
                for connection in management.connections(vhost)
                if "watch-" in connection.get("client_properties", {}).get("connection_name", "")
            ]

        (name,) = await eventually(of_watch)
        await asyncio.to_thread(management.close_connection, name)
        again = asyncio.create_task(line(process))
        while not again.done():
            await publish(broker_place, {"sid": sid, "message": "again"})
            await asyncio.wait([again], timeout=0.1)
        assert again.result()["message"] == "again"


@pytest.mark.broker
async def test_the_prefix_is_a_setting(broker_place: Place) -> None:
    """Another prefix is another exchange: what crosses ours is not seen there."""
    theirs = Place(broker_place.node, dict(broker_place.environ) | {"PROGRESS_WS_PREFIX": "theirs"})
    sid = new_sid()
    async with command(theirs.environ, "watch") as process:
        shown = asyncio.create_task(line(process))
        while not shown.done():
            await publish(broker_place, {"sid": sid, "message": "ours"})
            await run(theirs.environ, "send", sid, "theirs")
        assert shown.result()["message"] == "theirs"


# -- over a node ------------------------------------------------------------------------------


async def test_a_session_is_watched_over_a_node(node_place: Place) -> None:
    """What the browsers of that sid get, as they get it."""
    sid = new_sid()
    async with watching(node_place, sid, sid=sid) as process:
        await publish(node_place, {"sid": new_sid(), "message": "another's"})
        await publish(node_place, {"sid": sid, "message": {"rows": 1}, "key": "k"})
        shown = await line(process)
        assert {"sid": sid, "message": {"rows": 1}, "key": "k"}.items() <= shown.items()


# -- the end ----------------------------------------------------------------------------------


async def test_head_ends_it_quietly(place: Place) -> None:
    """`watch | head -1` shows a line and is over: status 0, and nothing on standard error."""
    sid = new_sid()
    script = f"{{ $progress_ws watch {sid}; echo status $? >&2; }} | head -n 1"
    async with shell(place.environ, script) as process:
        ending = asyncio.create_task(end(process))
        while not ending.done():
            await publish(place, {"sid": sid, "message": "x"})
            await asyncio.wait([ending], timeout=0.1)
        done = ending.result()
    assert json.loads(done.out)
    assert done.out.count("\n") == 1
    assert done.err == "status 0\n"


async def test_an_interrupt_ends_it_quietly(place: Place) -> None:
    """Ctrl-C is how a person ends it: no traceback."""
    sid = new_sid()
    async with watching(place, sid, sid=sid) as process:
        process.send_signal(signal.SIGINT)
        done = await end(process)
        assert done.status in (0, 130)
        assert (done.out, done.err) == ("", "")


def test_nobody_there_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker or a node that cannot be reached at the start: one line with its address."""
    monkeypatch.setattr(watch, "CONNECT_TIMEOUT_S", 0.3)
    for environ in (
        {"PROGRESS_WS_AMQP_URL": "amqp://user:SECRET@127.0.0.1:1/"},
        {"PROGRESS_WS_AMQP_URL": "", "PROGRESS_WS_URL": "http://127.0.0.1:1"},
    ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert cli.main(["watch", new_sid()]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("progress-ws: ")
        assert err.count("\n") == 1
        assert "127.0.0.1:1" in err
        assert "SECRET" not in err


async def test_a_node_that_never_answers_is_1(
    run_here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(5):
            done = await run_here({"PROGRESS_WS_URL": url}, "watch", new_sid())
    assert (done.status, done.out) == (1, "")
    assert done.err == f"progress-ws: {url}: no answer within 0.3 s\n"


async def test_an_address_that_is_no_node_is_1(node_place: Place, run_here: Here) -> None:
    """It is told in one line, without the sid that was asked for."""
    sid = new_sid()
    done = await run_here({"PROGRESS_WS_URL": f"{node_place.url}/no/node"}, "watch", sid)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("progress-ws: ")
    assert done.err.count("\n") == 1
    assert "404" in done.err
    assert sid not in done.err
