"""`progress-ws send`: a message from a shell, or a line per message from a pipe."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from deploy.local import RabbitMQ
from progress_ws import PublishError, new_sid
from progress_ws.cli import send
from tests.cli.conftest import Done, Here, Place, command, end, run, shell
from tests.support.tab import Tab, tab

SID = "a-sid-that-nobody-reads"
QUIET = Done(0, "", "")


async def frames(browser: Tab, count: int) -> list[dict[str, object]]:
    """The next messages."""
    return [await browser.frame() for _ in range(count)]


async def values(browser: Tab, count: int) -> list[object]:
    """What they carry."""
    return [frame["message"] for frame in await frames(browser, count)]


# -- one message ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["50 %", "", " ", 'it\'s "quoted" \\ ;;; $HOME', "two\nlines", "进度 😀", "5", "null"]
)
async def test_a_text_arrives_as_it_is(node_place: Place, run_here: Here, text: str) -> None:
    """Without `--json` whatever is given is a text; silence means success."""
    async with tab(node_place.url) as browser:
        assert await run_here(node_place.environ, "send", browser.sid, text) == QUIET
        assert await values(browser, 1) == [text]


async def test_fields_arrive_too(place: Place, run_here: Here) -> None:
    """`--key` and `--final` are told to the browser."""
    async with tab(place.url) as browser:
        arguments = ("send", browser.sid, "done", "--key", "report", "--final")
        assert await run_here(place.environ, *arguments) == QUIET
        frame = await browser.frame()
        assert {"message": "done", "key": "report", "final": True}.items() <= frame.items()


@pytest.mark.parametrize(
    "text",
    ['{"b": 1, "a": [null, true]}', "12345678901234567890123", "1.10", "1e999", '"a\\u0000b"'],
)
async def test_json_arrives_as_it_was_written(node_place: Place, run_here: Here, text: str) -> None:
    """With `--json` it is a value, and no number is rounded."""
    async with tab(node_place.url) as browser:
        assert await run_here(node_place.environ, "send", browser.sid, text, "--json") == QUIET
        async with asyncio.timeout(5):
            frame = await browser.socket.recv()
        assert f'"message":{text}' in frame


async def test_sid_and_message_may_begin_with_a_dash(node_place: Place, run_here: Here) -> None:
    """After `--` nothing is a flag; a backend may have minted such a sid."""
    async with tab(node_place.url, sid=f"-{new_sid()}") as browser:
        done = await run_here(node_place.environ, "send", "--", browser.sid, "--final")
        assert done == QUIET
        assert await values(browser, 1) == ["--final"]


async def test_it_ends_once_the_broker_has_it(place: Place, run_here: Here) -> None:
    """What was sent before the command ended comes before what is sent after."""
    async with tab(place.url) as browser:
        for n in range(2):
            assert await run_here(place.environ, "send", browser.sid, str(n)) == QUIET
        assert await values(browser, 2) == ["0", "1"]


# -- standard input ---------------------------------------------------------------------------


async def test_each_line_is_a_message(place: Place) -> None:
    """Line ends are not part of it, an empty line is an empty text, and the last needs no end."""
    async with tab(place.url) as browser:
        stdin = "a\r\n\n  b \nUnicode \u2028 进度\n\0\nlast".encode()
        assert await run(place.environ, "send", browser.sid, "-", stdin=stdin) == QUIET
        sent = ["a", "", "  b ", "Unicode \u2028 进度", "\0", "last"]
        assert await values(browser, len(sent)) == sent


async def test_lines_are_sent_as_they_come(place: Place) -> None:
    """A long job's output is seen while it runs, not at its end."""
    async with (
        tab(place.url) as browser,
        command(place.environ, "send", browser.sid, "-") as process,
    ):
        assert process.stdin is not None
        for line in ("first", "second", "third"):
            process.stdin.write(f"{line}\n".encode())
            assert await values(browser, 1) == [line]


async def test_many_lines_arrive_in_order(place: Place) -> None:
    """Thousands of lines, each once and in order."""
    count = 3000
    async with tab(place.url) as browser:
        stdin = b"".join(b"%d\n" % n for n in range(count))
        assert await run(place.environ, "send", browser.sid, "-", stdin=stdin) == QUIET
        assert await values(browser, count) == [str(n) for n in range(count)]


