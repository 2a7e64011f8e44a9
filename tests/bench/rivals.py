"""The servers and pages for `clients.py`: the same count, ten times a second, to each client.

Each client's own files are served. The server of centrifuge-js is a stand-in that speaks its
protocol, and those of celery-progress answer as its views do; neither keeps what was missed.
"""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from progress_ws import Publisher, new_sid
from progress_ws.node.app import CLIENT_FOLDER, create_app
from progress_ws.node.settings import Settings

TICK_S = 0.1
TOKEN = "a-token-for-the-benchmark"
SID = new_sid()


@dataclass(frozen=True)
class Rival:
    """A client: its name, its files as they come to a browser, and what a page does with it."""

    name: str
    files: tuple[Path, ...]
    script: str

    @property
    def size(self) -> int:
        """What a browser loads, in bytes after gzip -9."""
        return sum(len(gzip.compress(path.read_bytes(), 9)) for path in self.files)

    @property
    def page(self) -> str:
        """A page that notes when which count came."""
        scripts = "".join(
            f"<script src='/files/{self.name}/{path.name}'></script>"
            for path in self.files
            if not self.script.startswith("import")
        )
        return (
            f"<!doctype html><title>{self.name}</title><link rel=icon href=data:,>"
            "<div id=progress-bar></div><div id=progress-bar-message></div>"
            "<script>window.got = [];"
            "window.take = (n) => got.push([performance.timeOrigin + performance.now(), n]);"
            "</script>"
            f"{scripts}<script type=module>{self.script}</script>"
        )


def install(folder: Path) -> list[Rival]:
    """Fetch the rivals' packages into a folder, and Socket.IO's server for this process."""
    npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--no-save"]
    subprocess.run([*npm, "centrifuge", "socket.io-client"], cwd=folder, check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "python")]
    subprocess.run([*pip, "python-socketio", "simple-websocket"], check=True)
    subprocess.run([*pip, "--no-deps", "celery-progress"], check=True)
    sys.path.append(str(folder / "python"))
    npm_files = folder / "node_modules"
    celery = folder / "python/celery_progress/static/celery_progress"
    return [
        Rival(
            "progress-ws",
            (CLIENT_FOLDER / "progress-ws.js",),
            "import { ProgressClient } from '/client/progress-ws.js';"
            f"const it = new ProgressClient({{ sid: '{SID}' }});"
            "it.addEventListener('message', ({ detail }) => take(detail.message));",
        ),
        Rival(
            "centrifuge-js",
            (npm_files / "centrifuge/dist/centrifuge.js",),
            "const it = new Centrifuge(`ws://${location.host}/connection/websocket`);"
            "const sub = it.newSubscription('job');"
            "sub.on('publication', ({ data }) => take(data)); sub.subscribe(); it.connect();",
        ),
        Rival(
            "socket.io-client",
            (npm_files / "socket.io-client/dist/socket.io.min.js",),
            "io().on('progress', take);",
        ),
        Rival(
            "celery-progress, polling",
            (celery / "celery_progress.js",),
            "CeleryProgressBar.initProgressBar('/celery/poll',"
            " { onProgress: (_, __, { current }) => take(current) });",
        ),
        Rival(
            "celery-progress, WebSocket",
            (celery / "celery_progress.js", celery / "websockets.js"),
            "CeleryWebSocketProgressBar.initProgressBar('/celery/ws',"
            " { onProgress: (_, __, { current }) => take(current) });",
        ),
    ]


class Counter:
    """Counts, and tells everybody."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[Callable[[int], object]] = []

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.count += 1
            for tell in self.told:
                tell(self.count)


class Sockets:
    """Bare WebSockets that all get the same text."""

    def __init__(self, greet: Callable[[dict[str, object]], object | None]) -> None:
        self._greet = greet
        self._open: set[web.WebSocketResponse] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Answer what each line of a frame asks for, and send from then on."""
        socket = web.WebSocketResponse(heartbeat=25)
        await socket.prepare(request)
        try:
            async for frame in socket:
                for line in str(frame.data).splitlines():
                    if (answer := self._greet(json.loads(line))) is not None:
                        await socket.send_json(answer)
                self._open.add(socket)
        finally:
            self._open.discard(socket)
        return socket

    def send(self, message: object) -> None:
        """Send to all, and wait for nobody."""
        for socket in self._open:
            task = asyncio.ensure_future(self._send(socket, json.dumps(message)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, socket: web.WebSocketResponse, text: str) -> None:
        with suppress(ConnectionError):
            await socket.send_str(text)


def centrifuge(frame: dict[str, object]) -> object | None:
    """What a server of its protocol answers."""
    if "connect" in frame:
        client = {"client": "1", "version": "1", "ping": 25, "pong": True}
        return {"id": frame["id"], "connect": client}
    return {"id": frame["id"], "subscribe": {}} if "subscribe" in frame else None


def celery(count: int) -> dict[str, object]:
    """What the view and the consumer of celery-progress say of a task at work."""
    progress = {"pending": False, "current": count, "total": 10**6, "percent": 1}
    return {"complete": False, "success": None, "state": "PROGRESS", "progress": progress}


@asynccontextmanager
async def serving(rivals: list[Rival]) -> AsyncIterator[tuple[int, Counter]]:
    """Serve all of them; yields the port and what is counted."""
    import socketio  # type: ignore[import-not-found,unused-ignore]

    counter = Counter()
    app = create_app(Settings(publish_token=TOKEN))
    sio = socketio.AsyncServer(async_mode="aiohttp")
    sio.attach(app)
    sockets, bars = Sockets(centrifuge), Sockets(lambda _: None)
    by_name = {rival.name: rival for rival in rivals}

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=by_name[request.match_info["name"]].page, content_type="text/html")

    async def file(request: web.Request) -> web.FileResponse:
        files = by_name[request.match_info["name"]].files
        return web.FileResponse(next(it for it in files if it.name == request.match_info["file"]))

    async def poll(_: web.Request) -> web.Response:
        return web.json_response(celery(counter.count))

    app.add_routes(
        [
            web.get("/page/{name}", page),
            web.get("/files/{name}/{file}", file),
            web.get("/connection/websocket", sockets.handle),
            web.get("/celery/ws", bars.handle),
            web.get("/celery/poll", poll),
        ]
    )
    async with TestServer(app) as server, Publisher(str(server.make_url("/")), token=TOKEN) as ours:
        counter.told = [
            lambda count: ours.post(SID, count),
            lambda count: sockets.send({"push": {"channel": "job", "pub": {"data": count}}}),
            lambda count: bars.send(celery(count)),
            lambda count: sio.start_background_task(sio.emit, "progress", count),
        ]
        counting = asyncio.create_task(counter.run())
        yield server.port or 0, counter
        counting.cancel()
