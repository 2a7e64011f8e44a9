"""The command line: `progress-ws serve`, `send`, `watch`, `run`, `doctor`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from progress_ws.cli import doctor, run, send, serve, watch
from progress_ws.errors import InvalidMessage, ProgressError, SettingsError

OK, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 for a failure, 2 for wrong usage."""
    options = _parser().parse_args(argv)
    # What libraries would say of a lost connection on standard error, the command says itself.
    for name in ("aiormq", "aio_pika", "asyncio", "progress_ws"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        status: int = options.command(options, os.environ)
    except (SettingsError, InvalidMessage) as exc:
        return _complain(exc, USAGE)
    except ProgressError as exc:
        return _complain(exc, FAILURE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # of `watch | head`, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return OK
    return status


class _CommandParser(argparse.ArgumentParser):
    """A command's own parser: what it does not know it says itself, with its own usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown


def _complain(exc: Exception, status: int) -> int:
    print(f"progress-ws: {exc}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="progress-ws",
        description="Live progress for web applications that run on more than one server.",
    )
    parser.add_argument("--version", action="version", version=version("progress-ws"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_CommandParser)
    for command in (serve, send, watch, run, doctor):
        command.add_to(commands)
    return parser
