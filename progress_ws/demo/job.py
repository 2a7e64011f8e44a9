"""One job: what the node that took it tells the worker process that does it."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Job:
    """A file to be profiled.

    Attributes:
        id: unguessable; names its files and its report.
        sid: the session that its progress is for.
        title: the name of the file, for people.
        node: the name of the node that took it.
        folder: where its files are.
        sample_rows: rows of sample data to make first, instead of an upload.
    """

    id: str
    sid: str
    title: str
    node: str
    folder: str
    sample_rows: int | None = None

    @property
    def key(self) -> str:
        """Under this key its progress is published."""
        return f"report-{self.id}"

    @property
    def href(self) -> str:
        """The address of its report, on any node."""
        return f"/demo/reports/{self.id}"

    def to_json(self) -> bytes:
        """Write it for the worker."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
