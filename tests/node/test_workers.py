"""Several processes on one port: each a node of its own, and one answers for all."""

import asyncio
import errno
import json
import os
import resource
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.local import Node, RabbitMQ
from deploy.local.process import stands_still
from progress_ws import new_sid
from progress_ws.errors import SettingsError
from progress_ws.node.app import create_app
from progress_ws.node.settings import Settings
from progress_ws.node.workers import supervise
from tests.node.conftest import BEARER, TOKEN
from tests.support.metrics import metric
from tests.support.parts import new_vhost, running, subfolder
from tests.support.tab import Tab, tab
from tests.support.waiting import eventually

pytestmark = pytest.mark.broker

WORKERS = 2


@contextmanager
def started(rabbitmq: RabbitMQ, session_folder: Path) -> Iterator[Node]:
    """A node with two workers and a virtual host of its own."""
    with new_vhost(rabbitmq) as vhost:
        new = Node(
            subfolder(session_folder),
            amqp_url=rabbitmq.amqp_url(vhost),
            node="node-7",
            workers=WORKERS,
            publish_token=TOKEN,
        )
        with running(new) as node:
            yield node


@pytest.fixture(scope="module")
def node(rabbitmq: RabbitMQ, session_folder: Path) -> Iterator[Node]:
    """One for all tests that leave it as it was: it starts some seconds. It must end well."""
    with started(rabbitmq, session_folder) as node:
        yield node
        node.stop()
        assert node.returncode == 0


@pytest.fixture
def own_node(rabbitmq: RabbitMQ, session_folder: Path) -> Iterator[Node]:
    """One for a test that ends it."""
    with started(rabbitmq, session_folder) as node:
        yield node


@asynccontextmanager
async def a_tab_on_each(node: Node, sid: str) -> AsyncIterator[dict[str, Tab]]:
    """Open tabs until every worker has one; by the worker's name."""
    async with AsyncExitStack() as stack:
        tabs: dict[str, Tab] = {}
        for _ in range(100):
            opened = await stack.enter_async_context(tab(node.url, sid=sid))
            tabs.setdefault(opened.node, opened)
            if len(tabs) == WORKERS:
                yield tabs
                return
        raise AssertionError(f"the kernel gave every connection to {list(tabs)}")


def workers(node: Node) -> list[int]:
    """The pids of the worker processes."""
    children = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = next(line for line in status.read_text().splitlines() if "PPid" in line)
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
        if parent.split()[1] == str(node.pid) and b"spawn_main" in command:
            children.append(int(status.parent.name))
    return sorted(children)


async def test_every_worker_is_a_node(node: Node) -> None:
    """They share the port, bear numbered names, and a message reaches the browsers of all."""
    sid = new_sid()
    async with a_tab_on_each(node, sid) as tabs, aiohttp.ClientSession(node.url) as http:
        assert set(tabs) == {"node-7-1", "node-7-2"}
        body = {"sid": sid, "message": "to all"}
        async with http.post("/api/v1/messages", json=body, headers=BEARER) as answer:
            assert answer.status == 202
        for browser in tabs.values():
            assert (await browser.frame())["message"] == "to all"

        async def are_listed() -> bool:
            async with http.get("/api/v1/cluster") as answer:
                nodes = (await answer.json())["nodes"]
            return [n["node"] for n in nodes] == ["node-7-1", "node-7-2"]

        await eventually(are_listed)

        # Whoever is asked: each of these is a new connection.
        for _ in range(8):
            received = await asyncio.to_thread(metric, node, "messages_received_total")
            assert received == WORKERS
            for name in tabs:
                one = await asyncio.to_thread(metric, node, "messages_received_total", node=name)
                assert one == 1


async def test_one_worker_answers_for_all(node: Node) -> None:
    """While one is dead the node is not ready and says which; it comes back by itself.

    At first it cannot: the host is short of files, as it may be of memory or processes.
    """
    before = workers(node)
    assert len(before) == WORKERS
    soft, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (len(before), hard))
    os.kill(before[0], signal.SIGKILL)

    reasons = []

    async def is_missed() -> bool:
        async with aiohttp.ClientSession(node.url) as http, http.get("/readyz") as answer:
            reasons.append(await answer.text())
            return answer.status == 503

    await eventually(is_missed, 5)
    assert "worker" in json.loads(reasons[-1])["reason"]
    await eventually(lambda: '"event": "worker cannot be started"' in node.output)
    resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (soft, hard))
    await eventually(lambda: node.ready, 15)
    after = workers(node)
    assert len(after) == WORKERS
    assert set(after) & set(before) == {before[1]}
    assert '"event": "worker died"' in node.output

    async with a_tab_on_each(node, new_sid()) as tabs:
        assert set(tabs) == {"node-7-1", "node-7-2"}


async def test_a_frozen_worker_is_missed(node: Node) -> None:
    """A worker that stands still is told by the one that is asked: neither ready nor healthy."""
    paths = ("/readyz", "/healthz")
    async with AsyncExitStack() as stack:
        asked: dict[str, list[aiohttp.ClientSession]] = {}
        while len(asked) < WORKERS or min(map(len, asked.values())) < len(paths):
            http = await stack.enter_async_context(aiohttp.ClientSession(node.url))
            async with http.get("/api/v1/cluster") as answer:
                # A kept connection stays with its worker.
                asked.setdefault((await answer.json())["node"], []).append(http)

        async def status(http: aiohttp.ClientSession, path: str) -> int | None:
            try:
                async with http.get(path, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                    return answer.status
            except TimeoutError:
                return None

        victim = workers(node)[1]
        os.kill(victim, signal.SIGSTOP)
        try:
            await eventually(lambda: stands_still(victim))
            asking = [
                status(http, path)
                for sessions in asked.values()
                for http, path in zip(sessions, paths, strict=False)
            ]
            assert sorted(await asyncio.gather(*asking), key=str) == [503, 503, None, None]
        finally:
            os.kill(victim, signal.SIGCONT)
    await eventually(lambda: node.ready, 20)


def test_a_host_without_a_place_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that may write nothing is told so, and not that its port is wrong."""

    def refuse(*_args: object, **_kwargs: object) -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(SettingsError, match=r"WORKERS=2 is wrong.*Read-only file system.*TMPDIR"):
        supervise(Settings(port=0, workers=2), create_app)


async def test_a_signal_to_everybody_ends_all_well(own_node: Node) -> None:
    """Service managers signal the whole group: 1012 for browsers, and status 0."""
    async with a_tab_on_each(own_node, new_sid()) as tabs:
        pids = workers(own_node)
        os.killpg(own_node.pid, signal.SIGTERM)
        assert [await browser.close_code() for browser in tabs.values()] == [1012] * WORKERS
        await eventually(lambda: not own_node.alive, 10)
    assert own_node.returncode == 0
    assert "Traceback" not in own_node.output
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.slow
async def test_workers_do_not_outlive_their_supervisor(own_node: Node) -> None:
    """Killed with -9 it cannot tell them; they notice, and say good-bye to their browsers."""
    async with a_tab_on_each(own_node, new_sid()) as tabs:
        pids = workers(own_node)
        os.kill(own_node.pid, signal.SIGKILL)
        assert [await browser.close_code() for browser in tabs.values()] == [1012] * WORKERS
        await eventually(lambda: not any(is_alive(pid) for pid in pids), 10)


def is_alive(pid: int) -> bool:
    """Whether the process has not ended; one that nobody has waited for yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
