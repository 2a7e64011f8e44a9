"""A publisher in somebody's script: `asyncio.run`, every warning an error, nothing on stderr."""

import asyncio
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from deploy.local import Node, free_port
from tests.node.conftest import TOKEN
from tests.support.parts import running

SID = "s" * 22
ROOT = Path(__file__).parents[2]

HEAD = '''
import asyncio, gc, sys
from progress_ws import Publisher, PublishError, InvalidMessage

URL, TOKEN, SID = sys.argv[1:4]

async def refusal(publisher):
    """What a send is told once an attempt to connect has failed, however slow the machine."""
    while True:
        try:
            await publisher.send(SID, 1, timeout_s=0.5)
        except PublishError as exc:
            if "127.0.0.1" in str(exc):
                return exc
'''

CLEAN = {
    "send": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                print(await publisher.send(SID, {"rows": 1}))
    """,
    "post": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                for n in range(1000):
                    publisher.post(SID, n, key="k" if n % 2 else None)
    """,
    "nothing": """
        async def main():
            async with Publisher(URL, token=TOKEN or None):
                pass
    """,
    "never started": """
        async def main():
            Publisher(URL, token=TOKEN or None)
    """,
    "all that it needs is loaded when it is made": """
        async def main():
            publisher = Publisher(URL, token=TOKEN or None)
            loaded = set(sys.modules)
            async with publisher:
                await publisher.send(SID, 1)
            assert sys.modules.keys() == loaded, sys.modules.keys() - loaded
    """,
    "never closed": """
        async def main():
            publisher = Publisher(URL, token=TOKEN or None)
            publisher.start()
            await publisher.send(SID, 1)
    """,
    "many sends": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                await asyncio.gather(*(publisher.send(SID, n) for n in range(200)))
    """,
    "a cancelled send": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                task = asyncio.create_task(publisher.send(SID, 1))
                await asyncio.sleep(0)
                task.cancel()
    """,
    "one for each run": """
        async def once():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                await publisher.send(SID, 1)

        async def main():
            pass

        for _ in range(3):
            asyncio.run(once())
    """,
}

HARD = {
    "send": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                print("told:", await refusal(publisher))
    """,
    "sends": """
        async def main():
            async with Publisher(URL, token=TOKEN or None) as publisher:
                await refusal(publisher)
                sends = [publisher.send(SID, n, timeout_s=0.5) for n in range(50)]
                outcomes = await asyncio.gather(*sends, return_exceptions=True)
                assert all(isinstance(o, PublishError) for o in outcomes), outcomes
                print("told:", outcomes[0])
    """,
    "a send nobody waits for": """
        async def main():
            publisher = Publisher(URL, token=TOKEN or None)
            publisher.start()
            await refusal(publisher)
            task = asyncio.create_task(publisher.send(SID, 1, timeout_s=0.5))
            await asyncio.wait([task])
            print("told:", task.exception())
            await publisher.close(timeout_s=0.1)
    """,
}
"""What is done to an address where nobody answers."""


def script(code: str, url: str, token: str = "") -> subprocess.CompletedProcess[str]:
    text = HEAD + textwrap.dedent(code) + "\nasyncio.run(main())\ngc.collect()\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", text, url, token, SID],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    with running(Node(tmp_path_factory.mktemp("node"), publish_token=TOKEN)) as node:
        yield node


@pytest.mark.parametrize("name", CLEAN)
def test_over_http_it_is_silent(name: str, node: Node) -> None:
    done = script(CLEAN[name], node.url, TOKEN)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.broker
@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.usefixtures("ear")
async def test_over_rabbitmq_it_is_silent(name: str, amqp_url: str) -> None:
    done = await asyncio.to_thread(script, CLEAN[name], amqp_url)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("scheme", ["amqp", "http"])
@pytest.mark.parametrize("name", HARD)
def test_where_nobody_answers_it_is_told_and_nothing_else_is_said(name: str, scheme: str) -> None:
    port = free_port()
    done = script(HARD[name], f"{scheme}://127.0.0.1:{port}", TOKEN if scheme == "http" else "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("told: ")
    assert str(port) in done.stdout


@pytest.mark.parametrize("scheme", ["amqp", "http"])
def test_what_could_not_be_sent_is_warned_of_in_one_line_and_in_time(scheme: str) -> None:
    code = """
        async def main():
            publisher = Publisher(URL, token=TOKEN or None)
            publisher.start()
            for n in range(10):
                publisher.post(SID, n)
            print(await publisher.close(timeout_s=0.5))
    """
    url = f"{scheme}://127.0.0.1:{free_port()}"
    started = time.monotonic()
    done = script(code, url, TOKEN if scheme == "http" else "")
    assert time.monotonic() - started < 10
    assert (done.returncode, done.stdout) == (0, "10\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("10 messages could not be sent")


@pytest.mark.parametrize("scheme", ["amqp", "http"])
def test_closed_while_a_send_waits_both_are_told(scheme: str) -> None:
    code = """
        async def main():
            publisher = Publisher(URL, token=TOKEN or None)
            publisher.start()
            task = asyncio.create_task(publisher.send(SID, 1, timeout_s=1))
            await asyncio.sleep(0.1)
            await publisher.close(timeout_s=0.1)
            try:
                await task
            except PublishError as exc:
                print("told:", exc)
    """
    done = script(code, f"{scheme}://127.0.0.1:{free_port()}", TOKEN if scheme == "http" else "")
    assert done.returncode == 0
    assert done.stdout.startswith("told: ")
    # A slow machine may give the send up before the end.
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize("scheme", ["amqp", "http"])
def test_an_error_of_the_script_is_shown_alone(scheme: str) -> None:
    code = """
        async def main():
            async with Publisher(URL, token=TOKEN or None):
                raise ValueError("the script's own")
    """
    done = script(code, f"{scheme}://127.0.0.1:{free_port()}", TOKEN if scheme == "http" else "")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("ValueError: the script's own\n")


@pytest.mark.broker
@pytest.mark.usefixtures("ear")
async def test_a_wrong_password_is_told_in_time_and_nothing_else_is_said(amqp_url: str) -> None:
    url = amqp_url.replace("guest:guest@", "guest:wrong@")
    started = time.monotonic()
    done = await asyncio.to_thread(script, HARD["send"], url)
    assert time.monotonic() - started < 8
    assert (done.returncode, done.stderr) == (0, "")
    assert "password" in done.stdout
