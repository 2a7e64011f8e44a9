"""The faults themselves: what is frozen does stand still, all of it, when `freeze` returns.

And the ports: no two processes of a suite are given the same one.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.node import PROJECT
from deploy.local.process import Process, free_port, stands_still

THREADS = """
import os, threading
for _ in range(200):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(os.getpid(), "ready", flush=True)
threading.Event().wait()
"""
WITH_A_CHILD = """
import os, signal
pid = os.fork()
if pid:
    print(os.getpid(), pid, "ready", flush=True)
signal.pause()
"""

PORTS = """
import random
from deploy.local import free_port
random.seed(7)
print(*(free_port() for _ in range(20)))
"""


@pytest.fixture(params=[THREADS, WITH_A_CHILD], ids=["threads", "a child"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    argv = [sys.executable, "-c", request.param]
    process = Process(argv, log=tmp_path / "log", env=os.environ)
    process.start()
    try:
        process.wait_until(lambda: "ready" in process.output, timeout_s=20, what="its start")
        yield process
    finally:
        process.close()


def test_what_is_frozen_stands_still_at_once(process: Process) -> None:
    *pids, _ready = process.output.split()
    for _ in range(10):
        assert not any(stands_still(int(pid)) for pid in pids)
        process.freeze()
        assert all(stands_still(int(pid)) for pid in pids)
        process.thaw()


def test_a_port_is_given_once_though_nobody_listens_on_it_yet() -> None:
    state = random.getstate()
    try:
        ours: list[int] = []
        for _ in range(2):  # with the same luck each time
            random.seed(7)
            ours += [free_port() for _ in range(20)]
    finally:
        random.setstate(state)
    argv = [sys.executable, "-c", PORTS]
    found = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    theirs = [int(port) for port in found.stdout.split()]
    assert len({*ours, *theirs}) == 60
