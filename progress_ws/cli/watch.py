"""`progress-ws watch`: what crosses the exchange, for people and pipes."""

import argparse
import asyncio
import os
import socket
import sys
from asyncio import FIRST_COMPLETED
from collections.abc import Mapping
from contextlib import suppress

from progress_ws.broker.seam import NOT_YET, Feed
from progress_ws.core import codec
from progress_ws.core.intake import Delivery
from progress_ws.core.message import SID_RULE, Message, is_sid
from progress_ws.errors import InvalidMessage, ProgressError, SettingsError
from progress_ws.publish import target

CONNECT_TIMEOUT_S = 10.0
LOOK_INTERVAL_S = 0.2


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Define the command."""
    parser = commands.add_parser(
        "watch",
        help="show what crosses the exchange",
        description="Print what crosses the exchange, one JSON line each, until interrupted. "
        "Over a node's URL: what its browsers get, of one session.",
        epilog=target.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sid", metavar="SID", nargs="?", help="only this session")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Watch until interrupted; return the exit status."""
    source, sid = target.find(environ, to_publish=False), options.sid
    if sid is not None and not is_sid(sid):
        raise SettingsError(f"SID={sid!r} is wrong: it must be {SID_RULE}")
    with suppress(KeyboardInterrupt):
        if not source.is_node:
            asyncio.run(_watch_exchange(source, sid))
        elif sid is not None:
            asyncio.run(_watch_node(source, sid))
        else:
            raise SettingsError("SID is missing: over a node's URL one session can be watched")
    return 0


async def _watch_exchange(source: target.Target, sid: str | None) -> None:
    from progress_ws.broker.feed import AmqpFeed
    from progress_ws.broker.topology import Names

    output_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def show(delivery: Delivery) -> None:
        try:
            _show(delivery, sid)
        except BrokenPipeError as exc:
            if not output_ended.done():
                output_ended.set_exception(exc)

    feed = AmqpFeed(
        source.url, Names(source.prefix), node=f"watch-{socket.gethostname()}-{os.getpid()}"
    )
    tasks = asyncio.create_task(feed.run(show)), asyncio.create_task(_tell_trouble(feed))
    try:
        ended, _ = await asyncio.wait({*tasks, output_ended}, return_when=FIRST_COMPLETED)
        for end in ended:
            end.result()  # raises what ended it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _show(delivery: Delivery, sid: str | None) -> None:
    if delivery.is_own:
        return
    for item in codec.decode_body(delivery.body, max_message_bytes=sys.maxsize):
        if isinstance(item, InvalidMessage):
            print(f"progress-ws: no message: {item}", file=sys.stderr)
            continue
        message = item if isinstance(item, Message) else item.message
        if message is not None and sid in (None, message.sid):
            print(codec.one_line(codec.encode(message)), flush=True)


async def _tell_trouble(feed: Feed) -> None:
    """Say what keeps the feed from its broker; give up if it never begins."""
    loop = asyncio.get_running_loop()
    deadline_s: float | None = loop.time() + CONNECT_TIMEOUT_S
    told: str | None = NOT_YET
    while True:
        if feed.trouble is None:
            deadline_s = None
        elif deadline_s is not None and loop.time() > deadline_s:
            raise ProgressError(feed.trouble)
        elif feed.trouble != told and deadline_s is None:
            print(f"progress-ws: {feed.trouble}", file=sys.stderr)
        told = feed.trouble
        await asyncio.sleep(LOOK_INTERVAL_S)


async def _watch_node(source: target.Target, sid: str) -> None:
    import aiohttp

    url = f"{source.url}/websocket/progress?sid="  # no sid in anybody's log of URLs
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(CONNECT_TIMEOUT_S) as limit:
            async with session.ws_connect(url) as frames:
                limit.reschedule(None)
                await frames.send_str(codec.frame("follow", sid=sid).decode())
                async for frame in frames:
                    print(codec.one_line(frame.data.encode()), flush=True)
            raise ProgressError(f"{source.url} closed the connection: code {frames.close_code}")
    except TimeoutError as exc:
        raise ProgressError(f"{source.url}: no answer within {CONNECT_TIMEOUT_S:g} s") from exc
    except aiohttp.ClientError as exc:
        raise ProgressError(f"{source.url}: {exc}") from exc
