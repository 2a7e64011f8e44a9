"""What runs for the scenarios: one broker, one Redis, and every system once somebody needs it."""

import random
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from deploy.local import Process, RabbitMQ, accepts, free_port
from tests.bench.child import Child
from tests.bench.load import Load
from tests.bench.peers.system import System
from tests.support.parts import running

BROWSERS = 1000
START_S = 30
IDLE_MS = 3_600_000
WIDER = {
    # Statistics of some thousand connections once a second would be measured, too.
    "collect_statistics_interval = 1000": "collect_statistics_interval = 60000",
    # Some thousand connections with a queue each take more.
    "vm_memory_high_watermark.absolute = 1GB": "vm_memory_high_watermark.absolute = 6GB",
}
SID_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Broker(RabbitMQ):
    """RabbitMQ as it ships, with its WebSocket plugins: as many schedulers as there are cores."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stomp_port, self.mqtt_port = free_port(), free_port()
        unused = [free_port(), free_port()]  # the plugins below open plain ports, too
        plugins = "[rabbitmq_management,rabbitmq_web_stomp,rabbitmq_web_mqtt].\n"
        (folder / "enabled_plugins").write_text(plugins)
        self.env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = (
            "-kernel inet_dist_use_interface {127,0,0,1}"
        )
        config = folder / "rabbitmq.conf"
        text = config.read_text()
        for tight, wide in WIDER.items():
            assert tight in text
            text = text.replace(tight, wide)
        config.write_text(text)
        self.configure(
            # Its clients here send no heartbeats, and may be idle for longer than a minute.
            f"web_stomp.ws_opts.idle_timeout = {IDLE_MS}",
            f"web_mqtt.ws_opts.idle_timeout = {IDLE_MS}",
            f"web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = {self.stomp_port}",
            f"web_mqtt.tcp.ip = 127.0.0.1\nweb_mqtt.tcp.port = {self.mqtt_port}",
            f"stomp.listeners.tcp.1 = 127.0.0.1:{unused[0]}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{unused[1]}",
        )


class Redis(Process):
    """A private Redis that keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            log=folder / "redis.log",
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )

    def wait_ready(self) -> None:
        self.wait_until(lambda: accepts(self.port), timeout_s=START_S, what="the start of Redis")


class Stage:
    """Starts what is asked for, once, and ends all of it at the end.

    Args:
        folder: for all files; short, since sockets have paths.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = self._whole = ExitStack()
        self._systems: dict[str, System] = {}
        draw = random.Random(1)
        drawn = ["".join(draw.choices(SID_CHARS, k=22)) for _ in range(2 * BROWSERS)]
        self.sids, self._unheard = drawn[:BROWSERS], drawn[BROWSERS:]

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._whole.close()

    @cached_property
    def sids_file(self) -> Path:
        """A line for each sid, and then as many that nobody listens to."""
        path = self.folder / "sids"
        path.write_text("\n".join([*self.sids, *self._unheard]) + "\n")
        return path

    @cached_property
    def broker(self) -> Broker:
        """The one RabbitMQ of all systems, a virtual host for each."""
        return self._whole.enter_context(running(Broker(self.folder / "rabbitmq")))

    @cached_property
    def redis(self) -> Redis:
        """The one Redis."""
        return self._whole.enter_context(running(Redis(self.folder)))

    def system(self, make: Callable[["Stage"], System]) -> System:
        """The system that `make` makes, started, and the same one the next time."""
        name = make.__qualname__
        if name not in self._systems:
            self._systems[name] = make(self)
            self._systems[name].start()
        return self._systems[name]

    @property
    def systems(self) -> Iterable[System]:
        """All that have been started."""
        return self._systems.values()

    def start(self, process: Process) -> None:
        """Start a process that lives until the end; wait until it is ready."""
        self.stack.enter_context(running(process))

    def keep(self, child: Child) -> Child:
        """End a child at the end; it has said that it is ready."""
        self.stack.callback(child.close)
        child.answer()
        return child

    def vhost(self, name: str) -> str:
        """Make a virtual host."""
        self.broker.management.add_vhost(name)
        return name

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is started within the block ends with it."""
        outer, self.stack = self.stack, ExitStack()
        try:
            with self.stack:
                yield
        finally:
            self.stack = outer

    @contextmanager
    def load(self, name: str) -> Iterator[Load]:
        """A load program for as long as the block."""
        with Load(self.folder, name) as load:
            yield load


def version_of(*command: str) -> str:
    """The first line that a program says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((done.stdout or done.stderr).splitlines() or [""])[0].strip()
