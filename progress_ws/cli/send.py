"""`progress-ws send`: a message, or standard input line by line."""

import argparse
import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from progress_ws.cli.lines import lines
from progress_ws.core.codec import decode, new_draft
from progress_ws.errors import InvalidMessage, ProgressError, PublishError
from progress_ws.publish import target
from progress_ws.publish.publisher import Publisher

UNDERWAY = 1000
"""Lines without a confirm; reading waits beyond it."""

Send = Callable[..., Coroutine[Any, Any, None]]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Define the command."""
    parser = commands.add_parser(
        "send",
        help="send a message to a session",
        description="Send a message to a session; ends once the broker has it.",
        epilog=target.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sid", metavar="SID", help="the session")
    parser.add_argument("message", metavar="MESSAGE", help="a text; -: standard input, by lines")
    parser.add_argument("--key", help="the value that the message updates")
    parser.add_argument("--final", action="store_true", help="the last message of its run")
    parser.add_argument("--json", action="store_true", help="MESSAGE is JSON, not a text")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Send; return the exit status.

    Raises:
        InvalidMessage: SID or the key is wrong, also where standard input has no line.
    """
    new_draft(options.sid, "", key=options.key, max_message_bytes=0)
    return asyncio.run(_run(options, target.find(environ)))


async def _run(options: argparse.Namespace, to: target.Target) -> int:
    async with Publisher(to.url, token=to.token, prefix=to.prefix) as publisher:

        async def send(text: str, *, final: bool = False) -> None:
            value = _as_json(text) if options.json else text
            await publisher.send(options.sid, value, key=options.key, final=final)

        if options.message == "-":
            return await _send_lines(send, final=options.final)
        await send(options.message, final=options.final)
        return 0


async def _send_lines(send: Send, *, final: bool) -> int:
    """Send each line as it comes, many on the way at once, in order; return the exit status.

    With `final` one line is held back: only the very last one is the final message.
    """
    underway = _Underway()
    held: str | None = None
    try:
        async for line in lines():
            ready, held = (held, line) if final else (line, None)
            if ready is not None:
                underway.add(send(ready))
            await underway.settle(most=UNDERWAY)
        if held is not None:
            underway.add(send(held, final=True))
        await underway.settle()
    except InvalidMessage:  # of the input itself: what came before it is still sent
        await underway.settle()
        raise
    finally:
        await underway.cancel()
    return underway.status


class _Underway:
    """The lines on their way. What becomes of one is no reason to stop the job that prints them.

    One that no node would take is told and left out. So is one that is not confirmed in time, of
    which the first alone is told, once others have arrived: the broker may come back.

    Attributes:
        status: 2 if there was a line of the first kind, 1 if there was one of the second.
    """

    def __init__(self) -> None:
        self._tasks: deque[asyncio.Task[None]] = deque()
        self._has_arrived = False
        self.status = 0

    def add(self, sending: Coroutine[Any, Any, None]) -> None:
        """Begin to send."""
        self._tasks.append(asyncio.create_task(sending))

    async def settle(self, *, most: int = 0) -> None:
        """Hear of those that are done, and wait until no more than so many are left."""
        while self._tasks and (len(self._tasks) > most or self._tasks[0].done()):
            try:
                await self._tasks.popleft()
                self._has_arrived = True
            except InvalidMessage as exc:
                self.status = 2
                _tell(exc)
            except PublishError as exc:
                if not self._has_arrived:
                    raise
                if not self.status:
                    self.status = 1
                    _tell(exc)

    async def cancel(self) -> None:
        """Wait for nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _tell(exc: ProgressError) -> None:
    print(f"progress-ws: {exc}", file=sys.stderr, flush=True)


def _as_json(text: str) -> msgspec.Raw:
    """Check that a text is JSON, and keep it as it is: a number may be longer than a float's."""
    try:
        return decode(text, msgspec.Raw)
    except InvalidMessage as exc:
        detail = f"MESSAGE is wrong: with --json it must be JSON: {exc}"
        raise InvalidMessage(detail, reason="not_json", field="message") from exc
