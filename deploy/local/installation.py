"""Where RabbitMQ's programs come from: this system's packages, or those of a newer one in a folder.

Programs of a folder run in a mount namespace of their own (bubblewrap), on this machine's network.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# The programs themselves: the wrappers on PATH change to the user of the system's broker.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
TRIXIE = Path(__file__).resolve().parents[1] / "trixie.sh"
LINKS = ("bin", "lib", "lib64", "sbin")


@dataclass(frozen=True)
class Installation:
    """How to start RabbitMQ's programs.

    Args:
        tree: the root folder of a Debian that has them; `None`: they are this system's.
    """

    tree: Path | None = None

    @classmethod
    def newer(cls) -> "Installation | None":
        """RabbitMQ 4 as `deploy/trixie.sh` has made it; `None` if it has not."""
        found = subprocess.run(
            [str(TRIXIE), "look"], stdout=subprocess.PIPE, text=True, check=False
        )
        return cls(Path(found.stdout.strip())) if found.returncode == 0 else None

    def command(self, program: str, *args: str, folder: Path) -> list[str]:
        """The command for `rabbitmq-server`, `rabbitmqctl` or `epmd`, with files in `folder`."""
        path = program if program == "epmd" else str(PROGRAMS / program)
        return [*self._around(folder), path, *args]

    def _around(self, folder: Path) -> list[str]:
        if self.tree is None:
            return []
        # The tree is shared by all brokers: nobody writes into it.
        shown = ["--proc", "/proc", "--dev", "/dev", "--ro-bind", str(self.tree / "usr"), "/usr"]
        shown += ["--ro-bind", str(self.tree / "etc"), "/etc"]
        shown += ["--ro-bind", "/etc/hosts", "/etc/hosts"]
        for name in LINKS:
            shown += ["--symlink", f"usr/{name}", f"/{name}"]
        shown += ["--dir", "/tmp", "--bind", str(folder), str(folder)]
        return ["bwrap", *shown, "--"]
