"""What an idle connection costs a node, beside a bare aiohttp handler with the same ping.

.venv/bin/python -m tests.bench.idle [CONNECTIONS] [SECONDS]

Resident memory, CPU a second with a ping every 5 s, CPU of a handshake; each of a server in a
process of its own.
"""

import asyncio
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from progress_ws.node import upgrade
from progress_ws.node.admission import NodeRunner
from progress_ws.node.app import create_app
from progress_ws.node.settings import Settings
from tests.bench import fanout
from tests.bench.crowd import crowd
from tests.bench.fanout import OPEN, bare, listen

CONNECTIONS = 3000
SECONDS = 30
PING_S = 5
"""Instead of 25: so there is something to measure in a short time."""
PATHS = {"bare": "/", "node": "/websocket/progress"}

Start = Callable[[], Awaitable[int]]


def main(count: int, seconds: float) -> None:
    found = {name: measured(name, count, seconds) for name in PATHS}
    for name, (memory, idle, handshake) in found.items():
        ratios = [ours / bare for ours, bare in zip(found[name], found["bare"], strict=True)]
        print(
            f"{name}: {memory / 1024:.1f} KiB ({ratios[0]:.2f}), {idle:.2f} µs of CPU a second "
            f"({ratios[1]:.2f}), a handshake {handshake:.0f} µs ({ratios[2]:.2f})"
        )


def measured(name: str, count: int, seconds: float) -> tuple[float, float, float]:
    """Return bytes, microseconds a second, and microseconds of a handshake, per connection."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, name))
    server.start()
    port = ours.recv()

    def look() -> tuple[int, float]:
        ours.send("look")
        return ours.recv()

    with crowd(port, PATHS[name], 50) as few:  # what is made once is made now
        few.recv()
    time.sleep(1)
    memory_before, cpu_before = look()
    time.sleep(seconds / 3)
    _, cpu_empty = look()
    with crowd(port, PATHS[name], count) as many:
        many.recv()
        time.sleep(1)
        memory, cpu_met = look()
        time.sleep(seconds)
        _, cpu = look()
    server.terminate()
    server.join()
    empty = (cpu_empty - cpu_before) / (seconds / 3)
    return (
        (memory - memory_before) / count,
        ((cpu - cpu_met) / seconds - empty) / count * 1e6,
        (cpu_met - cpu_empty) / count * 1e6,
    )


def serve(owner: Connection, name: str) -> None:
    asyncio.run(_serve(owner, name))


async def _serve(owner: Connection, name: str) -> None:
    fanout.PING_S = PING_S
    if name == "bare":
        app = web.Application()
        app[OPEN] = []
        app.router.add_get("/", bare)
        runner = web.AppRunner(app, access_log=None)
    else:
        upgrade.PING_S = PING_S
        app = create_app(Settings(port=0, log_level="warning"))
        runner = NodeRunner(app, shutdown_timeout=1)
    owner.send(await listen(runner))
    while True:
        await asyncio.to_thread(owner.recv)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        owner.send((pages * os.sysconf("SC_PAGE_SIZE"), time.process_time()))


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(*numbers, *(CONNECTIONS, SECONDS)[len(numbers) :])
