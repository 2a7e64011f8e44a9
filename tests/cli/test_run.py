"""`progress-ws run`: the command as it would have been without, and its life as a bar."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local import free_port
from progress_ws import new_sid
from progress_ws.cli import streams
from progress_ws.publish.place import unseen
from tests.cli.conftest import Done, Place, command, end, run, shell
from tests.support.tab import tab
from tests.support.waiting import eventually

NOBODY = {"PROGRESS_WS_AMQP_URL": f"amqp://127.0.0.1:{free_port()}"}
PYTHON = sys.executable


async def shown(place: Place, sid: str, key: str = "command") -> list[dict[str, Any]]:
    """All that a browser is shown of a key, up to its end."""
    updates: list[dict[str, Any]] = []
    async with tab(place.url, sid=sid) as browser:
        while not updates or updates[-1]["state"] not in ("done", "failed", "cancelled"):
            frame = await browser.frame()
            if frame.get("key") == key:
                updates.append(frame["message"])
    return updates


# -- as without ---------------------------------------------------------------------------------


SAME = {
    "nothing": ("true",),
    "a failure": ("sh", "-c", "exit 3"),
    "both streams": ("sh", "-c", "echo out; echo err >&2"),
    "input": ("sh", "-c", "read line; echo got $line; cat"),
    "no newline": ("printf", "no newline"),
    "carriage returns": ("printf", " 10%%\\r 20%%\\r"),
    "binary": (PYTHON, "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)) * 999)"),
    "a long line": (PYTHON, "-c", "print('x' * 5_000_000)"),
    "many lines": ("seq", "1", "300000"),
    "arguments": ("printf", "%s|", "--sid", "a b", "", "--", "$x"),
    "its environment": ("sh", "-c", "echo $ITS_OWN"),
    "a signal": ("sh", "-c", "kill -USR1 $$"),
    "no such command": ("/no/such/command",),
    "no program": ("/",),
    "something left behind": ("sh", "-c", "sleep 30 & echo started"),
}


@pytest.mark.parametrize("where", ["no sid", "nobody there"])
@pytest.mark.parametrize("name", SAME)
async def test_a_command_is_what_it_is_without(name: str, where: str) -> None:
    """Its output, byte by byte, and its status, as a shell says it."""
    environ = {"ITS_OWN": "value"} | (NOBODY if where == "nobody there" else {})
    options = ["--sid", new_sid()] if where == "nobody there" else []
    async with command(environ, "run", *options, "--", *SAME[name]) as process:
        async with asyncio.timeout(20):
            assert process.stdin is not None
            process.stdin.write(b"first\nsecond\n")
            process.stdin.close()
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
            status = await process.wait()
    expected = await _plain({"ITS_OWN": "value"}, SAME[name])
    assert (status, out) == expected[:2]
    told = b"progress-ws: not shown to its end"
    err = b"".join(line for line in err.splitlines(True) if not line.startswith(told))
    if status in (126, 127):
        assert err.startswith(b"progress-ws: /")
    else:
        assert err == expected[2]


async def _plain(environ: Mapping[str, str], argv: tuple[str, ...]) -> tuple[int, bytes, bytes]:
    """What a command does by itself, with the status that a shell would say."""
    if argv[0].startswith("/") and argv[0] != PYTHON:
        return {"/": 126}.get(argv[0], 127), b"", b""
    if "sleep 30" in argv[-1]:
        return 0, b"started\n", b""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=-1, stdout=-1, stderr=-1, env=os.environ | environ
    )
    out, err = await process.communicate(b"first\nsecond\n")
    code = process.returncode
    assert code is not None
    return (128 - code if code < 0 else code), out, err


async def test_it_has_what_a_shell_opens_for_it(tmp_path: Path) -> None:
    """A process substitution, and a file that is held open as a lock or a log of its own."""
    inner = f"{PYTHON} -m progress_ws run -- sh -c 'cat $0; echo logged >&9'"
    script = tmp_path / "script"
    script.write_text(f"{inner} <(echo substituted) 9>{tmp_path}/log")
    async with shell({}, f"bash {script}") as process:
        assert await end(process) == Done(0, "substituted\n", "")
    assert (tmp_path / "log").read_text() == "logged\n"


async def test_a_command_whose_streams_are_closed_runs_as_well(tmp_path: Path) -> None:
    """As under a daemon; nothing of ours stands in their place."""
    inner = f"echo out; echo err >&2; sleep 0.3; echo out; echo ran >{tmp_path}/log"
    async with shell({}, f'$progress_ws run -- sh -c "{inner}" >&-') as process:
        assert await end(process) == Done(0, "", "err\n")
    assert (tmp_path / "log").read_text() == "ran\n"


async def test_what_is_left_behind_and_prints_on_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streams, "LEFT_S", 0.2)
    passing = streams.Streams(unseen())
    argv = "sh", "-c", "(while sleep 0.1; do echo more; done) & echo started"
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=passing.out, stderr=passing.err, start_new_session=True
    )
    passing.start()
    await process.wait()
    try:
        async with asyncio.timeout(5):
            await passing.drain()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert capfd.readouterr().out.startswith("started\n")


async def test_what_it_prints_comes_at_once() -> None:
    async with command({}, "run", "--", "sh", "-c", "printf 'Name? '; read name; echo $name") as p:
        assert p.stdout is not None
        assert p.stdin is not None
        async with asyncio.timeout(20):
            assert await p.stdout.read(100) == b"Name? "
        assert (await end(p, b"me\n")).out == "me\n"


async def test_a_reader_who_goes_ends_it_as_it_would_without() -> None:
    async with command({}, "run", "--", "yes") as process:
        assert process.stdout is not None
        await process.stdout.read(10)
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            assert await process.wait() == 128 + signal.SIGPIPE


async def test_a_reader_who_is_slow_loses_nothing() -> None:
    """Longer than what is waited for output that never comes."""
    async with command({}, "run", "--", "seq", "1", "200000") as process:
        await asyncio.sleep(1.5)
        assert (await end(process)).out.endswith("\n199999\n200000\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_are_handed_on(tmp_path: Path, number: signal.Signals) -> None:
    trap = f"trap 'echo got it; exit 7' {number.name[3:]}"
    script = f"{trap}; touch {tmp_path}/up; while :; do sleep 0.05; done"
    async with command({}, "run", "--", "sh", "-c", script) as process:
        await eventually((tmp_path / "up").exists)
        process.send_signal(number)
        done = await end(process)
    assert (done.status, done.out) == (7, "got it\n")


async def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    """The terminal sends it to both."""
    code = f"""
