"""`python -m progress_ws.demo`: a node, and a page on it that shows a real job at work."""

import os
import sys
from functools import partial

from progress_ws.demo.app import create_demo_app
from progress_ws.demo.folder import Folder
from progress_ws.errors import SettingsError
from progress_ws.node.logs import configure
from progress_ws.node.server import serve
from progress_ws.node.settings import Settings


def main() -> int:
    """Run the demo until a signal ends it; return the exit status."""
    try:
        settings = Settings.from_environ(os.environ)
        folder = Folder.from_environ(os.environ)
    except SettingsError as exc:
        return _refuse(exc)
    configure(settings)
    if settings.port:  # else only the log can tell the port
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
        sys.stdout.write(f"\n  Open http://{host}:{settings.port}/ in a browser.\n\n")
        sys.stdout.flush()
    try:
        return serve(settings, create_app=partial(create_demo_app, folder=folder.path))
    except SettingsError as exc:
        return _refuse(exc)


def _refuse(exc: SettingsError) -> int:
    sys.stderr.write(f"{exc}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
