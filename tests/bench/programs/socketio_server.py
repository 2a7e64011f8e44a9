"""A node of python-socketio: browsers join the room of their sid.

.venv/bench/bin/python -m tests.bench.programs.socketio_server PORT URL [uvloop]
"""

import asyncio
import sys
from urllib.parse import parse_qs

import socketio
import uvloop
from aiohttp import web


async def serve(port: int, url: str) -> None:
    server = socketio.AsyncServer(
        async_mode="aiohttp", client_manager=socketio.AsyncAioPikaManager(url)
    )

    @server.event
    async def connect(id: str, environ: dict[str, str]) -> None:
        await server.enter_room(id, parse_qs(environ["QUERY_STRING"])["room"][0])

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    start = uvloop.run if "uvloop" in sys.argv else asyncio.run
    start(serve(int(sys.argv[1]), sys.argv[2]))
