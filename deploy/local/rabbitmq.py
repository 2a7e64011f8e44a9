"""A private RabbitMQ, from the distribution's package or a newer one's.

Nothing of the system's own broker is touched: another folder, node name, cookie, ports and epmd.
"""

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from deploy.local.installation import Installation
from deploy.local.management import PASSWORD, USER, Management
from deploy.local.process import Process, free_port

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

# One scheduler that sleeps when idle, and nothing that listens to the network. What reads files
# stays awake for a moment: the start, which reads some thousand one by one, takes half the time.
ERLANG_ARGS = "+S 1:1 +sbwt none +sbwtdio short -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQ(Process):
    """One broker with its management plugin and an epmd of its own, in a new folder.

    Args:
        folder: where it keeps everything; must not exist.
        port: where it is to take AMQP.
        management_port: where its management API is to answer.
        installation: which RabbitMQ; by default the distribution's.
        beside: a broker that it may form a cluster with, sharing cookie and epmd.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        management_port: int | None = None,
        installation: Installation | None = None,
        beside: "RabbitMQ | None" = None,
    ) -> None:
        self.folder = folder
        self.installation = installation or Installation()
        self.port = port or free_port()
        self.management_port = management_port or free_port()
        self.name = f"progress-{self.port}@localhost"
        self.management = Management(f"http://127.0.0.1:{self.management_port}")
        self.epmd_port: int = beside.epmd_port if beside else free_port()
        self.cookie: str = beside.cookie if beside else os.urandom(16).hex()
        env = self._environment()
        super().__init__(
            self.installation.command("rabbitmq-server", "-noinput", folder=folder),
            log=folder / "rabbitmq.log",
            env=env,
            stop_s=30,
        )
        # Started here, else the broker starts one as a daemon that outlives it.
        self.epmd: Process
        if beside:
            self.epmd = beside.epmd
        else:
            argv = self.installation.command("epmd", folder=folder)
            self.epmd = Process(argv, log=folder / "epmd.log", env=env)
        self._printed_before = 0
        self._write_files()

    def amqp_url(self, vhost: str = "/", *, user: str = USER, password: str = PASSWORD) -> str:
        """The address for clients, with a heartbeat that notices a silent broker in seconds."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{login}@127.0.0.1:{self.port}/{quote(vhost, safe='')}?heartbeat=5"

    def start(self) -> None:
        """Start epmd, unless it still runs, and the broker."""
        if not self.epmd.alive:
            self.epmd.start()
        self._printed_before = len(self.output)
        super().start()

    def wait_ready(self) -> None:
        """Wait until the broker, and no other one on this port, answers and has all its parts."""
        self.wait_until(self._answers, timeout_s=START_S, what="the start of RabbitMQ")

    def ctl(self, *args: str) -> str:
        """Run `rabbitmqctl` (takes seconds; the management API is faster) and return its output."""
        done = subprocess.run(
            self.installation.command("rabbitmqctl", "-n", self.name, *args, folder=self.folder),
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(args)}: {done.stderr or done.stdout}")
        return done.stdout

    def configure(self, *lines: str) -> None:
        """Add lines to its configuration, read at the next start."""
        with (self.folder / "rabbitmq.conf").open("a") as config:
            config.writelines(f"{line}\n" for line in lines)

    def terminate(self) -> None:
        """Ask the broker itself to end: what it was started with may be its parent."""
        for pid in self._machines():
            os.kill(pid, signal.SIGTERM)

    def close(self) -> None:
        """Kill the broker and its epmd: what they kept is not needed any more."""
        self.kill()
        self.epmd.kill()

    def _machines(self) -> list[int]:
        """The process ids of the Erlang machines in its process group."""
        return [pid for pid in self._group() if _name_of(pid) == "beam.smp"] if self.alive else []

    def _answers(self) -> bool:
        # Its ports open before it says this; till then `rabbitmqctl` is refused some commands.
        try:
            return "completed with" in self.output[self._printed_before :] and bool(
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
            "ERL_EPMD_PORT": str(self.epmd_port),
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
        cookie.write_text(self.cookie)
        cookie.chmod(0o400)


def _name_of(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None  # it has just ended
