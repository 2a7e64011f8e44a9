"""Settings: what may be set, and the one line that says what is wrong."""

import asyncio
import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from progress_ws import cli
from progress_ws.errors import SettingsError
from progress_ws.node.settings import Settings

#: As the contract has them; `node` is the machine's.
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8080,
    "amqp_url": None,
    "prefix": "progress-ws",
    "workers": 1,
    "publish_token": None,
    "allowed_origins": (),
    "history_seconds": 300,
    "history_bytes": 67_108_864,
    "max_message_bytes": 65_536,
    "max_connections": 20_000,
    "publish_timeout_seconds": 5,
    "drain_seconds": 10,
    "feed": "bulk",
    "log_level": "info",
    "log_format": "auto",
}

RIGHT = [
    ("PROGRESS_WS_HOST", "0.0.0.0", "0.0.0.0"),
    ("PROGRESS_WS_HOST", "::1", "::1"),
    ("PROGRESS_WS_PORT", "0", 0),
    ("PROGRESS_WS_PORT", "65535", 65_535),
    ("PROGRESS_WS_AMQP_URL", "amqp://u:p@h:5672/v?heartbeat=5", "amqp://u:p@h:5672/v?heartbeat=5"),
    ("PROGRESS_WS_AMQP_URL", "amqps://h", "amqps://h"),
    ("PROGRESS_WS_AMQP_URL", "amqp://[::1]/%2F", "amqp://[::1]/%2F"),
    ("PROGRESS_WS_PREFIX", "our.progress_1-x", "our.progress_1-x"),
    ("PROGRESS_WS_NODE", "node-7.example", "node-7.example"),
    ("PROGRESS_WS_PUBLISH_TOKEN", "a-token-for-tests", "a-token-for-tests"),
    ("PROGRESS_WS_ALLOWED_ORIGINS", "*", ("*",)),
    ("PROGRESS_WS_HISTORY_SECONDS", "0", 0),
    ("PROGRESS_WS_HISTORY_BYTES", "0", 0),
    ("PROGRESS_WS_MAX_MESSAGE_BYTES", "1000000", 1_000_000),
    ("PROGRESS_WS_MAX_CONNECTIONS", "1", 1),
    ("PROGRESS_WS_PUBLISH_TIMEOUT_SECONDS", "0.5", 0.5),
    ("PROGRESS_WS_DRAIN_SECONDS", "0", 0),
    ("PROGRESS_WS_FEED", "plain", "plain"),
    ("PROGRESS_WS_LOG_LEVEL", "debug", "debug"),
    ("PROGRESS_WS_LOG_FORMAT", "console", "console"),
]

#: Variable, value, and a word that must stand in what is allowed.
WRONG = [
    ("PROGRESS_WS_HOST", "two words", "host"),
    ("PROGRESS_WS_PORT", "eighty", "65535"),
    ("PROGRESS_WS_PORT", "65536", "65535"),
    ("PROGRESS_WS_PORT", "-1", "65535"),
    ("PROGRESS_WS_PORT", "80.5", "65535"),
    ("PROGRESS_WS_AMQP_URL", "localhost", "amqp://"),
    ("PROGRESS_WS_AMQP_URL", "localhost:5672", "amqp://"),
    ("PROGRESS_WS_AMQP_URL", "http://localhost", "amqp://"),
    ("PROGRESS_WS_AMQP_URL", "amqp://", "amqp://"),
    ("PROGRESS_WS_AMQP_URL", "amqp://host:port/", "amqp://"),
    ("PROGRESS_WS_AMQP_URL", "amqp://host:99999/", "amqp://"),
    ("PROGRESS_WS_PREFIX", "a b", "characters"),
    ("PROGRESS_WS_PREFIX", "x" * 65, "64"),
    ("PROGRESS_WS_NODE", "node/7", "characters"),
    ("PROGRESS_WS_FEED", "quick", "plain"),
    ("PROGRESS_WS_NODE", "two\nlines", "characters"),
    ("PROGRESS_WS_WORKERS", "0", "1"),
    ("PROGRESS_WS_WORKERS", "many", "1"),
    ("PROGRESS_WS_WORKERS", "2", "PROGRESS_WS_AMQP_URL"),
    ("PROGRESS_WS_ALLOWED_ORIGINS", "example.com", "https://"),
    ("PROGRESS_WS_ALLOWED_ORIGINS", "https://a.example https://b.example", "comma"),
    ("PROGRESS_WS_ALLOWED_ORIGINS", "https://a.example/page", "https://"),
    ("PROGRESS_WS_HISTORY_SECONDS", "-1", "number"),
    ("PROGRESS_WS_HISTORY_SECONDS", "five minutes", "number"),
    ("PROGRESS_WS_HISTORY_BYTES", "64M", "number"),
    ("PROGRESS_WS_MAX_MESSAGE_BYTES", "0", "number"),
    ("PROGRESS_WS_MAX_CONNECTIONS", "0", "number"),
    ("PROGRESS_WS_MAX_CONNECTIONS", "1e3", "number"),
    ("PROGRESS_WS_PUBLISH_TIMEOUT_SECONDS", "0", "number"),
    ("PROGRESS_WS_PUBLISH_TIMEOUT_SECONDS", "inf", "number"),
    ("PROGRESS_WS_DRAIN_SECONDS", "nan", "number"),
    ("PROGRESS_WS_LOG_LEVEL", "loud", "warning"),
    ("PROGRESS_WS_LOG_FORMAT", "xml", "console"),
]

