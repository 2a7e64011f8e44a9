"""A bare aiohttp WebSocket handler, and plain loops of `send_str`: what a node is compared with.

.venv/bench/bin/python -m tests.bench.programs.bare PORT [uvloop]

Each line on its standard input is an order: `random COUNT FIRST` sends so many messages, numbered
from the first, to sockets drawn at random; `fan 1 FIRST` sends one message to all of them. The
answer says what the sending took.
"""

import asyncio
import random
import sys
import time

import uvloop
from aiohttp import web

from tests.bench.publishers.loop import lines
from tests.bench.publishers.orders import Order, say


async def serve(port: int) -> None:
    sockets: dict[int, web.WebSocketResponse] = {}

    async def on_browser(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=25, compress=False)
        await socket.prepare(request)
        number = int(request.query["number"])
        sockets[number] = socket
        await socket.send_str("welcome")
        async for _ in socket:
            pass
        sockets.pop(number, None)
        return socket

    app = web.Application()
    app.router.add_get("/ws", on_browser)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await obey(sockets)


async def obey(sockets: dict[int, web.WebSocketResponse]) -> None:
    async for line in lines():
        what, count, first = line.split()
        chosen = list(sockets.items())
        cpu, began = time.process_time(), time.monotonic_ns()
        if what == "random":
            order = Order(int(count), number=int(first))
            for number in range(order.count):
                browser, socket = random.choice(chosen)
                await socket.send_str(order.text(number, browser))
        else:
            text = Order(1, number=int(first), everybody=True).text(0, 0)
            for _, socket in chosen:
                await socket.send_str(text)
        ended = time.monotonic_ns()
        say(began_ns=began, ended_ns=ended, cpu_s=time.process_time() - cpu)


if __name__ == "__main__":
    start = uvloop.run if "uvloop" in sys.argv else asyncio.run
    start(serve(int(sys.argv[1])))
