"""How far a browser has come, as text: what `after`, `id:` and `Last-Event-ID` carry.

For one session it is the last ids seen of each publisher, comma-separated, the freshest at the end.
For a stream of several sessions these texts are joined by semicolons, in the order of the sids in
its URL. Where the URL has no sid, the position begins with the sid that was minted and a colon, so
that a browser that knows nothing but its URL comes back to its very session. None of the three
signs can stand in a sid or an id.

An id that is left out may have its publisher's messages repeated, never lost.
"""

from collections.abc import Sequence
from typing import NamedTuple

from progress_ws.core.frames import QUERY_POSITIONS_MAX
from progress_ws.core.message import SID_RULE, is_sid, parse_id, parse_positions

After = dict[str, int] | None
"""A position in one session: the last number seen of each publisher; None: there is none."""

POSITION_MAX_BYTES = 6 * 1024
"""Proxies and servers take header lines of 8 KiB, name included."""


class Given(NamedTuple):
    """A position as a browser gave it back.

    Attributes:
        sid: the session that was minted for its first connection; empty: the URL says which.
        afters: the position in each session, in the URL's order.
    """

    sid: str
    afters: list[After]


def parse_after(text: str) -> After:
    """Read the position in one session; an empty text is none.

    Raises:
        ValueError: it is not of that form; the text is for the browser.
    """
    if not text:
        return None
    try:
        return parse_positions(text.split(","), limit=QUERY_POSITIONS_MAX)
    except ValueError as exc:
        detail = f"after is at most {QUERY_POSITIONS_MAX} message ids, comma-separated"
        raise ValueError(detail) from exc


def parse_position(text: str) -> Given:
    """Read the position of a stream.

    Raises:
        ValueError: it is not of that form; the text is for the browser.
    """
    sid, colon, ids = text.rpartition(":")
    if colon and not is_sid(sid):
        raise ValueError(f"a position begins with a sid and a colon, or an id; a sid is {SID_RULE}")
    return Given(sid, [parse_after(part) for part in ids.split(";")])


class Position:
    """Where a browser is that has seen all messages so far.

    Bounded: past 64 ids of a session, or the bytes of the whole, the id goes that is least fresh.
    """

    __slots__ = ("_bytes", "_ids", "_max_bytes", "_minted", "_texts", "_turn")

    def __init__(
        self,
        afters: Sequence[tuple[str, After]],
        *,
        minted: bool = False,
        max_bytes: int = POSITION_MAX_BYTES,
    ) -> None:
        """`afters`: each session with where its browser was; `minted`: name the first one."""
        self._minted = f"{afters[0][0]}:" if minted else ""
        self._max_bytes = max_bytes
        self._ids: dict[str, dict[str, tuple[int, int]]] = {sid: {} for sid, _ in afters}
        self._texts = dict.fromkeys(self._ids, "")
        self._bytes = len(self._minted) + len(self._ids)
        self._turn = 0
        for sid, after in afters:
            for publisher, seq in (after or {}).items():
                self._note(sid, publisher, seq)
            self._write(sid)

    def come_to(self, sid: str, id: str) -> None:
        """Note that a message has been seen, whose id is right."""
        if (number := parse_id(id)) is not None:
            self._note(sid, number.publisher, number.seq)
            self._write(sid)

    def __str__(self) -> str:
        return self._minted + ";".join(self._texts.values())

    def _note(self, sid: str, publisher: str, seq: int) -> None:
        ids = self._ids[sid]
        known = ids.pop(publisher, None)
        if known is not None:
            self._bytes -= _size(publisher, known[0])
            seq = max(seq, known[0])
        self._turn += 1
        ids[publisher] = seq, self._turn  # at the end: the freshest
        self._bytes += _size(publisher, seq)
        if len(ids) > QUERY_POSITIONS_MAX:
            self._leave_out(sid)
        while self._bytes > self._max_bytes:
            oldest = min((s for s in self._ids if self._ids[s]), key=self._least_turn)
            self._leave_out(oldest)
            self._write(oldest)

    def _least_turn(self, sid: str) -> int:
        _, turn = next(iter(self._ids[sid].values()))
        return turn

    def _leave_out(self, sid: str) -> None:
        ids = self._ids[sid]
        publisher = next(iter(ids))
        seq, _ = ids.pop(publisher)
        self._bytes -= _size(publisher, seq)

    def _write(self, sid: str) -> None:
        ids = self._ids[sid].items()
        self._texts[sid] = ",".join(f"{publisher}-{seq}" for publisher, (seq, _) in ids)


def _size(publisher: str, seq: int) -> int:
    """Measure an id with the sign behind it."""
    return len(publisher) + len(str(seq)) + 2
