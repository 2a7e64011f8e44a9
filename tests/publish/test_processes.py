"""Publishers in whole processes: their ends, their forks, and the signal that ends them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local import Process, RabbitMQ, free_port
from progress_ws import new_sid
from tests.publish.inbox import Inbox
from tests.support.parts import running
from tests.support.waiting import stopwatch

SID = new_sid()
ROOT = Path(__file__).parents[2]
HEAD = """
import asyncio, gc, os, signal, sys, threading, time
from progress_ws import BlockingPublisher, Publisher

URL, SID = sys.argv[1:3]
publisher = BlockingPublisher(URL, token="t" if URL.startswith("http") else None)
"""

Start = Callable[[str, str], Process]


def nobody() -> str:
    return f"amqp://guest:guest@127.0.0.1:{free_port()}/"


def argv(code: str, url: str) -> list[str]:
    # From 3.12 on Python warns of every fork beside a thread.
    warnings = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return [sys.executable, *warnings, "-u", "-c", HEAD + textwrap.dedent(code), url, SID]


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}


def script(code: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(code, url), env=environment(), capture_output=True, text=True, timeout=30
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script that goes on until it is ended."""
    with ExitStack() as stack:

        def run(code: str, url: str) -> Process:
            process = Process(argv(code, url), log=tmp_path / "script.log", env=environment())
            return stack.enter_context(running(process))

        yield run


def states(inbox: Inbox) -> list[str]:
    return [value["state"] for value in inbox.values if isinstance(value, dict)]


# -- the end of the interpreter -----------------------------------------------------------------

ENDS = {
    "at once": "publisher.post(SID, 'the last word')",
    "by sys.exit": "publisher.post(SID, 'the last word'); sys.exit(0)",
    "in a thread that goes on": """
        def work():
            time.sleep(0.2)
            publisher.post(SID, "the last word")
        threading.Thread(target=work).start()
    """,
    "in atexit": """
        import atexit
        atexit.register(publisher.post, SID, "the last word")
        publisher.post(SID, 1)
    """,
    "of many": """
        for n in range(20_000):
            publisher.post(SID, n)
        publisher.post(SID, "the last word")
    """,
    "of several publishers": """
        others = [BlockingPublisher(URL) for _ in range(3)]
        for other in others:
            other.post(SID, 1)
        publisher.post(SID, "the last word")
    """,
    "of a child of multiprocessing": """
        import multiprocessing
        context = multiprocessing.get_context("fork")
        child = context.Process(target=publisher.post, args=(SID, "the last word"))
        child.start()
        child.join()
        assert child.exitcode == 0
    """,
    "of a child that was forked": """
        publisher.send(SID, 1)
        if not os.fork():
            publisher.post(SID, "the last word")
            sys.exit(0)
        assert os.wait()[1] == 0
    """,
}


@pytest.mark.broker
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("how", ENDS)
def test_what_was_posted_before_the_end_arrives(
    how: str, host: str, inbox: Inbox, amqp_url: str
) -> None:
    done = script(ENDS[how], amqp_url.replace("127.0.0.1", host))
    assert (done.returncode, done.stderr) == (0, "")
    inbox.until(lambda values: "the last word" in values)


@pytest.mark.broker
def test_a_bar_that_runs_at_the_end_has_failed(inbox: Inbox, amqp_url: str) -> None:
    done = script("bar = publisher.progress(SID, total=10)\nbar.advance(3)", amqp_url)
    assert (done.returncode, done.stderr) == (0, "")
    last = inbox.until(lambda values: values)[-1]
    assert (last["state"], last["error"], last["current"]) == ("failed", "the program ended", 3)