import os, signal, time
count = 0
def on_int(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, on_int)
open({str(tmp_path / "up")!r}, "w").close()
while not count: time.sleep(0.01)
time.sleep(0.5)
raise SystemExit(count)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            os.execv(PYTHON, [PYTHON, "-m", "progress_ws", "run", "--", PYTHON, "-c", code])
        os._exit(99)
    try:
        await eventually((tmp_path / "up").exists, 20)
        os.write(terminal, b"\x03")
        async with asyncio.timeout(20):
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1


@pytest.mark.parametrize(
    ("environ", "arguments", "said"),
    [
        (NOBODY, ["--sid", "short", "--", "true"], "SID"),
        ({"PROGRESS_WS_SID": "short", **NOBODY}, ["true"], "SID"),
        ({}, ["--sid", "s" * 22, "--", "true"], "PROGRESS_WS_AMQP_URL"),
        (NOBODY, ["--sid", "s" * 22, "--key", "k" * 129, "--", "true"], "key"),
        (NOBODY, ["--sid", "s" * 22, "--"], "COMMAND"),
        ({}, [], "COMMAND"),
    ],
)
async def test_wrong_usage_is_told_before_anything_runs(
    environ: Mapping[str, str], arguments: list[str], said: str
) -> None:
    done = await run(environ, "run", *arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


async def test_without_a_broker_one_line_at_the_end_says_so() -> None:
    script = ("sh", "-c", "sleep 0.5; echo out; exit 4")
    done = await run(NOBODY, "run", "--sid", new_sid(), "--", *script)
    assert (done.status, done.out) == (4, "out\n")
    (line,) = done.err.splitlines()
    assert line.startswith("progress-ws: not shown to its end: ")


# -- in the browser -----------------------------------------------------------------------------


async def test_its_life_is_a_bar(place: Place) -> None:
    sid = new_sid()
    script = "for n in 10 55.5; do echo at $n %; read line; done; printf 'nearly there'"
    argv = ["run", "--sid", sid, "--title", "Import", "sh", "-c", script]
    async with tab(place.url, sid=sid) as browser, command(place.environ, *argv) as process:

        async def until(text: str) -> dict[str, Any]:
            while (update := (await browser.frame())["message"]).get("text") != text:
                assert (update["state"], update["title"]) == ("running", "Import")
            return dict(update)

        assert process.stdin is not None
        for percent in (10, 55.5):
            update = await until(f"at {percent} %")
            assert (update["current"], update["total"]) == (percent, 100)
            process.stdin.write(b"\n")
        done = await end(process)
        assert (done.status, done.err) == (0, "")
        last = await until("nearly there")
        while last["state"] == "running":
            last = await until("nearly there")
        assert last["state"] == "done"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo oops >&2; exit 3", "exit status 3"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -9 $$", "SIGKILL"),
    ],
)
async def test_how_it_fails(node_place: Place, script: str, error: str) -> None:
    sid = new_sid()
    await run({**node_place.environ, "PROGRESS_WS_SID": sid}, "run", "sh", "-c", script)
    last = (await shown(node_place, sid))[-1]
    assert (last["state"], last["error"], last["title"]) == ("failed", error, "sh")


