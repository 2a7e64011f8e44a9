"""`progress-ws serve`: run a node."""

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, fields

from progress_ws.node.settings import PREFIX, Settings, flag, variable

EPILOG = (
    "exit status: 0 ended by SIGTERM or SIGINT, 1 a part of the node failed, 2 wrong usage or a "
    "wrong setting"
)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Define the command: every setting is a flag."""
    parser = commands.add_parser(
        "serve",
        help="run a node",
        description="Run a node. Every setting is also an environment variable; a flag wins.",
        epilog=EPILOG,
    )
    for setting in fields(Settings):
        choices, value = setting.metadata["choices"], setting.default
        default = "" if value in (None, (), MISSING) else f" (default: {_plain(value)})"
        parser.add_argument(
            flag(setting.name),
            metavar=f"{{{','.join(choices)}}}" if choices else "VALUE",
            dest=variable(setting.name),
            help=f"{setting.metadata['help']}{default} [{variable(setting.name)}]",
        )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until a signal; return the exit status."""
    import structlog

    from progress_ws.doctor.environment import unknown
    from progress_ws.node import logs
    from progress_ws.node.server import serve

    flags = {k: v for k, v in vars(options).items() if k.startswith(PREFIX) and v is not None}
    settings = Settings.from_environ(environ, flags=flags)
    logs.configure(settings)
    if strange := unknown(environ):
        log = structlog.get_logger(__name__)
        told = [f"{name}: {mend}" for name, mend in strange.items()]
        log.warning("unknown variables: nobody reads them", variables=told)
    return serve(settings)


def _plain(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
