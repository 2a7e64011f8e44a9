"""The demo as a program: how it starts, and how it says that it cannot."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from deploy.local import Node
from tests.support.tab import tab


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: text for name, text in os.environ.items() if "PROGRESS_WS_" not in name}
    return subprocess.run(
        [sys.executable, "-m", "progress_ws.demo"],
        env=env | {f"PROGRESS_WS_{name}": text for name, text in settings.items()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"PORT": "abc"}, "PROGRESS_WS_PORT='abc' is wrong"),
        ({"DEMO_DIR": "/dev/null"}, "PROGRESS_WS_DEMO_DIR='/dev/null' is wrong"),
        ({"WORKERS": "2"}, "PROGRESS_WS_WORKERS=2 is wrong"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(settings: dict[str, str], line: str) -> None:
    ended = run(**settings)
    assert ended.returncode == 2
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1


def test_it_prints_the_address_of_the_page(
    node_process: Callable[..., Node], tmp_path: Path
) -> None:
    node = node_process(command=("progress_ws.demo",), demo_dir=tmp_path)
    assert f"Open {node.url}/ in a browser." in node.output
    assert node.status("/") == 200
    taken = run(PORT=str(node.port), DEMO_DIR=str(tmp_path))
    assert taken.returncode == 2
    assert taken.stderr.startswith(f"PROGRESS_WS_PORT={node.port} is wrong")
    assert taken.stderr.count("\n") == 1
    assert taken.stdout == ""  # nobody is sent to another's page


@pytest.mark.broker
async def test_several_workers_share_a_port(
    node_process: Callable[..., Node], amqp_url: str, tmp_path: Path
) -> None:
    node = node_process(
        command=("progress_ws.demo",), amqp_url=amqp_url, workers=2, demo_dir=tmp_path
    )
    assert node.output.count("in a browser.") == 1
    async with tab(node.url) as session, aiohttp.ClientSession() as client:
        headers = {"X-Progress-Sid": session.sid}
        address = f"{node.url}/demo/jobs"
        async with client.post(address, data=b"a,b\n1,2\n", headers=headers) as response:
            assert response.status == 202
            key = (await response.json())["key"]
        frame = await session.frame()
        while not frame.get("final") or frame["key"] != key:
            frame = await session.frame()
        assert frame["message"]["state"] == "done"