@pytest.mark.parametrize("scheme", ["amqp", "http"])
@pytest.mark.slow
def test_with_the_broker_away_the_end_is_in_time_and_without_a_traceback(scheme: str) -> None:
    code = """
        publisher.post(SID, 1)
        with publisher.progress(SID, key="k") as bar:
            bar.advance()
        bar = publisher.progress(SID)
        print("ends", flush=True)
    """
    started = time.monotonic()
    done = script(code, f"{scheme}://127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 10
    assert (done.returncode, done.stdout) == (0, "ends\n")
    # Python shows the warnings of a program that has not set up logging.
    assert [line for line in done.stderr.splitlines() if "get through" not in line][1:] == []
    assert "could not be sent" in done.stderr


def test_with_logging_off_nothing_is_printed() -> None:
    code = "import logging; logging.disable(); publisher.post(SID, 1)"
    done = script(code, nobody())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- forks --------------------------------------------------------------------------------------

FDS = """
def sockets():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return sorted(it for it in found if it.startswith("socket") or "eventpoll" in it)
"""


@pytest.mark.broker
def test_a_child_has_nothing_open_of_its_parents(inbox: Inbox, amqp_url: str) -> None:
    code = """
        publisher.send(SID, "parent")
        assert len(sockets()) >= 3
        publisher.post(SID, "waits in the parent")
        if not os.fork():
            gc.collect()
            assert sockets() == [], sockets()
            assert threading.active_count() == 1
            assert publisher.waiting == 0
            assert publisher.send(SID, "child").endswith("-1")
            gc.collect()
            sys.exit(0)
        assert os.wait()[1] == 0
        publisher.send(SID, "parent again")
    """
    done = script(FDS + textwrap.dedent(code), amqp_url)
    assert (done.returncode, done.stderr) == (0, "")
    values = inbox.values
    assert sorted(values) == sorted(["parent", "waits in the parent", "child", "parent again"])
    assert len(inbox.publishers) == 2


@pytest.mark.broker
@pytest.mark.slow
def test_a_fork_waits_for_nothing_half_done(inbox: Inbox, amqp_url: str) -> None:
    """Names are being looked up, connections opened at the fork."""
    code = """
        children = []
        for n in range(10):
            publisher.post(SID, "parent")
            time.sleep(0.02 * n)
            pid = os.fork()
            if not pid:
                publisher.send(SID, n, timeout_s=10)
                sys.exit(0)
            children.append(pid)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
    """
    done = script(code, amqp_url.replace("127.0.0.1", "localhost"))
    assert (done.returncode, done.stderr) == (0, "")
    values = inbox.until(lambda values: len(values) == 20)
    assert sorted(it for it in values if it != "parent") == list(range(10))
    assert len(inbox.publishers) == 11


@pytest.mark.broker
@pytest.mark.slow
def test_forks_in_one_thread_while_others_post(inbox: Inbox, amqp_url: str) -> None:
    code = """
        stop = threading.Event()
        def work():
            while not stop.is_set():
                publisher.post(SID, "busy", key="k")
        workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for worker in workers:
            worker.start()
        for n in range(5):
            if not os.fork():
                publisher.send(SID, n, timeout_s=10)
                os._exit(0)
            assert os.wait()[1] == 0
        stop.set()
        for worker in workers:
            worker.join()
    """
    done = script(code, amqp_url)
    assert (done.returncode, done.stderr) == (0, "")
    values = inbox.until(lambda values: set(range(5)) <= set(values))
    assert len(inbox.publishers) == 6, values[-1]


@pytest.mark.broker
def test_a_bar_is_its_own_processs(inbox: Inbox, amqp_url: str) -> None:
    """A child that leaves its parent's block must not end the parent's bar."""
    code = """
        with publisher.progress(SID, total=2) as bar:
            bar.advance()
            if not os.fork():
                sys.exit(3)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
            bar.advance()
    """
    done = script(code, amqp_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(inbox.publishers) <= 1
    assert inbox.values[-1]["state"] == "done"
    assert "failed" not in states(inbox)


# -- SIGTERM ------------------------------------------------------------------------------------

JOBS = {
    "threads": """
        with publisher.progress(SID, total=1000) as bar:
            publisher.post(SID, "posted")
            for _ in range(1000):
                bar.advance()
                time.sleep(0.05)
    """,
    "a busy main thread": """
        with publisher.progress(SID, total=1000) as bar:
            publisher.post(SID, "posted")
            while True:
                bar.advance()
    """,
    "a worker thread": """
        publisher.send(SID, "posted")
        def work():
            with publisher.progress(SID, total=1000) as bar:
                for _ in range(1000):
                    bar.advance()
                    time.sleep(0.05)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """,
    "a child": """
        publisher.send(SID, "parent")
        pid = os.fork()
        if pid:
            print("child", pid, flush=True)
            sys.exit(-os.waitstatus_to_exitcode(os.wait()[1]))
        with publisher.progress(SID, total=1000) as bar:
            publisher.post(SID, "posted")
            time.sleep(60)
    """,
    "asyncio": """
        async def main():
            async with Publisher(URL) as publisher, publisher.progress(SID, total=1000) as bar:
                publisher.post(SID, "posted")
                for _ in range(1000):
                    bar.advance()
                    await asyncio.sleep(0.05)
        asyncio.run(main())
    """,
}


def runs(inbox: Inbox) -> None:
    """The job is in the middle of it."""
    inbox.until(lambda values: "posted" in values and "running" in states(inbox))


@pytest.mark.broker
@pytest.mark.parametrize("how", ["threads", "a busy main thread", "a worker thread", "asyncio"])
def test_sigterm_ends_bars_and_then_the_process_as_ever(
    how: str, inbox: Inbox, amqp_url: str, start: Start
) -> None:
    process = start(JOBS[how], amqp_url)
    runs(inbox)
    process.terminate()
    process.wait_end()
    assert process.returncode == -signal.SIGTERM
    assert process.output == ""
    last = inbox.until(lambda _: "failed" in states(inbox))[-1]
    assert last["error"] == "terminated (SIGTERM)"


@pytest.mark.broker
def test_a_child_handles_sigterm_for_itself(inbox: Inbox, amqp_url: str, start: Start) -> None:
    process = start(JOBS["a child"], amqp_url)
    runs(inbox)
    os.kill(int(process.output.split()[1]), signal.SIGTERM)
    process.wait_end()
    assert process.returncode == signal.SIGTERM
    assert inbox.until(lambda _: "failed" in states(inbox))[-1]["error"] == "terminated (SIGTERM)"


@pytest.mark.broker
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_of_the_programs_own_is_left_alone(
    when: str, inbox: Inbox, amqp_url: str, start: Start
) -> None:
    handler = """
        def on_sigterm(*_):
            publisher.post(SID, "mine")
            sys.exit(7)
    """
    install = "        signal.signal(signal.SIGTERM, on_sigterm)\n"
    use = "        publisher.send(SID, 1)\n"
    parts = [handler, install, use] if when == "before" else [handler, use, install]
    process = start("\n".join([*parts, JOBS["threads"]]), amqp_url)
    runs(inbox)
    process.terminate()
    process.wait_end()
    assert process.returncode == 7
    inbox.until(lambda values: "mine" in values)
    assert inbox.until(lambda _: "failed" in states(inbox))[-1]["error"].startswith("SystemExit")


@pytest.mark.parametrize(
    "code",
    [
        "BlockingPublisher(URL, handle_sigterm=False).post(SID, 1)",
        "publisher = Publisher(URL, handle_sigterm=False); asyncio.run(main(publisher))",
        "threading.Thread(target=lambda: publisher.post(SID, 1)).start()",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); publisher.post(SID, 1)",
    ],
)
@pytest.mark.slow
def test_no_handler_is_set_where_none_is_wanted(code: str) -> None:
    head = """
        before = signal.getsignal(signal.SIGTERM)
        async def main(publisher):
            publisher.start()
            await publisher.close(timeout_s=0.1)
    """
    tail = "assert signal.getsignal(signal.SIGTERM) in (before, signal.SIG_IGN); os._exit(0)"
    done = script("\n".join([textwrap.dedent(head), code, tail]), nobody())
    assert (done.returncode, done.stderr) == (0, "")


def test_with_the_broker_away_sigterm_ends_the_process_at_once(start: Start) -> None:
    code = """
        import logging
        logging.disable()
        with publisher.progress(SID, total=1000) as bar:
            while publisher.trouble is None:
                time.sleep(0.01)
            print("cut off", flush=True)
            time.sleep(60)
    """
    process = start(code, nobody())
    process.wait_until(lambda: "cut off" in process.output, timeout_s=15, what="cut off")
    with stopwatch() as seconds:
        process.terminate()
        process.wait_end()
        assert seconds() < 1
    assert process.returncode == -signal.SIGTERM


@pytest.mark.broker
@pytest.mark.slow
def test_a_loop_that_does_not_turn_delays_sigterm_for_two_seconds_only(
    inbox: Inbox, amqp_url: str, start: Start
) -> None:
    code = """
        async def main():
            async with Publisher(URL) as publisher:
                await publisher.send(SID, "sent")
                time.sleep(60)
        asyncio.run(main())
    """
    process = start(code, amqp_url)
    inbox.until(lambda values: "sent" in values)
    started = time.monotonic()
    process.terminate()
    process.wait_end()
    assert 1.5 < time.monotonic() - started < 5
    assert process.returncode == -signal.SIGTERM


# -- the broker dies in mid-job -----------------------------------------------------------------


@pytest.mark.broker
@pytest.mark.slow
def test_a_job_goes_on_at_its_speed_while_the_broker_is_killed(
    own_rabbitmq: RabbitMQ, start: Start
) -> None:
    code = """
        import logging
        logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
        stop = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *_: stop.set())
        publisher.send(SID, "ready")
        worst_s = 0.0
        with publisher.progress(SID, total=1) as bar:
            while not stop.is_set():
                before = time.monotonic()
                bar.advance(0)
                publisher.post(SID, "news", key="k")
                worst_s = max(worst_s, time.monotonic() - before)
                time.sleep(0.001)
        print("worst", worst_s, publisher.dropped, publisher.waiting, flush=True)
    """
    url = own_rabbitmq.amqp_url()
    with Inbox(url) as inbox:
        process = start(code, url)
        inbox.until(lambda values: values.count("news") > 3)
    own_rabbitmq.kill()
    process.wait_until(lambda: "not get through" in process.output, timeout_s=15, what="a warning")
    own_rabbitmq.start()
    own_rabbitmq.wait_ready()
    with Inbox(url) as inbox:
        inbox.until(lambda values: values.count("news") > 3)
        os.kill(process.pid, signal.SIGUSR1)
        process.wait_end()
        assert process.returncode == 0
        assert states(inbox)[-1] == "done"
    gone, back, worst = process.output.splitlines()
    assert gone.startswith("WARNING progress does not get through, what is posted waits: RabbitMQ")
    assert back.startswith("WARNING progress gets through again after ")
    _, worst_s, dropped, waiting = worst.split()
    assert float(worst_s) < 0.5
    assert (dropped, waiting) == ("0", "0")