async def test_a_title_that_is_no_utf8_is_shown(node_place: Place) -> None:
    sid = new_sid()
    done = await run(node_place.environ, "run", "--sid", sid, "--title", "caf\udce9", "true")
    assert (done.status, done.err) == (0, "")
    assert (await shown(node_place, sid))[-1]["title"] == "caf\ufffd"


async def test_a_command_that_is_not_there_has_failed(node_place: Place) -> None:
    sid = new_sid()
    await run(node_place.environ, "run", "--sid", sid, "--key", "mine", "no-such-command")
    last = (await shown(node_place, sid, "mine"))[-1]
    assert last["error"] == "no-such-command: No such file or directory"


async def test_a_program_inside_shows_a_bar_of_its_own(node_place: Place) -> None:
    sid = new_sid()
    code = "from progress_ws import track\nfor _ in track(range(3)): pass"
    done = await run(node_place.environ, "run", "--sid", sid, "--", PYTHON, "-c", code)
    assert (done.status, done.err) == (0, "")
    assert (await shown(node_place, sid))[-1]["state"] == "done"
    assert (await shown(node_place, sid, "progress"))[-1]["current"] == 3


async def test_more_output_than_anybody_reads_does_no_harm(node_place: Place) -> None:
    sid = new_sid()
    script = "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo 'the end'"
    argv = ["run", "--sid", sid, "--", "sh", "-c", script]
    async with command(node_place.environ, *argv) as process:
        assert process.stdout is not None
        count = 0
        while data := await process.stdout.read(1 << 20):
            count += len(data)
        assert await process.wait() == 0
    assert count == 100_000_000 + len("\nthe end\n")
    assert (await shown(node_place, sid))[-1]["text"] == "the end"


@contextlib.asynccontextmanager
async def cancelled(place: Place, script: str, up: Path) -> AsyncIterator[tuple[str, Any]]:
    """A command that a browser has asked to stop."""
    sid = new_sid()
    argv = ["run", "--sid", sid, "--", "sh", "-c", script]
    async with tab(place.url, sid=sid) as browser, command(place.environ, *argv) as process:
        await eventually(up.exists)
        frame = await browser.frame()
        assert frame["message"]["cancellable"] is True
        await browser.socket.send(json.dumps({"type": "cancel", "sid": sid, "key": "command"}))
        yield sid, process


async def test_a_browser_ends_it(place: Place, tmp_path: Path) -> None:
    script = f"trap 'echo tidied up; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done"
    async with cancelled(place, script, tmp_path / "up") as (sid, process):
        done = await end(process)
    assert (done.status, done.out) == (0, "tidied up\n")
    last = (await shown(place, sid))[-1]
    assert (last["state"], last["text"]) == ("cancelled", "tidied up")


@pytest.mark.slow
async def test_one_that_does_not_listen_is_killed(node_place: Place, tmp_path: Path) -> None:
    script = f"trap '' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done"
    async with cancelled(node_place, script, tmp_path / "up") as (sid, process):
        done = await end(process)
    assert done.status == 128 + signal.SIGKILL
    assert (await shown(node_place, sid))[-1]["state"] == "cancelled"
