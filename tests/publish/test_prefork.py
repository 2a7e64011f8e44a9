"""One publisher of a module, in servers that fork: Celery's workers and gunicorn's."""

import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import celery
import pytest

from deploy.local import Process, RabbitMQ, free_port
from deploy.local.process import accepts, wait_for
from progress_ws import new_sid
from tests.publish.inbox import Inbox
from tests.support.parts import new_vhost, running

pytestmark = [pytest.mark.broker, pytest.mark.slow]  # the recipes' tests are the short form

SID = new_sid()
APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LISTED_S = 15

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path, amqp_url: str) -> Iterator[Start]:
    """Start a server of one of the apps, and wait until it is there."""
    with ExitStack() as stack:

        def run(*argv: str, **environ: str) -> Process:
            env = {
                "PATH": f"{BIN}:/usr/bin:/bin",
                "PYTHONPATH": f"{APPS}:{ROOT}",
                "PYTHONWARNINGS": "error:::progress_ws",
                "PYTHONUNBUFFERED": "1",
                "PROGRESS_WS_AMQP_URL": amqp_url,
                "PROGRESS_WS_SID": SID,
                **environ,
            }
            process = Process([str(BIN / argv[0]), *argv[1:]], log=tmp_path / "server.log", env=env)
            return stack.enter_context(running(process))

        yield run


def ours(rabbitmq: RabbitMQ, vhost: str) -> list[int]:
    """The processes that have a connection of a publisher, one for each."""
    names = [
        connection["client_properties"]["connection_name"]
        for connection in rabbitmq.management.connections(vhost)
        if connection.get("client_properties")
    ]
    return sorted(int(name.rpartition("-")[2]) for name in names if "publisher" in name)


def pids(inbox: Inbox, what: str) -> set[int]:
    return {value[what] for value in inbox.values if what in value}


def ends(inbox: Inbox) -> list[str]:
    """How the bars ended."""
    inbox.read()
    return [m["message"]["state"] for m in inbox.messages if m.get("final")]


# -- Celery -------------------------------------------------------------------------------------


@pytest.fixture
def celery_broker(rabbitmq: RabbitMQ) -> Iterator[str]:
    """A virtual host for Celery's own queues."""
    with new_vhost(rabbitmq) as name:
        yield rabbitmq.amqp_url(name).partition("?")[0]


@pytest.fixture
def jobs(celery_broker: str) -> Iterator[celery.Celery]:
    """What sends tasks, as a web application does."""
    with celery.Celery("jobs", broker=celery_broker, set_as_current=False) as app:
        yield app


def start_celery(start: Start, broker: str, *argv: str) -> Process:
    options = ("--concurrency", "2", "--loglevel", "INFO", "--without-mingle", *argv)
    worker = start("celery", "-A", "celery_jobs", "worker", *options, CELERY_BROKER=broker)
    worker.wait_until(lambda: "ready." in worker.output, timeout_s=30, what="ready")
    return worker


def test_in_celery_each_process_has_one_connection(
    inbox: Inbox,
    start: Start,
    jobs: celery.Celery,
    celery_broker: str,
    rabbitmq: RabbitMQ,
    vhost: str,
) -> None:
    worker = start_celery(start, celery_broker)
    for _ in range(4):
        jobs.send_task("count", [SID, 10])
    inbox.until(lambda _: ends(inbox) == ["done"] * 4, 30)
    (parent,), children = pids(inbox, "loaded"), pids(inbox, "worked")
    assert parent == worker.pid
    assert len(children) == 2
    assert parent not in children
    expected = sorted([parent, *children])
    wait_for(lambda: ours(rabbitmq, vhost) == expected, timeout_s=LISTED_S, what=str(expected))
    assert len(inbox.publishers) == 3
    worker.terminate()
    worker.wait_end()
    wait_for(lambda: ours(rabbitmq, vhost) == [], timeout_s=LISTED_S, what="no connection left")
    assert "Traceback" not in worker.output


def test_in_celery_a_child_that_is_replaced_leaves_nothing(
    inbox: Inbox,
    start: Start,
    jobs: celery.Celery,
    celery_broker: str,
    rabbitmq: RabbitMQ,
    vhost: str,
) -> None:
    worker = start_celery(start, celery_broker, "--max-tasks-per-child", "1")
    for _ in range(6):
        jobs.send_task("count", [SID, 1])
    inbox.until(lambda _: ends(inbox) == ["done"] * 6, 30)
    assert len(pids(inbox, "worked")) == 6
    only = [worker.pid]
    wait_for(lambda: ours(rabbitmq, vhost) == only, timeout_s=LISTED_S, what="the parent's alone")
    assert "Traceback" not in worker.output


def test_in_celery_a_task_that_is_terminated_has_failed(
    inbox: Inbox, start: Start, jobs: celery.Celery, celery_broker: str
) -> None:
    """Its children handle SIGTERM themselves, by an exception that leaves the block."""
    start_celery(start, celery_broker)
    task = jobs.send_task("count", [SID, 1000])
    inbox.until(lambda _: pids(inbox, "worked"))
    jobs.control.revoke(task.id, terminate=True)
    inbox.until(lambda _: ends(inbox) == ["failed"])
    assert inbox.values[-1]["error"].startswith("SystemExit")


# -- gunicorn -----------------------------------------------------------------------------------


def get(port: int) -> int:
    """Ask for some work; the process that did it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/reports/{SID}", timeout=20) as answer:
        return int(answer.read())


def both(port: int) -> set[int]:
    """Ask until both workers have worked."""
    found: set[int] = set()

    def ask() -> bool:
        with ThreadPoolExecutor(6) as pool:
            found.update(pool.map(get, [port] * 6))
        return len(found) == 2

    wait_for(ask, timeout_s=20, what="work of both")
    return found


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["plain", "preload"])
@pytest.mark.parametrize("app", ["flask_app", "django_app"])
def test_in_gunicorn_each_process_has_one_connection(
    app: str, preload: tuple[str, ...], inbox: Inbox, start: Start, rabbitmq: RabbitMQ, vhost: str
) -> None:
    port = free_port()
    options = ("--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning")
    server = start("gunicorn", *options, *preload, f"{app}:app")
    server.wait_until(lambda: accepts(port), timeout_s=20, what="listening")
    workers = both(port)
    assert set(ends(inbox)) == {"done"}
    expected = sorted([server.pid, *workers] if preload else workers)
    assert pids(inbox, "loaded") == ({server.pid} if preload else workers)
    wait_for(lambda: ours(rabbitmq, vhost) == expected, timeout_s=LISTED_S, what=str(expected))
    os.kill(server.pid, signal.SIGHUP)  # both are replaced, with --preload by ones that load anew
    wait_for(lambda: not workers & set(ours(rabbitmq, vhost)), timeout_s=LISTED_S, what="old gone")
    later = both(port)
    assert not workers & later
    wait_for(lambda: later <= set(ours(rabbitmq, vhost)), timeout_s=LISTED_S, what="new there")
    server.terminate()
    server.wait_end()
    wait_for(lambda: ours(rabbitmq, vhost) == [], timeout_s=LISTED_S, what="no connection left")
    assert "Traceback" not in server.output
