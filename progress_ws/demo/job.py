"""One job: what the node that took it tells the worker process that does it."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from progress_ws.core.progress import new_run


@dataclass(frozen=True, kw_only=True)
class Job:
    """A file to be profiled, or errands to be run.

    Attributes:
        id: unguessable; names its files and its report.
        sid: the session that its progress is for, and whose browsers may kill its worker.
        title: the name of the file, for people.
        node: the name of the node that took it.
        folder: where its files are.
        sample_rows: rows of sample data to make first, instead of an upload.
        errands: instead of a file: titles of small jobs, by the session that each is for.
        run: of its key; a later attempt has a greater one.
        attempt: how often it has been begun.
    """

    id: str
    sid: str
    title: str
    node: str
    folder: str
    sample_rows: int | None = None
    errands: dict[str, str] = field(default_factory=dict)
    run: str = field(default_factory=new_run)
    attempt: int = 1

    @property
    def key(self) -> str:
        """Under this key its progress is published."""
        return f"{'errand' if self.errands else 'report'}-{self.id}"

    @property
    def audience(self) -> dict[str, str]:
        """Who waits for its end: sessions, and the title of what each of them sees."""
        return self.errands or {self.sid: self.title}

    @property
    def href(self) -> str:
        """The address of its report, on any node."""
        return f"/demo/reports/{self.id}"

    def again(self) -> Self:
        """Return the same job, to be begun once more."""
        return replace(self, run=new_run(), attempt=self.attempt + 1)

    def to_json(self) -> bytes:
        """Write it for the worker."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
