"""The recipes as a newcomer starts them: the very files, by the very commands of their README."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local import Node, Process, free_port
from deploy.local.process import accepts
from tests.node.conftest import TOKEN
from tests.recipes.readme import FOLDER
from tests.support.parts import running

APP_PORT = 8000
"""Where the README's web applications listen."""
START_S = 20


class Recipe(Process):
    """A command of the README, run by a shell.

    Args:
        folder: where its log and what else it writes goes.
        command: the line as the README has it; its port 8000 becomes a free one.
        settings: environment variables of progress-ws.
        recipes: the folder that the newcomer is in.
    """

    def __init__(
        self, folder: Path, command: str, *, settings: dict[str, str], recipes: Path = FOLDER
    ) -> None:
        self.port = free_port()
        self._listens = str(APP_PORT) in command
        line = command.replace(str(APP_PORT), str(self.port))
        super().__init__(
            ["/bin/sh", "-c", f"cd '{recipes}' && {line}"],
            log=folder / f"recipe-{self.port}.log",
            env=_environment(folder) | settings,
        )

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it takes requests, if that is what it is for."""
        if self._listens:
            what = f"a port opened by {self.log.stem}"
            self.wait_until(lambda: accepts(self.port), timeout_s=START_S, what=what)


Cook = Callable[..., Recipe]


@pytest.fixture
def node(node_process: Callable[..., Node], amqp_url: str) -> Node:
    """A node on a RabbitMQ of its own, for pages from anywhere."""
    return node_process(amqp_url=amqp_url, publish_token=TOKEN, allowed_origins="*")


@pytest.fixture
def cook(node: Node, amqp_url: str, tmp_path: Path) -> Iterator[Cook]:
    """Start a command of the README: `cook("uvicorn …")`."""
    settings = {
        "PROGRESS_WS_AMQP_URL": amqp_url,
        "PROGRESS_WS_URL": node.url,
        "PROGRESS_WS_PUBLISH_TOKEN": TOKEN,
    }
    with ExitStack() as stack:

        def start(command: str, *, recipes: Path = FOLDER, **more: str) -> Recipe:
            recipe = Recipe(tmp_path, command, settings=settings | more, recipes=recipes)
            return stack.enter_context(running(recipe))

        yield start


@pytest.fixture
def slowly(tmp_path: Path) -> dict[str, str]:
    """For a shell whose work is to be cancelled before it ends: each step takes a second."""
    folder = tmp_path / "slow"
    folder.mkdir()
    sleep = folder / "sleep"
    sleep.write_text("#!/bin/sh\nexec /bin/sleep 1\n")
    sleep.chmod(0o755)
    return {"PATH": f"{folder}:{_environment(tmp_path)['PATH']}"}


def _environment(folder: Path) -> dict[str, str]:
    """What a shell of a newcomer has, with our Python's programs first."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
