"""nginx in front of local nodes, with the very settings of the deployment."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.local.process import Process, accepts, free_port

SETTINGS = Path(__file__).resolve().parents[1] / "nginx.conf"
START_S = 10


class Nginx(Process):
    """nginx with `deploy/nginx.conf`, in a new folder, plain round robin over the nodes' ports."""

    def __init__(self, folder: Path, nodes: Sequence[int], *, port: int | None = None) -> None:
        self.port = port or free_port()
        site = folder / "progress-ws"
        site.mkdir(parents=True)
        (site / "listen.conf").write_text(f"listen 127.0.0.1:{self.port};\n")
        (site / "nodes.conf").write_text(
            "".join(f"server 127.0.0.1:{node} max_fails=0;\n" for node in nodes)
        )
        # Includes are looked for beside the main file, so that file gets a name in this folder.
        (folder / "nginx.conf").symlink_to(SETTINGS)
        # Started by root, nginx works as another user, who must be able to enter.
        folder.chmod(0o755)
        super().__init__(
            [_program(), "-p", str(folder), "-c", str(folder / "nginx.conf")],
            log=folder / "nginx.log",
            env={"PATH": "/usr/sbin:/usr/bin:/bin"},
            stop_s=2,
        )

    @property
    def url(self) -> str:
        """The address of the cluster."""
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it accepts connections."""
        self.wait_until(lambda: accepts(self.port), timeout_s=START_S, what="the start of nginx")


def _program() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    return found