#: Each holds a password of which nothing may be shown.
SECRETS = [
    ("PROGRESS_WS_PUBLISH_TOKEN", "SECRET\n"),
    ("PROGRESS_WS_PUBLISH_TOKEN", "blank in SECRET"),
    ("PROGRESS_WS_PUBLISH_TOKEN", "http://SECRET:SECRET@SECRET SECRET"),
    ("PROGRESS_WS_AMQP_URL", "http://user:SECRET@host/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET@host:port/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SE/CRETSECRET@host/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET#SECRET@host:x/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET/SECRET@host/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET?SECRET@host/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET@SECRET@host:x/"),
    ("PROGRESS_WS_AMQP_URL", "amqp://user:SECRET@[::1/"),
    ("PROGRESS_WS_AMQP_URL", "user:SECRET@host"),
    ("PROGRESS_WS_AMQP_URL", "amqp:user:SECRET@host"),
    ("PROGRESS_WS_AMQP_URL", "amqps//user:SECRET@host"),
]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without any setting of ours."""
    for name in list(os.environ):
        if name.startswith("PROGRESS_WS_"):
            monkeypatch.delenv(name)
    return monkeypatch


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a `serve` that does not start, which is wrong usage."""
    assert cli.main(["serve", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("progress-ws: ")
    assert err.count("\n") == 1
    return err


# -- values -----------------------------------------------------------------------------------


def test_defaults_are_those_of_the_contract() -> None:
    """Without any variable, and with empty ones, which count as unset."""
    empty = {f"PROGRESS_WS_{name.upper()}": "" for name in DEFAULTS}
    for given in ({}, empty):
        settings = dataclasses.asdict(Settings.from_environ(given))
        node = settings.pop("node")
        assert settings == DEFAULTS
        assert node == f"{socket.gethostname()}-{os.getpid()}"


@pytest.mark.parametrize(("name", "text", "value"), RIGHT)
def test_a_variable_sets_its_field(name: str, text: str, value: object) -> None:
    """Every variable, at the bounds of what is allowed."""
    settings = Settings.from_environ({name: text, "UNRELATED": "x"})
    assert getattr(settings, name.removeprefix("PROGRESS_WS_").lower()) == value


def test_workers_need_rabbitmq() -> None:
    """With an address several workers are right."""
    given = {"PROGRESS_WS_WORKERS": "4", "PROGRESS_WS_AMQP_URL": "amqp://h"}
    assert Settings.from_environ(given).workers == 4


def test_origins_are_told_apart_by_commas() -> None:
    """Blanks, empty places, a slash at the end and capitals make no difference."""
    text = " https://A.example/ ,, http://b.example:8080"
    settings = Settings.from_environ({"PROGRESS_WS_ALLOWED_ORIGINS": text})
    assert settings.allowed_origins == ("https://a.example", "http://b.example:8080")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://a.example:443/", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://a.example:8443", "https://a.example:8443"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, sent: str) -> None:
    """They leave out the default port of http and https."""
    settings = Settings.from_environ({"PROGRESS_WS_ALLOWED_ORIGINS": given})
    assert settings.allowed_origins == (sent,)


def test_settings_do_not_show_secrets() -> None:
    """Neither does what a debugger or a traceback prints of them."""
    given = {
        "PROGRESS_WS_AMQP_URL": "amqp://user:SECRET@host/",
        "PROGRESS_WS_PUBLISH_TOKEN": "SECRET-token",
    }
    assert "SECRET" not in repr(Settings.from_environ(given))


# -- wrong values -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_stops_the_start(
    environ: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    allowed: str,
) -> None:
    """One line names the variable, the value and what is allowed; the exit status is 2."""
    environ.setenv(name, value)
    line = complaint(capsys)
    assert name in line
    assert value in line or repr(value) in line
    assert allowed in line.replace(value, "", 1)


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_a_wrong_secret_is_not_shown(
    environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """However a secret is broken, the line names the variable and nothing of the secret."""
    environ.setenv(name, value)
    line = complaint(capsys)
    assert name in line
    assert "CRET" not in line


def test_every_wrong_value_is_an_error_of_ours() -> None:
    """For programs that build on the package: `SettingsError`, with the same line."""
    for name, value, _ in WRONG:
        with pytest.raises(SettingsError, match=name):
            Settings.from_environ({name: value})


# -- flags ------------------------------------------------------------------------------------


def test_every_setting_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """`serve --help` lists them all, with their variables."""
    with pytest.raises(SystemExit, match="0"):
        cli.main(["serve", "--help"])
    text = capsys.readouterr().out
    for name in [*DEFAULTS, "node"]:
        assert f"--{name.replace('_', '-')} " in text
        assert f"PROGRESS_WS_{name.upper()}" in text


def test_help_says_what_a_value_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults, units, choices, what unset means, and the exit status."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit, match="0"):
        cli.main(["serve", "--help"])
    text = capsys.readouterr().out
    said = {f"--{entry.split()[0]}": entry for entry in text.split("\n  --")[1:]}
    for name, default in DEFAULTS.items():
        line = said[f"--{name.replace('_', '-')}"]
        assert (f"(default: {default})" if default not in (None, ()) else "unset: ") in line
        for unit in ("seconds", "bytes"):
            assert not name.endswith(unit) or f"in {unit}" in line or f"{unit} " in line
    assert "{debug,info,warning,error,critical}" in said["--log-level"]
    assert "comma-separated, * for any" in said["--allowed-origins"]
    assert "\nexit status: " in text


def test_a_flag_wins_over_its_variable(
    environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearer one counts, right or wrong."""
    environ.setenv("PROGRESS_WS_PORT", "wrong")
    environ.setenv("PROGRESS_WS_WORKERS", "1")
    line = complaint(capsys, "--port", "1", "--workers", "2")
    assert "--workers=2" in line


def test_a_wrong_flag_is_named_as_it_was_given(
    environ: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told of a variable that nobody set; a secret is hidden here, too."""
    assert "--port='abc' is wrong" in complaint(capsys, "--port", "abc")
    assert "PROGRESS_WS_PORT" not in complaint(capsys, "--port", "abc")
    assert "CRET" not in complaint(capsys, "--amqp-url", "http://user:SECRET@host/")


@pytest.mark.parametrize("arguments", [["--no-such-flag"], ["--port"], ["stray"]])
def test_wrong_flags_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Exit status 2, and a hint."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["serve", *arguments])
    assert "usage: progress-ws" in capsys.readouterr().err


# -- an address that cannot be had ------------------------------------------------------------


async def serve(**settings: str) -> subprocess.CompletedProcess[bytes]:
    """Run `serve`, which should end by itself."""
    environ = {name: value for name, value in os.environ.items() if "PROGRESS_WS_" not in name}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "progress_ws", "serve"],
        env=environ | {f"PROGRESS_WS_{name.upper()}": value for name, value in settings.items()},
        capture_output=True,
        timeout=20,
    )


async def test_an_address_that_cannot_be_had_is_a_wrong_setting() -> None:
    """A port in use, by one node or by workers, and a host that is not ours: one line, status 2.

    It is the only one: nothing has begun before it.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        in_use, in_use_by_workers, not_ours, unknown = await asyncio.gather(
            serve(port=port),
            serve(port=port, workers="2", amqp_url="amqp://127.0.0.1:1/"),
            serve(port="0", host="192.0.2.1"),
            serve(port="0", host="no-such-host.invalid"),
        )
    for done, variable, value in (
        (in_use, b"PROGRESS_WS_PORT", port.encode()),
        (in_use_by_workers, b"PROGRESS_WS_PORT", port.encode()),
        (not_ours, b"PROGRESS_WS_HOST", b"192.0.2.1"),
        (unknown, b"PROGRESS_WS_HOST", b"no-such-host.invalid"),
    ):
        assert done.returncode == 2, done.stderr
        (complaint,) = done.stderr.splitlines()
        assert complaint.startswith(b"progress-ws: ")
        assert variable in complaint
        assert value in complaint
