"""`progress-ws doctor`: what is wrong here, and what mends it."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from progress_ws.core import codec

if TYPE_CHECKING:
    from progress_ws.doctor.findings import Finding

ROLES = ("publisher", "worker", "node")
CHECK_CHARS = 11
EPILOG = """environment, as a publisher or a node has it:
  PROGRESS_WS_AMQP_URL       RabbitMQ, and/or
  PROGRESS_WS_URL            a node, with
  PROGRESS_WS_PUBLISH_TOKEN  its publish token
  PROGRESS_WS_PREFIX         name of the exchange (default: progress-ws)
  PROGRESS_WS_SID            the session that is published to
  and a node's own settings (progress-ws serve --help)

It looks for some six seconds, fifteen at the most, changes nothing, and sends
nothing to browsers. RabbitMQ's log will show its questions about rights as
errors of channels.

exit status: 0 all is well, 1 something is wrong, 2 wrong usage"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Define the command."""
    parser = commands.add_parser(
        "doctor",
        help="find what is wrong with broker, rights, nodes, token and clock",
        description="Check what a publisher or a node finds in its environment: a line for each "
        "check, and what mends each problem.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--role",
        choices=ROLES,
        help="what the login on RabbitMQ has to be enough for: to publish; to be cancelled, too "
        "(worker); to be a node (default: node where a node's own settings are there, else "
        "publisher)",
    )
    parser.add_argument("--sid", help="a session id to check, instead of PROGRESS_WS_SID")
    parser.add_argument(
        "--management",
        metavar="URL",
        type=_url,
        help="RabbitMQ's management API, http://user:password@host:15672, for the queues of the "
        "nodes and for alarms; the user needs the tag monitoring",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Look, and print what was found; return the exit status."""
    from progress_ws.broker.rights import Role
    from progress_ws.doctor import environment
    from progress_ws.doctor.examine import examine

    role = Role(options.role) if options.role else None
    subject, found = environment.read(environ, role)
    found.append(environment.sid(options.sid, environ))
    found += asyncio.run(examine(subject, management_url=options.management))
    print(_as_json(found) if options.json else _as_text(found))
    return 0 if _problems(found) == 0 else 1


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError("it must be http://user:password@host:port")
    return text.rstrip("/")


def _problems(found: Sequence["Finding"]) -> int:
    return sum(finding.mend is not None for finding in found)


def _as_json(found: Sequence["Finding"]) -> str:
    findings = [
        {name: value for name, value in finding._asdict().items() if value is not None}
        for finding in found
    ]
    return codec.encode({"ok": _problems(found) == 0, "findings": findings}).decode()


def _as_text(found: Sequence["Finding"]) -> str:
    lines = []
    for check, state, text, mend in found:
        mark = state.upper() if mend else state
        lines.append(f"{mark:{CHECK_CHARS}}  {check}: {text}")
        if mend:
            lines.append(f"{'':{CHECK_CHARS}}  -> {mend}")
    count = _problems(found)
    return "\n".join([*lines, "", f"{count or 'no'} problem{'s' * (count != 1)}"])
