"""The settings of a node: read once, at the door, from a mapping of environment variables."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from progress_ws.broker.prefix import DEFAULT_PREFIX, check_prefix
from progress_ws.broker.urls import censored, check_amqp_url
from progress_ws.errors import SettingsError

PREFIX = "PROGRESS_WS_"
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

T = TypeVar("T")


class _WrongError(Exception):
    """What is allowed instead."""


def _text(pattern: str, allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise _WrongError(allowed)
        return text

    return parse


def _number(kind: Callable[[str], T], low: float, high: float) -> Callable[[str], T]:
    noun = "whole number" if kind is int else "number"

    def parse(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            raise _WrongError(f"a {noun} from {low:g} to {high:.15g}") from None
        if not low <= value <= high:  # type: ignore[operator]  # int and float only
            raise _WrongError(f"a {noun} from {low:g} to {high:.15g}")
        return value

    return parse


def _checked(check: Callable[[str], str], *, unset: str = "") -> Callable[[str], str]:
    """Parse by a rule of another room; `unset`: what else is allowed."""

    def parse(text: str) -> str:
        try:
            return check(text)
        except ValueError as exc:
            raise _WrongError(f"{exc}{unset}") from None

    return parse


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s,]+", origin):
            raise _WrongError("origins like https://example.com, comma-separated, or * for any")
    return tuple(map(_as_sent, origins))


def _as_sent(origin: str) -> str:
    """Leave out a scheme's default port, as browsers do."""
    port = DEFAULT_PORTS.get(origin.partition(":")[0])
    return origin if port is None else origin.removesuffix(f":{port}")


def _setting(
    default: Any,
    parse: Callable[[str], Any],
    help: str,
    *,
    shown: Callable[[str], str] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Define a setting; `shown` is how a secret may be printed."""
    metadata = {"parse": parse, "help": help, "shown": shown or str, "choices": choices}
    secret = shown is not None
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


def _choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return _setting(default, _text("|".join(choices), allowed), help, choices=choices)


_SECONDS_MAX = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. Secrets do not show in the repr."""

    host: str = _setting(
        "127.0.0.1",
        _text(r"[^\s/]+", "a host name or an address"),
        "address to listen on; 0.0.0.0: every one of this host",
    )
    port: int = _setting(8080, _number(int, 0, 65535), "port to listen on; 0: any free one")
    amqp_url: str | None = _setting(
        None,
        _checked(check_amqp_url, unset="; unset: the embedded broker"),
        "RabbitMQ, amqp://user:password@host:port/vhost or amqps://…; unset: an embedded broker, "
        "one node",
        shown=censored,
    )
    prefix: str = _setting(
        DEFAULT_PREFIX,
        _checked(check_prefix),
        "name of the exchange, and what other names on the broker begin with",
    )
    node: str = _setting(
        lambda: f"{socket.gethostname()}-{os.getpid()}",
        _text(r"[A-Za-z0-9._-]{1,64}", "1 to 64 characters of A-Z a-z 0-9 . _ -"),
        "name of this node; unset: host name and pid; workers append -1, -2 …",
    )
    workers: int = _setting(
        1,
        _number(int, 1, 256),
        "processes that share the port, each a node; more than one needs RabbitMQ",
    )
    publish_token: str | None = _setting(
        None,
        _text(r"[!-~]+", "printable ASCII characters without blanks"),
        "bearer token of the HTTP publish API; unset: it is off",
        shown=lambda _: "…",
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        _origins,
        "further origins whose pages may connect, like https://example.com, comma-separated, * for "
        "any; unset: only the node's own",
    )
    history_seconds: float = _setting(
        300.0,
        _number(float, 0, _SECONDS_MAX),
        "age in seconds up to which messages are retained; 0: none are",
    )
    history_bytes: int = _setting(
        67108864,
        _number(int, 0, 2**40),
        "memory in bytes for retained messages; no sid gets more than an eighth; 0: none are",
    )
    max_message_bytes: int = _setting(
        65536, _number(int, 1, 2**24), "largest message in bytes, as UTF-8"
    )
    max_connections: int = _setting(
        20000,
        _number(int, 1, 10**7),
        "open sockets and event streams; others are told to come back later",
    )
    publish_timeout_seconds: float = _setting(
        5.0, _number(float, 0.001, _SECONDS_MAX), "seconds to wait for the broker's confirm"
    )
    drain_seconds: float = _setting(
        10.0, _number(float, 0, _SECONDS_MAX), "seconds over which sockets are closed at the end"
    )
    feed: str = _choice(
        "bulk",
        ("bulk", "plain"),
        "who reads what RabbitMQ delivers: a reader of our own, many at a time, or aio-pika",
    )
    log_level: str = _choice(
        "info", ("debug", "info", "warning", "error", "critical"), "least level that is logged"
    )
    log_format: str = _choice(
        "auto", ("auto", "console", "json"), "auto: console on a terminal, else json"
    )

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, flags: Mapping[str, str] | None = None
    ) -> Self:
        """Read the settings; a variable that is empty counts as unset.

        Args:
            environ: the variables.
            flags: what a command line says instead, by the same names.

        Raises:
            SettingsError: one line with the variable, its value and what is allowed.
        """
        values: dict[str, Any] = {}
        given = {**environ, **(flags or {})}

        def source(name: str) -> str:
            return flag(name) if variable(name) in (flags or {}) else variable(name)

        for setting in fields(cls):
            text = given.get(variable(setting.name), "")
            if not text:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except _WrongError as wrong:
                shown = setting.metadata["shown"](text)
                name = source(setting.name)
                raise SettingsError(f"{name}={shown!r} is wrong: it must be {wrong}") from None
        settings = cls(**values)
        if settings.workers > 1 and settings.amqp_url is None:
            raise SettingsError(
                f"{source('workers')}={settings.workers} is wrong: it must be 1, or "
                f"{variable('amqp_url')} must be set, because workers meet at RabbitMQ"
            )
        return settings


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"
