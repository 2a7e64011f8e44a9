"""What a browser may do to a job, whichever node it asks.

An offer lies as a file in the folder that all nodes share. The node that has the job makes it and
looks whether it has been taken; whoever is asked takes it by giving it another name, which only one
can do.
"""

from enum import StrEnum
from hmac import compare_digest
from pathlib import Path

from progress_ws.demo.folder import Folder, create
from progress_ws.demo.job import Job


class Deed(StrEnum):
    """What can be done to a job, and the end of its offer's name."""

    KILL = "kill"
    RETRY = "retry"


class Offers:
    """The offers of all jobs in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def make(self, deed: Deed, job: Job) -> None:
        """Offer it to whoever knows the job's sid, once."""
        self.withdraw(deed, job)
        with create(self._open(deed, job.id)) as file:
            file.write(job.sid.encode())

    def take(self, deed: Deed, job_id: str, *, sid: str) -> bool:
        """Take an offer; False where there is none for this sid."""
        offer = self._open(deed, job_id)
        try:
            if not compare_digest(offer.read_bytes(), sid.encode()):
                return False
            offer.rename(self._taken(deed, job_id))
        except FileNotFoundError:
            return False
        return True

    def is_taken(self, deed: Deed, job: Job) -> bool:
        """Tell whether somebody has taken it."""
        return self._taken(deed, job.id).exists()

    def withdraw(self, deed: Deed, job: Job) -> None:
        """Forget an offer, taken or not."""
        self._open(deed, job.id).unlink(missing_ok=True)
        self._taken(deed, job.id).unlink(missing_ok=True)

    def _open(self, deed: Deed, job_id: str) -> Path:
        return self._folder.path / f"{job_id}.{deed}"

    def _taken(self, deed: Deed, job_id: str) -> Path:
        return self._folder.path / f"{job_id}.{deed}.taken"
