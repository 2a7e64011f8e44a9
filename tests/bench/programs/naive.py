"""The naive node: one AMQP message, one callback, one ack, one `send_str`.

.venv/bench/bin/python -m tests.bench.programs.naive PORT URL EXCHANGE
"""

import asyncio
import json
import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aiohttp import web

PREFETCH = 500


async def serve(port: int, url: str, exchange: str) -> None:
    sockets: dict[str, web.WebSocketResponse] = {}

    async def on_browser(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=25, compress=False)
        await socket.prepare(request)
        sid = request.query["sid"]
        sockets[sid] = socket
        await socket.send_str("welcome")
        async for _ in socket:
            pass
        del sockets[sid]
        return socket

    async def on_message(message: AbstractIncomingMessage) -> None:
        async with message.process():
            body = json.loads(message.body)
            if (socket := sockets.get(body["sid"])) is not None:
                await socket.send_str(body["message"])

    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    fanout = await channel.declare_exchange(exchange, aio_pika.ExchangeType.FANOUT)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(fanout)
    await queue.consume(on_message)

    app = web.Application()
    app.router.add_get("/ws", on_browser)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
