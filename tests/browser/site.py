"""Three nodes with pages behind nginx, on RabbitMQ: what a test of this folder harms."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import Nginx, Node
from tests.support.parts import running, subfolder

NAMES = ("web-1", "web-2", "web-3")


@dataclass(frozen=True)
class Site:
    """The parts, and where browsers go in."""

    nodes: list[Node]
    nginx: Nginx
    amqp_url: str

    @property
    def url(self) -> str:
        """The address that browsers know."""
        return self.nginx.url

    def node(self, name: str) -> Node:
        """The node of this name, as it is told to browsers."""
        return next(node for node in self.nodes if node.name == name)

    def heal(self) -> None:
        """Start whatever is dead."""
        for node in self.nodes:
            node.thaw()
            if not node.alive:
                node.start()
        for node in self.nodes:
            node.wait_ready()


@contextmanager
def standing(folder: Path, amqp_url: str, **settings: object) -> Iterator[Site]:
    """Start all of it; it ends with the block."""
    own = subfolder(folder)
    with ExitStack() as stack:
        nodes = [
            Node(
                own,
                command=("tests.browser.application",),
                node=name,
                amqp_url=amqp_url,
                **settings,
            )
            for name in NAMES
        ]
        for node in nodes:
            stack.enter_context(running(node, wait=False))
        for node in nodes:
            node.wait_ready()
        nginx = Nginx(own / "nginx", [node.port for node in nodes])
        yield Site(nodes, stack.enter_context(running(nginx)), amqp_url)


@contextmanager
def door(folder: Path, site: Site, *directives: str) -> Iterator[str]:
    """Open another way in, whose nginx has further directives; yields its address."""
    own = subfolder(folder)
    nginx = Nginx(own, [node.port for node in site.nodes])
    with (own / "progress-ws" / "listen.conf").open("a") as listen:
        listen.writelines(f"{directive}\n" for directive in directives)
    with running(nginx):
        yield nginx.url
