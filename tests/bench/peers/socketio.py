"""Socket.IO: on Python with its aio-pika manager, on Node.js with its Redis adapter."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.child import Child
from tests.bench.load import NOTHING, TEXT, Browser
from tests.bench.peers.server import Server, python
from tests.bench.peers.system import NODES, System

EXCHANGE = "socketio"
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


class _SocketIO(System):
    _nodes: list[Server]

    @property
    def nodes(self) -> Sequence[int]:
        return [node.pid for node in self._nodes]

    def browser(self, number: int, sid: str) -> Browser:
        path = f"/socket.io/?EIO=4&transport=websocket&room={sid}"
        # Engine.IO opens with a frame; "connect" is the answer to that, and answered again.
        sends = (NOTHING, (TEXT, b"40"))
        return Browser(self._nodes[number % NODES].port, number, path, 2, sends, pings=True)

    def _start(self, command: list[str], *args: object) -> None:
        folder = self.stage.folder
        kind = type(self).__name__
        self._nodes = [Server(command, *args, log=folder / f"{kind}-{n}.log") for n in range(NODES)]
        for node in self._nodes:
            self.stage.start(node)


class PythonSocketIO(_SocketIO):
    """As its documentation shows: the loop of the standard library, its own manager to emit."""

    name = "python-socketio + aio-pika manager"
    form = "as documented"
    burst = 1_000
    vhost = "socketio"

    def start(self) -> None:
        self.url = self.stage.broker.amqp_url(self.stage.vhost(self.vhost))
        self._start(python("socketio_server"), self.url)

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.broker.pid]

    def busy_publisher(self) -> Child:
        return self.publishing("socketio", self.url, self.stage.sids_file)

    def many_publishers(self, count: int) -> Child:
        return self.publishing("raw", "socketio", self.url, EXCHANGE, self.stage.sids_file, count)


class TunedPythonSocketIO(PythonSocketIO):
    """The same on uvloop, with a publisher that costs next to nothing and keeps nothing on disk."""

    form = "tuned"
    burst = 2_000
    vhost = "socketio-tuned"

    def start(self) -> None:
        self.url = self.stage.broker.amqp_url(self.stage.vhost(self.vhost))
        self._start(python("socketio_server"), self.url, "uvloop")

    def busy_publisher(self) -> Child:
        return self.many_publishers(1)


class SocketIO(_SocketIO):
    """Socket.IO on Node.js with the adapter and the emitter for Redis."""

    name = "Socket.IO (Node.js) + Redis"
    form = "as documented"
    burst = 30_000

    def start(self) -> None:
        self._start(["node", str(PROGRAMS / "socketio_server.mjs")], self.stage.redis.port)

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.redis.pid]

    def busy_publisher(self) -> Child:
        key = ("emitter",)
        if key not in self._publishers:
            argv = ["node", str(PROGRAMS / "socketio_emit.mjs"), str(self.stage.redis.port)]
            child = Child([*argv, str(self.stage.sids_file)], log=self.stage.folder / "emitter.log")
            self._publishers[key] = self.stage.keep(child)
        return self._publishers[key]

    def many_publishers(self, count: int) -> Child:
        raise NotImplementedError("the emitter is one")
