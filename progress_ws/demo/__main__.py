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
    try:
        create_app = partial(create_demo_app, folder=folder.path)
        return serve(settings, create_app, on_listening=_invite)
    except SettingsError as exc:
        return _refuse(exc)


def _invite(url: str) -> None:
    sys.stdout.write(f"\n  Open {url}/ in a browser.\n\n")
    sys.stdout.flush()


def _refuse(exc: SettingsError) -> int:
    sys.stderr.write(f"{exc}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
