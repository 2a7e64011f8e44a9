"""A private RabbitMQ from the distribution's package, and its management API.

Nothing of the system's own broker is touched: another folder, node name, cookie, ports and epmd.
"""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.local.process import Process, accepts, free_port

# The programs themselves: the wrappers on PATH change to the user of the system's broker.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
USER = PASSWORD = "guest"
START_S = 90

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp_port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
# Connections show up in the management API after a second, not five.
collect_statistics_interval = 1000
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.minute = 1
log.file = false
log.console = true
log.console.level = warning
log.console.use_colors = off
"""

# One scheduler that sleeps when idle, and nothing that listens to the network.
ERLANG_ARGS = "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"


class Management:
    """RabbitMQ's management HTTP API, as far as a cluster and its tests need it."""

    def __init__(self, url: str, *, user: str = USER, password: str = PASSWORD) -> None:
        self.url = url
        self.user = user
        self.password = password

    def request(self, method: str, *path: str, body: object = None) -> Any:
        """Call `/api/<path>`, each part escaped; returns the decoded answer, `None` if empty.

        Raises:
            urllib.error.HTTPError: what the broker refused.
            urllib.error.URLError: there is no broker.
        """
        request = urllib.request.Request(
            self.url + "/api/" + "/".join(quote(part, safe="") for part in path),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def add_vhost(self, vhost: str) -> None:
        """Make an empty virtual host in which this API's user may do everything."""
        self.request("PUT", "vhosts", vhost)
        self.permit(self.user, vhost, configure=".*", write=".*", read=".*")

    def delete_vhost(self, vhost: str) -> None:
        """Remove a virtual host, everything in it, and the connections to it."""
        self.request("DELETE", "vhosts", vhost)

    def add_user(self, name: str, password: str) -> None:
        """Make a user who may do nothing yet."""
        self.request("PUT", "users", name, body={"password": password, "tags": ""})

    def permit(self, user: str, vhost: str, *, configure: str, write: str, read: str) -> None:
        """Grant rights: three regular expressions over the names of exchanges and queues."""
        rights = {"configure": configure, "write": write, "read": read}
        self.request("PUT", "permissions", vhost, user, body=rights)

    def publish(
        self,
        vhost: str,
        exchange: str,
        payload: str,
        *,
        routing_key: str = "",
        properties: dict[str, object] | None = None,
    ) -> bool:
        """Do what the "Publish message" form does; tells whether any queue took the message."""
        message = {
            "payload": payload,
            "payload_encoding": "string",
            "routing_key": routing_key,
            "properties": properties or {},
        }
        answer = self.request("POST", "exchanges", vhost, exchange, "publish", body=message)
        return bool(answer["routed"])

    def connections(self, vhost: str) -> list[dict[str, Any]]:
        """The open connections to a virtual host (listed a second after they opened)."""
        return list(self.request("GET", "vhosts", vhost, "connections"))

    def close_connection(self, name: str) -> None:
        """Close a connection as the button "Force Close" does."""
        self.request("DELETE", "connections", name)

    def queues(self, vhost: str) -> list[dict[str, Any]]:
        """All queues of a virtual host."""
        return list(self.request("GET", "queues", vhost))

    def recreate_exchange(self, vhost: str, name: str) -> None:
        """Delete a durable fanout exchange and declare it again: all bindings to it are gone.

        The binding of an exclusive queue alone cannot be deleted from outside.
        """
        self.request("DELETE", "exchanges", vhost, name)
        self.request("PUT", "exchanges", vhost, name, body={"type": "fanout", "durable": True})


class RabbitMQ(Process):
    """One broker with its management plugin and an epmd of its own, in a new folder."""

    def __init__(self, folder: Path, *, management_port: int | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.management_port = management_port or free_port()
        self.name = f"progress-{self.port}@localhost"
        self.management = Management(f"http://127.0.0.1:{self.management_port}")
        env = self._environment()
        super().__init__(
            [str(PROGRAMS / "rabbitmq-server"), "-noinput"],
            log=folder / "rabbitmq.log",
            env=env,
            stop_s=30,
        )
        # Started here, else the broker starts one as a daemon that outlives it.
        self.epmd = Process(["epmd"], log=folder / "epmd.log", env=env)
        self._write_files()

    def amqp_url(self, vhost: str = "/", *, user: str = USER, password: str = PASSWORD) -> str:
        """The address for clients, with a heartbeat that notices a silent broker in seconds."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{login}@127.0.0.1:{self.port}/{quote(vhost, safe='')}?heartbeat=5"

    def start(self) -> None:
        """Start epmd, unless it still runs, and the broker."""
        if not self.epmd.alive:
            self.epmd.start()
        super().start()

    def wait_ready(self) -> None:
        """Wait until the broker, and no other one on this port, answers."""
        self.wait_until(self._answers, timeout_s=START_S, what="the start of RabbitMQ")

    def ctl(self, *args: str) -> str:
        """Run `rabbitmqctl` (takes seconds; the management API is faster) and return its output."""
        done = subprocess.run(
            [str(PROGRAMS / "rabbitmqctl"), "-n", self.name, *args],
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def close(self) -> None:
        """Kill the broker and its epmd: what they kept is not needed any more."""
        self.kill()
        self.epmd.kill()

    def _answers(self) -> bool:
        # The port for clients opens last, when the definitions have been read.
        try:
            return accepts(self.port) and bool(
                self.management.request("GET", "overview")["node"] == self.name
            )
        except (OSError, ValueError, KeyError):
            return False

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            # The started process becomes the Erlang machine, so that signals reach the broker.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_ARGS,
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _write_files(self) -> None:
        for name in ("conf.d", "data", "log", "generated"):
            (self.folder / name).mkdir(parents=True)
        config = CONFIG.format(
            amqp_port=self.port,
            management_port=self.management_port,
            user=USER,
            password=PASSWORD,
        )
        (self.folder / "rabbitmq.conf").write_text(config)
        (self.folder / "rabbitmq-env.conf").touch()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(os.urandom(16).hex())
        cookie.chmod(0o400)
