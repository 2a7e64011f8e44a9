"""What the command says of itself, and of what it does not understand."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from progress_ws import cli, new_sid
from tests.cli.conftest import run

SID = "a-sid-that-nobody-reads"


@pytest.mark.parametrize("command", [[], ["serve"], ["send"], ["watch"], ["run"]])
def test_help_everywhere(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """`--help` prints to standard output and ends with 0."""
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["usage: progress-ws", *command]))
    for name in ("serve", "send", "watch", "run") if not command else ():
        assert name in text


@pytest.mark.parametrize("command", ["send", "watch", "run"])
def test_help_says_where_to_publish(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """The variables that name the broker or the node."""
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    text = capsys.readouterr().out
    for name in ("AMQP_URL", "URL", "PUBLISH_TOKEN", "PREFIX"):
        assert f"PROGRESS_WS_{name}" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["send"],
        ["send", SID],
        ["send", SID, "one", "two"],
        ["send", SID, "x", "--no-such-flag"],
        ["send", SID, "x", "--key"],
        ["watch", SID, SID],
        ["--no-such-flag"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """With the usage on standard error, and nothing on standard output."""
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: progress-ws" in err


@pytest.mark.parametrize(
    ("command", "status"), [(["watch"], 0), (["send", SID, "x"], 130), (["doctor"], 130)]
)
def test_what_is_interrupted_has_not_succeeded(
    monkeypatch: pytest.MonkeyPatch, command: list[str], status: int
) -> None:
    """As `progress-ws doctor && …` shows. To `watch` it is the end that was meant."""

    def interrupted(coroutine: Coroutine[Any, Any, None]) -> None:
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setenv("PROGRESS_WS_AMQP_URL", "amqp://127.0.0.1:1")
    monkeypatch.setattr(asyncio, "run", interrupted)
    assert cli.main(command) == status


@pytest.mark.parametrize("command", [["serve"], ["send", SID, "x"], ["watch"], ["doctor"]])
def test_an_unknown_option_shows_the_commands_own_usage(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Not that of the whole, in which the options of the command do not stand."""
    with pytest.raises(SystemExit):
        cli.main([*command, "--no-such-flag"])
    err = capsys.readouterr().err
    assert err.startswith(f"usage: progress-ws {command[0]} ")
    assert "unrecognized arguments: --no-such-flag" in err


@pytest.mark.parametrize(
    ("environ", "arguments", "said"),
    [
        ({}, ["send", SID, "x"], "PROGRESS_WS_AMQP_URL"),
        ({}, ["watch"], "PROGRESS_WS_AMQP_URL"),
        ({"URL": "http://h", "AMQP_URL": "localhost"}, ["watch"], "PROGRESS_WS_AMQP_URL"),
        ({"AMQP_URL": "amqp://u:SECRET/x@h"}, ["send", SID, "x"], "PROGRESS_WS_AMQP_URL"),
        ({"AMQP_URL": "amqp://"}, ["watch"], "PROGRESS_WS_AMQP_URL"),
        ({"AMQP_URL": "http://u:SECRET@h"}, ["watch"], "PROGRESS_WS_AMQP_URL"),
        ({"URL": "amqp://u:SECRET@h"}, ["watch", SID], "PROGRESS_WS_URL"),
        ({"URL": "h:8080", "PUBLISH_TOKEN": "SECRET"}, ["send", SID, "x"], "PROGRESS_WS_URL"),
        ({"URL": "http://", "PUBLISH_TOKEN": "SECRET"}, ["send", SID, "x"], "PROGRESS_WS_URL"),
        ({"URL": "http://h"}, ["send", SID, "x"], "PROGRESS_WS_PUBLISH_TOKEN is unset"),
        ({"URL": "http://h"}, ["run", "--sid", SID, "true"], "PROGRESS_WS_PUBLISH_TOKEN is unset"),
        ({"URL": "http://u:SECRET@h", "PUBLISH_TOKEN": "t"}, ["send", SID, "x"], "PROGRESS_WS_URL"),
        ({"URL": "http://a b/", "PUBLISH_TOKEN": "t"}, ["send", SID, "x"], "PROGRESS_WS_URL"),
        ({"URL": "http://h/ ", "PUBLISH_TOKEN": "t"}, ["send", SID, "x"], "PROGRESS_WS_URL"),
        ({"AMQP_URL": "amqp://h", "PREFIX": "é b"}, ["send", SID, "x"], "PROGRESS_WS_PREFIX='é b'"),
        ({"AMQP_URL": "amqp://h", "PREFIX": "amq.x"}, ["watch"], "PROGRESS_WS_PREFIX='amq.x'"),
        ({"URL": "http://h"}, ["watch"], "SID"),
        ({"URL": "http://h"}, ["watch", "short"], "SID"),
        ({"AMQP_URL": "amqp://h"}, ["watch", "short"], "SID"),
        ({"AMQP_URL": "amqp://h"}, ["send", "short", "x"], "sid"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "x", "--key", "k" * 129], "key"),
        ({"AMQP_URL": "amqp://h"}, ["send", "short", "-"], "sid"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "-", "--key", "k" * 129], "key"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "x" * 65_537], "65536"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "no JSON", "--json"], "JSON"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "NaN", "--json"], "JSON"),
        ({"AMQP_URL": "amqp://h"}, ["send", SID, "\udcff"], "message"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_cannot_work_is_2_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    arguments: list[str],
    said: str,
) -> None:
    """One line names what is wrong; nobody is asked, and no secret is shown."""
    for name in ("AMQP_URL", "URL", "PUBLISH_TOKEN", "PREFIX"):
        monkeypatch.delenv(f"PROGRESS_WS_{name}", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(f"PROGRESS_WS_{name}", value)
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("progress-ws: ")
    assert err.count("\n") == 1
    assert said in err
    assert "SECRET" not in err


def test_help_of_run_says_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a shell, and ours."""
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    text = capsys.readouterr().out
    assert all(f"{status}: " in text for status in ("127", "126", "2", "128 + n"))


def test_minted_sids_are_no_flags() -> None:
    """A sid that begins with a dash would be one, and puzzle whoever pastes it."""
    assert all(new_sid()[0] != "-" for _ in range(2000))


async def test_the_module_is_the_command() -> None:
    """`python -m progress_ws --version`, and its exit status is the process's."""
    done = await run({}, "--version")
    assert (done.status, done.err) == (0, "")
    assert done.out.strip()
    assert (await run({}, "no-such-command")).status == 2
