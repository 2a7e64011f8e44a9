"""The faults themselves: what is frozen does stand still, all of it, when `freeze` returns."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import Process, stands_still

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