async def test_only_the_last_line_is_final(node_place: Place) -> None:
    """`--final` is for the end of the input, whenever that comes."""
    async with tab(node_place.url) as browser:
        arguments = ("send", browser.sid, "-", "--final", "--key", "job")
        assert await run(node_place.environ, *arguments, stdin=b"25 %\n50 %\ndone\n") == QUIET
        seen = []
        while not seen or seen[-1][0] != "done":
            frame = await browser.frame()
            seen.append((frame["message"], frame.get("final")))
        assert [final for _, final in seen] == [None] * (len(seen) - 1) + [True]
        assert [text for text, _ in seen] == ["25 %", "50 %", "done"][-len(seen) :]


async def test_nothing_to_read_is_nothing_to_send(node_place: Place) -> None:
    """Also with `--final`: there is no last line that could be."""
    done = await asyncio.gather(
        run(node_place.environ, "send", SID, "-"),
        run(node_place.environ, "send", SID, "-", "--final"),
    )
    assert done == [QUIET, QUIET]


@pytest.mark.parametrize("kind", ["/dev/null", "a file", "closed"])
async def test_any_standard_input(node_place: Place, tmp_path: Path, kind: str) -> None:
    """What cron and a redirection give is read to its end; a closed one is no traceback."""
    file = tmp_path / "lines"
    file.write_text("one\ntwo\n")
    source = {"/dev/null": "</dev/null", "a file": f"<{file}", "closed": "<&-"}[kind]
    async with tab(node_place.url) as browser:
        script = f"$progress_ws send {browser.sid} - {source}"
        async with shell(node_place.environ, script) as process:
            done = await end(process)
        if kind == "closed":
            assert "Traceback" not in done.err
            return
        assert done == QUIET
        sent = ["one", "two"] if kind == "a file" else []
        assert await values(browser, len(sent)) == sent


async def test_json_by_lines(node_place: Place) -> None:
    """JSON lines in, values out; a line that is none is told, left out, and makes it end with 2."""
    sid = new_sid()
    async with tab(node_place.url) as browser:
        good, done = await asyncio.gather(
            run(
                *(node_place.environ, "send", browser.sid, "-", "--json"),
                stdin=b'{"rows": 1}\n[2]\n"three"\n',
            ),
            run(node_place.environ, "send", sid, "-", "--json", stdin=b"5\nbad\n6\n"),
        )
        assert good == QUIET
        assert await values(browser, 3) == [{"rows": 1}, [2], "three"]
        async with tab(node_place.url, sid=sid) as other:
            assert await values(other, 2) == [5, 6]
        assert done.status == 2
        assert "JSON" in done.err
        assert done.err.count("\n") == 1


async def test_a_line_that_is_too_much_hurts_no_other(node_place: Place) -> None:
    """One that no node takes is left out; one without an end is the end, after what came before."""
    long = b"x" * 70_000
    for stdin, arrive in (
        (b"before\n" + long + b"\nafter\n", ["before", "after"]),
        (b"before\n" + b"x" * (17 * 1024 * 1024), ["before"]),
    ):
        async with tab(node_place.url) as browser:
            done = await run(node_place.environ, "send", browser.sid, "-", stdin=stdin)
            assert await values(browser, len(arrive)) == arrive
        assert done.status == 2
        assert done.err.startswith("progress-ws: ")
        assert done.err.count("\n") == 1


async def test_lines_that_are_no_text(node_place: Place) -> None:
    """Bytes that are not UTF-8 show as what they are, and stop nothing."""
    async with tab(node_place.url) as browser:
        stdin = b"ok\ncaf\xe9\nafter\n"
        assert await run(node_place.environ, "send", browser.sid, "-", stdin=stdin) == QUIET
        assert await values(browser, 3) == ["ok", "caf\ufffd", "after"]


# -- failures ---------------------------------------------------------------------------------


async def timed(environ: Mapping[str, str], *arguments: str) -> tuple[Done, float]:
    """Run a command; how long it took too."""
    before = time.monotonic()
    return await run(environ, *arguments), time.monotonic() - before


