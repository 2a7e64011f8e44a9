"""`progress-ws run`: a command's life as a bar."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from progress_ws.cli.streams import Streams
from progress_ws.core.message import SID_RULE, is_sid
from progress_ws.errors import SettingsError
from progress_ws.publish import target
from progress_ws.publish.bar import Bar
from progress_ws.publish.place import unseen
from progress_ws.publish.publisher import Publisher

KEY = "command"
"""Not the key of `track`: a program inside may show a bar of its own."""
KILL_AFTER_S = 10.0
CLOSE_TIMEOUT_S = 3.0
NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128
FORWARDED = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT
OF_THE_TERMINAL = signal.SIGINT, signal.SIGQUIT, signal.SIGHUP


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Define the command."""
    parser = commands.add_parser(
        "run",
        usage="progress-ws run [-h] [--sid SID] [--key K] [--title T] -- COMMAND …",
        help="run a command and show its life as a bar",
        description="Run a command: its last line, a percentage that it prints, and its end are a "
        "bar in the browser. Its output passes through unchanged; it runs as well without a "
        "broker. A browser's cancel is a SIGTERM to the command itself, after 10 s a SIGKILL.",
        epilog="exit status: the command's own; 128 + n: ended by signal n; 127: no such command; "
        "126: it\ncannot be executed; 2: wrong usage\n"
        f"\n{target.HELP}\n  PROGRESS_WS_SID            instead of --sid; the command has it, too",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sid", help="the session; without any, the command just runs")
    parser.add_argument("--key", default=KEY, help=f"the name of the bar (default: {KEY})")
    parser.add_argument("--title", help="what it is, for people (default: the command's name)")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND …", help="what to run")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the command; return its exit status."""
    _open_standard_streams()
    argv: list[str] = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise SettingsError("COMMAND is missing: progress-ws run --sid SID -- COMMAND …")
    sid = options.sid or environ.get("PROGRESS_WS_SID")
    if not sid:
        return asyncio.run(_Command(argv, unseen(), environ, asyncio.Event()).run())
    if not is_sid(sid):
        raise SettingsError(f"SID={sid!r} is wrong: it must be {SID_RULE}")
    return asyncio.run(_run(argv, sid, options, environ))


async def _run(
    argv: list[str], sid: str, options: argparse.Namespace, environ: Mapping[str, str]
) -> int:
    to = target.find(environ)
    publisher = Publisher(to.url, token=to.token, prefix=to.prefix, handle_sigterm=False)
    publisher.start()
    stopping = asyncio.Event()
    bar = publisher.progress(
        sid,
        key=options.key,
        title=options.title or Path(argv[0]).name,
        on_cancel=stopping.set,
    )
    status = await _Command(argv, bar, {**environ, "PROGRESS_WS_SID": sid}, stopping).run()
    await publisher.flush(timeout_s=CLOSE_TIMEOUT_S)
    trouble = publisher.trouble
    if await publisher.close(timeout_s=CLOSE_TIMEOUT_S if trouble is None else 0):
        reason = trouble or "no answer in time"
        print(f"progress-ws: not shown to its end: {reason}", file=sys.stderr)
    return status


class _Command:
    """A command, from its start to its end."""

    def __init__(
        self,
        argv: list[str],
        bar: Bar,
        environ: Mapping[str, str],
        stopping: asyncio.Event,
    ) -> None:
        self._argv, self._bar, self._environ = argv, bar, environ
        self._stopping = stopping
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []

    async def run(self) -> int:
        """Start it, wait for its end and say how it ended; return the status of a shell."""
        streams = Streams(self._bar)
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup: let it be so
                asyncio.get_running_loop().add_signal_handler(number, self._forward, number)
        try:
            # What a shell has opened beyond the three, `<(…)` or a lock, is the command's.
            self._process = process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdout=streams.out,
                stderr=streams.err,
                env=self._environ,
                close_fds=False,
            )
        except OSError as exc:
            streams.close()
            return self._not_started(exc)
        for number in self._early:
            self._send(number)
        streams.start()
        stopping = asyncio.create_task(self._stop())
        code = await process.wait()
        stopping.cancel()
        await asyncio.wait([stopping])
        await streams.drain()
        return self._ended(code)

    def _not_started(self, exc: OSError) -> int:
        reason = f"{self._argv[0]}: {exc.strerror}"
        print(f"progress-ws: {reason}", file=sys.stderr)
        self._bar.failed(reason)
        return NOT_FOUND if isinstance(exc, FileNotFoundError) else NOT_EXECUTABLE

    def _ended(self, code: int) -> int:
        if self._bar.cancelled:
            self._bar.cancel()
        elif code == 0:
            self._bar.done()
        else:
            self._bar.failed(_name(-code) if code < 0 else f"exit status {code}")
        return SIGNALLED - code if code < 0 else code

    async def _stop(self) -> None:
        """Once a browser has asked: ask it to end, and make it end."""
        await self._stopping.wait()
        self._send(signal.SIGTERM)
        await asyncio.sleep(KILL_AFTER_S)
        self._send(signal.SIGKILL)

    def _forward(self, number: signal.Signals) -> None:
        """Hand a signal on, unless the terminal has sent it to the command itself."""
        if number not in OF_THE_TERMINAL or not _is_in_foreground():
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._process is None:
            self._early.append(number)
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def _open_standard_streams() -> None:
    """Let nothing of ours be standard input, output or error: they may have been closed."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of the real-time ones, say
        return f"signal {number}"
