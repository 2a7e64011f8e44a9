"""One node of the cluster as a process of its own."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local.process import Process, free_port

PROJECT = Path(__file__).resolve().parents[2]
START_S = 20


class Node(Process):
    """`python -m progress_ws serve`, or another entry point that takes the same settings.

    Args:
        folder: where its log goes.
        command: what follows `python -m`.
        settings: the node's settings by their names in lower case (`amqp_url`, `workers`, …);
            `None` leaves one out.
    """

    def __init__(
        self,
        folder: Path,
        *,
        command: tuple[str, ...] = ("progress_ws", "serve"),
        **settings: object,
    ) -> None:
        self.port = free_port()
        self.name = str(settings.get("node") or f"node-{self.port}")
        given = {"host": "127.0.0.1", "log_format": "json", "drain_seconds": 1} | settings
        given |= {"port": self.port, "node": self.name}
        super().__init__(
            [sys.executable, "-m", *command],
            log=folder / f"{self.name}.log",
            env=_environment(given),
            stop_s=float(str(given["drain_seconds"])) + 10,
        )

    @property
    def url(self) -> str:
        """Its own address, past any proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ready(self) -> bool:
        """Whether it says of itself that it is ready."""
        return self.status("/readyz") == 200

    def status(self, path: str) -> int | None:
        """The HTTP status of a GET, `None` when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code
        except OSError:
            return None

    def wait_ready(self) -> None:
        """Wait until it is ready for browsers."""
        self.wait_until(lambda: self.ready, timeout_s=START_S, what=f"readiness of {self.name}")


def _environment(settings: dict[str, object]) -> dict[str, str]:
    """The caller's environment with these settings of ours and no others."""
    env = {name: value for name, value in os.environ.items() if "PROGRESS_WS_" not in name}
    env["PYTHONPATH"] = str(PROJECT)
    for name, value in settings.items():
        if value is not None:
            env[f"PROGRESS_WS_{name.upper()}"] = str(value)
    return env
