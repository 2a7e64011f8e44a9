"""Whole programs that know sid and publisher from the environment, each warning an error."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import Node, free_port
from progress_ws import new_sid
from tests.node.conftest import TOKEN
from tests.support.parts import running
from tests.support.tab import tab

ROOT = Path(__file__).parents[2]

LOG = """
import logging
from progress_ws.logging import ProgressHandler
from progress_ws.publish.default import default_publisher
with default_publisher().progress(os.environ["PROGRESS_WS_SID"]) as bar:
    logging.getLogger().addHandler(ProgressHandler(bar))
    logging.getLogger("job").warning("hot")
    bar.set(3)
"""

ENDS = {
    "a loop": ("done", "for _ in tqdm(range(3)): pass"),
    "a loop of a function": ("done", "def job(): [_ for _ in trange(3)]\njob()"),
    "closed": ("done", "bar = tqdm(total=3); bar.update(3); bar.close()"),
    "never closed, but complete": ("done", "bar = tqdm(total=3); bar.update(3)"),
    "never closed": ("failed", "bar = tqdm(total=5); bar.update(3)"),
    "exit": ("cancelled", "for n in tqdm(range(5)):\n    if n == 3: sys.exit()"),
    "an exception": ("failed", "with tqdm(total=5) as bar:\n    bar.update(3)\n    1/0"),
    "rich": ("done", "with Progress() as progress:\n    for _ in progress.track(range(3)): pass"),
    "rich, never stopped": ("failed", "p = Progress(); p.advance(p.add_task('x', total=5), 3)"),
    "a log": ("done", LOG),
}

HEAD = """
import os, sys
from progress_ws.tqdm import tqdm, trange
from progress_ws.rich import Progress
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(Node(tmp_path_factory.mktemp("node"), publish_token=TOKEN)) as node:
        yield node


def script(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(code)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("name", ENDS)
async def test_a_program_is_seen_to_its_end(node: Node, name: str) -> None:
    state, code = ENDS[name]
    sid = new_sid()
    environ = {"PROGRESS_WS_URL": node.url, "PROGRESS_WS_PUBLISH_TOKEN": TOKEN}
    done = await asyncio.to_thread(script, code, PROGRESS_WS_SID=sid, **environ)
    assert "Exception ignored" not in done.stderr
    assert "not be sent" not in done.stderr
    assert (done.returncode != 0) == ("1/0" in code), done.stderr
    last: dict[str, Any] = {}
    async with tab(node.url, sid=sid) as browser:
        while last.get("state") not in ("done", "failed", "cancelled"):
            last = (await browser.frame())["message"]
    assert (last["state"], last["current"]) == (state, 3)


@pytest.mark.slow
def test_without_a_sid_it_is_the_libraries_alone() -> None:
    for _state, code in ENDS.values():
        if "SID" not in code:
            done = script(code, PROGRESS_WS_AMQP_URL=f"amqp://127.0.0.1:{free_port()}")
            assert "progress" not in done.stderr.lower().replace("progress_ws/", "")
