"""The command line: `progress-ws serve`, `send`, `watch`."""

import argparse
import asyncio
import os
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from typing import Any

from progress_ws.errors import InvalidMessage, ProgressError, SettingsError

OK, FAILURE, USAGE = 0, 1, 2
LINES_UNDERWAY = 1000
LINE_MAX_BYTES = 16 * 1024 * 1024
WATCH_CONNECT_S = 10.0

_WHERE = """environment:
  PROGRESS_WS_AMQP_URL       RabbitMQ, or
  PROGRESS_WS_URL            a node, with
  PROGRESS_WS_PUBLISH_TOKEN  its publish token
  PROGRESS_WS_PREFIX         name of the exchange (default: progress-ws)"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 for a failure, 2 for wrong usage."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.command(options, os.environ)
    except (SettingsError, InvalidMessage) as exc:
        return _complain(exc, USAGE)
    except ProgressError as exc:
        return _complain(exc, FAILURE)
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:  # of `watch | head`, say
        sys.stdout = None  # nothing more can be written to it
        return OK
    return status


def _complain(exc: Exception, status: int) -> int:
    print(f"progress-ws: {exc}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="progress-ws",
        description="Live progress for web applications that run on more than one server.",
    )
    parser.add_argument("--version", action="version", version=version("progress-ws"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_send(commands)
    _add_watch(commands)
    return parser


# -- serve ------------------------------------------------------------------------------------


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from progress_ws.node.settings import Settings, variable

    parser = commands.add_parser(
        "serve",
        help="run a node",
        description="Run a node. Every setting is also an environment variable; a flag wins.",
    )
    for setting in fields(Settings):
        name = setting.name
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="VALUE",
            dest=variable(name),
            help=f"{setting.metadata['help']} [{variable(name)}]",
        )
    parser.set_defaults(command=_serve)


def _serve(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from progress_ws.node import logs
    from progress_ws.node.server import serve
    from progress_ws.node.settings import PREFIX, Settings

    flags = {k: v for k, v in vars(options).items() if k.startswith(PREFIX) and v is not None}
    settings = Settings.from_environ({**environ, **flags})
    logs.configure(settings)
    return serve(settings)


# -- send -------------------------------------------------------------------------------------


def _add_send(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "send",
        help="send a message to a session",
        description="Send a message to a session; ends once the broker has it.",
        epilog=_WHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sid", metavar="SID", help="the session")
    parser.add_argument("message", metavar="MESSAGE", help="a text; -: standard input, by lines")
    parser.add_argument("--key", help="the value that the message updates")
    parser.add_argument("--final", action="store_true", help="the last message of its run")
    parser.add_argument("--json", action="store_true", help="MESSAGE is JSON, not a text")
    parser.set_defaults(command=_send)


def _send(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return asyncio.run(_send_all(options, environ))


async def _send_all(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from progress_ws.publish.publisher import Publisher

    async with Publisher(**_target(environ)) as publisher:

        async def send(text: str, *, final: bool = False) -> None:
            value = _value(text, as_json=options.json)
            await publisher.send(options.sid, value, key=options.key, final=final)

        if options.message == "-":
            await _send_lines(send, final=options.final)
        else:
            await send(options.message, final=options.final)
    return OK


async def _send_lines(send: Callable[..., Coroutine[Any, Any, None]], *, final: bool) -> None:
    """Send each line as it comes, many on the way at once, in order.

    With `final` one line is held back: only the very last one is the final message.
    """
    underway: deque[asyncio.Task[None]] = deque()
    held: str | None = None
    try:
        async for line in _lines():
            ready, held = (held, line) if final else (line, None)
            if ready is not None:
                underway.append(asyncio.create_task(send(ready)))
            while underway and (len(underway) > LINES_UNDERWAY or underway[0].done()):
                await underway.popleft()
        if held is not None:
            underway.append(asyncio.create_task(send(held, final=True)))
        while underway:
            await underway.popleft()
    finally:
        for task in underway:
            task.cancel()


async def _lines() -> AsyncIterator[str]:
    """Read standard input by lines, as they come, without their line ends."""
    reader = asyncio.StreamReader(limit=LINE_MAX_BYTES)
    try:
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
    except ValueError:  # a regular file: reading it never waits
        for line in sys.stdin.buffer:
            yield _text(line)
            await asyncio.sleep(0)
        return
    while line := await reader.readline():
        yield _text(line)


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as exc:
        raise SettingsError(f"standard input is wrong: it must be UTF-8 text: {exc}") from exc


def _value(text: str, *, as_json: bool) -> Any:
    from progress_ws.core.codec import decode

    if not as_json:
        return text
    try:
        return decode(text, object)
    except InvalidMessage as exc:
        raise SettingsError(f"MESSAGE is wrong: with --json it must be JSON: {exc}") from exc


def _target(environ: Mapping[str, str]) -> dict[str, Any]:
    """Find the broker or the node to publish to, and what goes with it."""
    prefix = environ.get("PROGRESS_WS_PREFIX") or "progress-ws"
    if url := environ.get("PROGRESS_WS_AMQP_URL"):
        return {"url": url, "prefix": prefix}
    if url := environ.get("PROGRESS_WS_URL"):
        return {"url": url, "token": environ.get("PROGRESS_WS_PUBLISH_TOKEN") or None}
    raise SettingsError(
        "PROGRESS_WS_AMQP_URL and PROGRESS_WS_URL are unset: one of them must name RabbitMQ "
        "(amqp://…) or a node (http://…, with PROGRESS_WS_PUBLISH_TOKEN)"
    )


# -- watch ------------------------------------------------------------------------------------


def _add_watch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "watch",
        help="show what crosses the exchange",
        description="Print what crosses the exchange, one JSON line each, until interrupted. "
        "Over a node's URL: what its browsers get, of one session.",
        epilog=_WHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sid", metavar="SID", nargs="?", help="only this session")
    parser.set_defaults(command=_watch)


def _watch(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from progress_ws.core.message import SID_RULE, is_sid

    target, sid = _target(environ), options.sid
    if sid is not None and not is_sid(sid):
        raise SettingsError(f"SID={sid!r} is wrong: it must be {SID_RULE}")
    if "prefix" in target:
        return asyncio.run(_watch_exchange(target["url"], target["prefix"], sid))
    if sid is None:
        raise SettingsError("SID is missing: over a node's URL one session can be watched")
    return asyncio.run(_watch_node(target["url"], sid))


async def _watch_exchange(url: str, prefix: str, sid: str | None) -> int:
    from progress_ws.broker.feed import AmqpFeed
    from progress_ws.broker.topology import Names
    from progress_ws.core import codec
    from progress_ws.core.intake import OWN_TYPES, Delivery

    def show(delivery: Delivery) -> None:
        if (delivery.type or "").startswith(OWN_TYPES):
            return
        for item in codec.decode_body(delivery.body, max_message_bytes=sys.maxsize):
            if isinstance(item, InvalidMessage):
                print(f"progress-ws: no message: {item}", file=sys.stderr)
            elif sid in (None, item.sid):
                print(codec.one_line(item), flush=True)

    feed = AmqpFeed(url, Names(prefix), node=f"watch-{socket.gethostname()}-{os.getpid()}")
    watching = asyncio.create_task(feed.run(show))
    told: str | None = None
    deadline_s: float | None = time.monotonic() + WATCH_CONNECT_S
    while not watching.done():
        if feed.trouble is None:
            deadline_s = None
        elif deadline_s is not None and time.monotonic() > deadline_s:
            raise ProgressError(feed.trouble)
        elif feed.trouble != told:
            print(f"progress-ws: {feed.trouble}", file=sys.stderr)
        told = feed.trouble
        await asyncio.wait([watching], timeout=0.2)
    await watching
    return OK


async def _watch_node(url: str, sid: str) -> int:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url.rstrip('/')}/websocket/progress?sid={sid}") as socket_,
        ):
            async for frame in socket_:
                print(frame.data, flush=True)
            raise ProgressError(f"{url} closed the connection with code {socket_.close_code}")
    except aiohttp.ClientError as exc:
        raise ProgressError(f"{url}: {exc}") from exc
