"""One message to all sockets of one sid, beside a plain loop of `send_str`, in one process.

.venv/bin/python -m tests.bench.fanout [SOCKETS] [uvloop]

CPU of this process, from the delivery until everything is written.
"""

import asyncio
import statistics
import sys
import time

import msgspec
from aiohttp import web

from progress_ws.core.message import Message
from progress_ws.node import keys
from progress_ws.node.admission import NodeRunner
from progress_ws.node.app import create_app
from progress_ws.node.settings import Settings
from tests.bench.crowd import crowd

SOCKETS = 3000
PING_S = 25
ROUNDS = 15
SID = "s" * 22
TEXT = "m" * 118


async def bare(request: web.Request) -> web.WebSocketResponse:
    """What a first draft of a server would be."""
    websocket = web.WebSocketResponse(heartbeat=PING_S, compress=False)
    await websocket.prepare(request)
    await websocket.send_str("welcome")
    request.app[OPEN].append(websocket)
    async for _ in websocket:
        pass
    return websocket


OPEN = web.AppKey("open", list)


async def listen(runner: web.AppRunner) -> int:
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    return int(runner.addresses[0][1])


async def send_plainly(app: web.Application) -> float:
    """Return the seconds of CPU for one message to all."""
    began = time.process_time()
    text = TEXT
    for websocket in app[OPEN]:
        await websocket.send_str('{"type":"message","sid":"' + SID + '","message":"' + text + '"}')
    return time.process_time() - began


async def deliver(app: web.Application, n: int) -> float:
    """The same through the node, from the decoded message on."""
    hub, turn = app[keys.HUB], app[keys.TURN]
    message = Message(SID, msgspec.Raw(f'"{TEXT}"'.encode()), id=f"p-{n}", ts=time.time())
    began = time.process_time()
    hub.deliver(message)
    while turn._due:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return time.process_time() - began


async def main(count: int) -> None:
    plain = web.Application()
    plain[OPEN] = []
    plain.router.add_get("/", bare)
    plain_runner = web.AppRunner(plain, access_log=None)
    app = create_app(Settings(port=0, history_seconds=0, max_connections=count))
    node_runner = NodeRunner(app, shutdown_timeout=1)
    plain_port, node_port = await listen(plain_runner), await listen(node_runner)
    with (
        crowd(plain_port, "/", count) as one,
        crowd(node_port, f"/websocket/progress?sid={SID}", count) as other,
    ):
        for ours in (one, other):
            await asyncio.to_thread(ours.recv)
        costs: dict[str, list[float]] = {"a loop of send_str": [], "the node": []}
        for n in range(1, ROUNDS + 1):
            await asyncio.sleep(0.3)
            costs["a loop of send_str"].append(await send_plainly(plain))
            await asyncio.sleep(0.3)
            costs["the node"].append(await deliver(app, n))
        medians = {what: statistics.median(values) for what, values in costs.items()}
        for what, cost in medians.items():
            print(
                f"{count} sockets, {what}: {cost / count * 1e6:.2f} µs a socket, "
                f"{cost / medians['a loop of send_str']:.2f} of it"
            )
    for runner in (plain_runner, node_runner):
        await runner.cleanup()


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:] if text.isdecimal()]
    loop_factory = None
    if "uvloop" in sys.argv:
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as bench:
        bench.run(main(numbers[0] if numbers else SOCKETS))
