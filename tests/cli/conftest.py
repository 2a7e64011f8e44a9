"""The command as users run it, and the two places that it publishes to and watches."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import Node, RabbitMQ
from progress_ws import cli
from tests.support.parts import new_vhost, running, subfolder

TOKEN = "SECRET-token"
ENDS_S = 20


@dataclass(frozen=True)
class Place:
    """A node, and the variables with which the commands find it or its broker."""

    node: Node
    environ: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address of the node."""
        return self.node.url


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status and what it printed."""

    status: int | None
    out: str
    err: str


@asynccontextmanager
async def started(
    environ: Mapping[str, str], *argv: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a program with these variables of ours and no others; ended with all it started."""
    others = {name: value for name, value in os.environ.items() if "PROGRESS_WS_" not in name}
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=others | environ,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()  # to the end of its pipes, so that none is left open


def command(
    environ: Mapping[str, str], *arguments: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Start `python -m progress_ws …`."""
    return started(environ, sys.executable, "-m", "progress_ws", *arguments)


def shell(
    environ: Mapping[str, str], script: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Start a shell script in which `$progress_ws` is the command."""
    progress_ws = {"progress_ws": f"{sys.executable} -m progress_ws"}
    return started({**environ, **progress_ws}, "/bin/sh", "-c", script)


async def end(process: asyncio.subprocess.Process, stdin: bytes = b"") -> Done:
    """Give it the rest of its input and wait for its end."""
    async with asyncio.timeout(ENDS_S):
        out, err = await process.communicate(stdin)
    return Done(process.returncode, out.decode(), err.decode())


async def run(environ: Mapping[str, str], *arguments: str, stdin: bytes = b"") -> Done:
    """Run a command to its end."""
    async with command(environ, *arguments) as process:
        return await end(process, stdin)


Here = Callable[..., Awaitable[Done]]


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """`run` without a process of its own, for what makes no difference to: much faster."""

    async def run_here(environ: Mapping[str, str], *arguments: str) -> Done:
        for name in ("AMQP_URL", "URL", "PUBLISH_TOKEN", "PREFIX"):
            monkeypatch.delenv(f"PROGRESS_WS_{name}", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        status = await asyncio.to_thread(cli.main, arguments)
        return Done(status, *capsys.readouterr())

    return run_here


@pytest.fixture(scope="module")
def node_place(session_folder: Path) -> Iterator[Place]:
    """A node on the embedded broker, reached by its URL."""
    with running(Node(session_folder, publish_token=TOKEN)) as node:
        environ = {"PROGRESS_WS_URL": node.url, "PROGRESS_WS_PUBLISH_TOKEN": TOKEN}
        yield Place(node, environ)


@pytest.fixture(scope="module")
def broker_place(rabbitmq: RabbitMQ, session_folder: Path) -> Iterator[Place]:
    """A node on RabbitMQ, which is reached directly."""
    with ExitStack() as stack:
        vhost = stack.enter_context(new_vhost(rabbitmq))
        url = rabbitmq.amqp_url(vhost)
        node = Node(subfolder(session_folder), amqp_url=url, publish_token=TOKEN)
        stack.enter_context(running(node))
        yield Place(node, {"PROGRESS_WS_AMQP_URL": url})


@pytest.fixture(params=["node", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest) -> Place:
    """For a test that must hold for both kinds of address."""
    name = "node_place" if request.param == "node" else "broker_place"
    found: Place = request.getfixturevalue(name)
    return found