async def test_nobody_there_is_1(node_place: Place) -> None:
    """A broker or a node that is away: one line with its address, after a bounded wait."""
    broker = {"PROGRESS_WS_AMQP_URL": "amqp://user:SECRET@127.0.0.1:1/"}
    node = {"PROGRESS_WS_URL": "http://127.0.0.1:1", "PROGRESS_WS_PUBLISH_TOKEN": "SECRET"}
    wrong = dict(node_place.environ) | {"PROGRESS_WS_PUBLISH_TOKEN": "SECRET-but-wrong"}
    (no_broker, broker_s), (no_node, node_s), (refused, refused_s) = await asyncio.gather(
        timed(broker, "send", SID, "x"),
        timed(node, "send", SID, "x"),
        timed(wrong, "send", SID, "x"),
    )
    for done, said in ((no_broker, "127.0.0.1:1"), (no_node, "127.0.0.1:1"), (refused, "401")):
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("progress-ws: ")
        assert done.err.count("\n") == 1, done.err
        assert said in done.err
        assert "SECRET" not in done.err
    assert max(broker_s, node_s) < 9  # 5 s, and the start of three interpreters at once
    assert refused_s < 5  # trying again cannot help


async def test_a_pipe_ends_when_nobody_is_there(node_place: Place) -> None:
    """Lines that cannot be sent end the command, though its input goes on."""
    node = {"PROGRESS_WS_URL": node_place.url, "PROGRESS_WS_PUBLISH_TOKEN": "SECRET-but-wrong"}
    async with command(node, "send", SID, "-") as process, asyncio.timeout(4):
        assert process.stdin is not None
        process.stdin.write(b"first\n")
        await process.stdin.drain()
        while process.returncode is None:
            process.stdin.write(b"next\n")
            await asyncio.sleep(0.05)  # the pace of the job
        assert process.returncode == 1


async def test_a_broker_that_goes_and_comes_back_ends_no_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job whose output it is would end with it; what did not get through is told once."""

    async def lines() -> AsyncIterator[str]:
        for text in ("one", "lost", "lost", "two"):
            yield text
            await asyncio.sleep(0.01)

    sent: list[str] = []

    async def send_one(text: str, *, final: bool = False) -> None:
        if text == "lost":
            raise PublishError("not sent within 5 s: nobody there")
        sent.append(text)

    monkeypatch.setattr(send, "lines", lines)
    assert await send._send_lines(send_one, final=False) == 1
    assert sent == ["one", "two"]
    assert capsys.readouterr().err == "progress-ws: not sent within 5 s: nobody there\n"


@pytest.mark.broker
async def test_what_the_broker_refuses_is_1(rabbitmq: RabbitMQ, broker_place: Place) -> None:
    """A wrong password, a wrong virtual host: at once, and in words that name the mistake."""
    url = broker_place.environ["PROGRESS_WS_AMQP_URL"]
    wrong_password = url.replace("guest:guest", "guest:SECRET")
    wrong_vhost = rabbitmq.amqp_url("no-such-vhost")
    (login, login_s), (vhost, vhost_s) = await asyncio.gather(
        timed({"PROGRESS_WS_AMQP_URL": wrong_password}, "send", SID, "x"),
        timed({"PROGRESS_WS_AMQP_URL": wrong_vhost}, "send", SID, "x"),
    )
    for done, took_s, said in ((login, login_s, "password"), (vhost, vhost_s, "no-such-vhost")):
        assert (done.status, done.out) == (1, "")
        assert done.err.count("\n") == 1
        assert said in done.err
        assert "SECRET" not in done.err
        assert took_s < 5


@pytest.mark.broker
async def test_the_broker_is_asked_first(broker_place: Place) -> None:
    """With both addresses set, RabbitMQ is the nearer one."""
    environ = dict(broker_place.environ) | {"PROGRESS_WS_URL": "http://127.0.0.1:1"}
    async with tab(broker_place.url) as browser:
        assert await run(environ, "send", browser.sid, "hello") == QUIET
        assert await values(browser, 1) == ["hello"]
