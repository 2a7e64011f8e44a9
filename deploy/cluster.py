"""`make cluster`: RabbitMQ, three nodes and nginx on this machine, until Ctrl-C.

With a working Docker it is `compose.yaml`; without one the same parts run as child processes, from
the distribution's packages, in a temporary folder that is removed at the end.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from deploy.local import Nginx, Node, Process, RabbitMQ, accepts, free_port

HERE = Path(__file__).resolve().parent
COMPOSE = ("docker", "compose", "-f", str(HERE / "compose.yaml"))
NODES = 3
PAGE_PORT = 8080
AMQP_PORT = 5672
MANAGEMENT_PORT = 15672
OF_THE_CONTAINERS = """Once the containers are up:

the page      http://127.0.0.1:8080/
RabbitMQ      http://127.0.0.1:15672/  (user admin, password change-me-admin)
workers       export PROGRESS_WS_AMQP_URL='amqp://worker:change-me-worker@127.0.0.1:5672/'

Ctrl-C ends it all.
"""
LOOK_S = 1.0
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the cluster until SIGINT, SIGTERM or SIGHUP."""
    for number in END_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return compose() if docker_works() else processes()
    except KeyboardInterrupt:
        return 0


def docker_works() -> bool:
    """Whether there are a Docker daemon and its compose plugin."""
    return shutil.which("docker") is not None and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in (("docker", "info"), ("docker", "compose", "version"))
    )


def compose() -> int:
    """Run the containers; at the end remove them and what they kept."""
    print(OF_THE_CONTAINERS, flush=True)
    try:
        return subprocess.run([*COMPOSE, "up", "--build"], check=False).returncode
    finally:
        subprocess.run([*COMPOSE, "down", "--volumes"], check=False)


def processes() -> int:
    """Run everything as child processes."""
    if subprocess.run([str(HERE / "install.sh"), "cluster"], check=False).returncode:
        return 1
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="progress-ws-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # nginx, started by root, works as another user, who must be able to enter.
        folder.chmod(0o711)
        print("Starting RabbitMQ, three nodes and nginx ...", flush=True)
        try:
            parts, addresses = start(folder, stack)
            print(f"\n{addresses}\n\nCtrl-C ends it all.", flush=True)
            watch(parts)
        except (RuntimeError, TimeoutError, OSError) as exc:
            print(exc, file=sys.stderr)
            return 1
        finally:
            # A second Ctrl-C must not leave half of it behind.
            for number in END_SIGNALS:
                signal.signal(number, signal.SIG_IGN)


def start(folder: Path, stack: ExitStack) -> tuple[dict[str, Process], str]:
    """Start the parts, each ended by `stack`; return them and what to tell about them."""
    broker = RabbitMQ(
        folder / "rabbitmq",
        port=_preferred(AMQP_PORT),
        management_port=_preferred(MANAGEMENT_PORT),
    )
    stack.callback(broker.close)
    broker.start()
    broker.wait_ready()
    nodes = [
        Node(
            folder,
            command=("progress_ws.demo",),
            node=f"node-{number}",
            amqp_url=broker.amqp_url(),
            demo_dir=folder / "reports",
        )
        for number in range(1, NODES + 1)
    ]
    for node in nodes:
        stack.callback(node.stop)
        node.start()
    for node in nodes:
        node.wait_ready()
    ports = [node.port for node in nodes]
    nginx = Nginx(folder / "nginx", ports, port=_preferred(PAGE_PORT))
    stack.callback(nginx.stop)
    nginx.start()
    nginx.wait_ready()
    addresses = [
        f"the page      {nginx.url}/",
        f"RabbitMQ      {broker.management.url}/  (user guest, password guest)",
        f"workers       export PROGRESS_WS_AMQP_URL='{broker.amqp_url()}'",
        *(f"{node.name}        {node.url}/" for node in nodes),
        f"their logs    {folder}",
    ]
    parts = {"RabbitMQ": broker, "nginx": nginx} | {node.name: node for node in nodes}
    return parts, "\n".join(addresses)


def watch(parts: dict[str, Process]) -> NoReturn:
    """Start again whatever ends: one may kill a part and see what happens. Never returns."""
    while True:
        time.sleep(LOOK_S)
        for name, part in parts.items():
            if not part.alive:
                print(f"{name} ended with {part.returncode}; starting it again", flush=True)
                part.start()


def _preferred(port: int) -> int:
    return free_port() if accepts(port) else port


if __name__ == "__main__":
    sys.exit(main())
