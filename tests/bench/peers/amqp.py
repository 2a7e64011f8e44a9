"""Ours, and the naive form of the same architecture."""

from collections.abc import Sequence
from itertools import count as counting
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import Node
from tests.bench.child import Child
from tests.bench.load import Browser
from tests.bench.peers.server import Server, python
from tests.bench.peers.system import NODES, System

if TYPE_CHECKING:
    from tests.bench.stage import Stage

_vhosts = counting(1)


class Ours(System):
    """Two nodes of this project, with the settings that they have by default."""

    name = "progress-ws"
    form = "ours"
    burst = 100_000
    vhost = "ours"

    def __init__(self, stage: "Stage") -> None:
        super().__init__(stage)
        self.settings: dict[str, object] = {}
        self.node_count = NODES

    def start(self) -> None:
        self.url = self.stage.broker.amqp_url(self.stage.vhost(self.vhost))
        folder = self.stage.folder / self.vhost
        self._nodes = [
            Node(folder, amqp_url=self.url, node=f"{self.vhost}-{n}", **self.settings)
            for n in range(self.node_count)
        ]
        for node in self._nodes:
            self.stage.start(node)

    @property
    def nodes(self) -> Sequence[int]:
        return [node.pid for node in self._nodes]

    @property
    def parts(self) -> Sequence[Node]:
        """The nodes themselves."""
        return self._nodes

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.broker.pid]

    def browser(self, number: int, sid: str) -> Browser:
        node = self._nodes[number % len(self._nodes)]
        return Browser(node.port, number, f"/websocket/progress?sid={sid}")

    def busy_publisher(self) -> Child:
        return self.posting_to(self.stage.sids_file)

    def posting_to(self, sids: Path) -> Child:
        """One that posts to the sids of a file."""
        return self.publishing("ours", self.url, sids, 1)

    def many_publishers(self, count: int) -> Child:
        return self.publishing("raw", "ours", self.url, "progress-ws", self.stage.sids_file, count)

    def sending_publishers(self, count: int) -> Child:
        """So many of our own publishers, each of which waits for its confirm."""
        return self.publishing("ours", self.url, self.stage.sids_file, count)


class OursWithoutHistory(Ours):
    """The same with history off."""

    name = "progress-ws, history off"
    vhost = "no-history"

    def __init__(self, stage: "Stage") -> None:
        super().__init__(stage)
        self.settings = {"history_seconds": 0}


class OursOf(Ours):
    """So many nodes, in a virtual host of their own."""

    def __init__(self, stage: "Stage", count: int, **settings: object) -> None:
        super().__init__(stage)
        self.node_count = count
        self.vhost = f"ours-{count}-{next(_vhosts)}"
        self.settings = settings


class Naive(System):
    """One AMQP message, one callback, one ack, one `send_str`."""

    name = "naive aiohttp + aio-pika"
    form = "naive"
    burst = 3_000
    exchange = "naive"

    def start(self) -> None:
        self.url = self.stage.broker.amqp_url(self.stage.vhost("naive"))
        self._nodes = [
            Server(
                python("naive"),
                self.url,
                self.exchange,
                log=self.stage.folder / f"naive-{n}.log",
            )
            for n in range(NODES)
        ]
        for node in self._nodes:
            self.stage.start(node)

    @property
    def nodes(self) -> Sequence[int]:
        return [node.pid for node in self._nodes]

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.broker.pid]

    def browser(self, number: int, sid: str) -> Browser:
        return Browser(self._nodes[number % NODES].port, number, f"/ws?sid={sid}")

    def busy_publisher(self) -> Child:
        return self.many_publishers(1)

    def many_publishers(self, count: int) -> Child:
        args = ("naive", self.url, self.exchange, self.stage.sids_file, count)
        return self.publishing("raw", *args)
