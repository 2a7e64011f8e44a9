"""Which machine it was, and which versions of everything."""

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.peers.socketio import PROGRAMS
from tests.bench.stage import Stage, version_of

PACKAGES = ("progress-ws", "aiohttp", "aio-pika", "uvloop", "msgspec", "python-socketio", "tqdm")
NODE_PACKAGES = ("socket.io", "@socket.io/redis-adapter", "@socket.io/redis-emitter")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{_system()}, Linux {platform.release()}",
        "load": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def versions(stage: Stage) -> dict[str, str]:
    """Of ours, the libraries and the peers."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    found["RabbitMQ"] = _rabbitmq(stage)
    found["Redis"] = version_of("redis-server", "--version").split("v=")[-1].split(" ")[0]
    found["nginx"] = version_of("/usr/sbin/nginx", "-v").split("/")[-1]
    found["Nchan"] = version_of("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan")
    found["Node.js"] = version_of("node", "--version")
    for name in NODE_PACKAGES:
        package = PROGRAMS / "node_modules" / name / "package.json"
        if package.exists():
            found[name] = json.loads(package.read_text())["version"]
    return found


def _rabbitmq(stage: Stage) -> str:
    if "broker" not in vars(stage):
        return "not started"
    overview = stage.broker.management.request("GET", "overview")
    return f"{overview['rabbitmq_version']}, Erlang {overview['erlang_version']}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    release = Path("/etc/os-release")
    if release.exists():
        for line in release.read_text().splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip('"')
    return sys.platform
