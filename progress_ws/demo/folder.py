"""The folder where uploads and reports lie, shared by all nodes of the demo."""

import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Self

from progress_ws.errors import SettingsError

VARIABLE = "PROGRESS_WS_DEMO_DIR"
KEPT_S = 24 * 3600
RESERVE_BYTES = 256 * 1024 * 1024
"""What uploads leave free on the disk for everybody else."""

ID = r"[A-Za-z0-9_-]{32}"
_OURS = re.compile(ID + r"\.(?:upload|html|part|(?:kill|retry)(?:\.taken)?)")


class Folder:
    """Names, makes and forgets the files of jobs. Their ids cannot be guessed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Open the folder that a variable names, else one of this user's own.

        Raises:
            SettingsError: it cannot be used; the text says why.
        """
        name = environ.get(VARIABLE, "")
        path = Path(name or f"{tempfile.gettempdir()}/progress-ws-demo-{os.getuid()}").absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not name:
                _refuse_a_trap(path)
            with tempfile.TemporaryFile(dir=path):
                pass  # it can be written to
        except OSError as exc:
            raise SettingsError(
                f"{VARIABLE}={name!r} is wrong: it must be a folder to write to, "
                f"and of {path} the system says: {exc.strerror}"
            ) from exc
        return cls(path)

    @staticmethod
    def new_id() -> str:
        """Mint the id of a job: 192 random bits."""
        return secrets.token_urlsafe(24)

    def upload(self, job_id: str) -> Path:
        """Return where the file lies that a job reads."""
        return self.path / f"{job_id}.upload"

    def report(self, job_id: str) -> Path:
        """Return where a job's report lies once it is complete."""
        return self.path / f"{job_id}.html"

    def clear(self, job_id: str, *, keep_upload: bool = False) -> None:
        """Remove what a job needed or left half-done; its report stays."""
        if not keep_upload:
            self.upload(job_id).unlink(missing_ok=True)
        self._part(job_id).unlink(missing_ok=True)

    def write_report(self, job_id: str, text: str) -> None:
        """Put a report in its place, all of it at once: other nodes may be asked for it already."""
        part = self._part(job_id)
        with create(part) as file:
            file.write(text.encode(errors="replace"))
        part.replace(self.report(job_id))

    def _part(self, job_id: str) -> Path:
        return self.path / f"{job_id}.part"

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether so much more may be written."""
        return shutil.disk_usage(self.path).free - size_bytes >= RESERVE_BYTES

    def sweep(self) -> None:
        """Remove what jobs left behind longer than a day ago, and nothing that is not ours."""
        oldest = time.time() - KEPT_S
        for entry in os.scandir(self.path):
            if _OURS.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)


def create(path: Path) -> BinaryIO:
    """Open a new file that nobody else may read."""
    return open(path, "xb", opener=_privately)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _refuse_a_trap(path: Path) -> None:
    """Make sure that a name that anybody may take in a public folder was taken by us."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(0, "it belongs to somebody else")
    path.chmod(0o700)
