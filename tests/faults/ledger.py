"""What `send` has confirmed, compared with what each browser got. Nothing here waits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from tests.faults.diary import Diary, Visit, rank, split

SHOWN = 5


@dataclass(slots=True)
class Sent:
    """A message that a publisher was asked to send; it has an id once it was confirmed."""

    sid: str
    value: str
    key: str | None = None
    run: str | None = None
    final: bool = False
    asked_at: float = 0.0
    confirmed_at: float = 0.0
    id: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What broke the promise, each list empty if nothing did."""

    #: Confirmed, not replaced by a newer one of its key, and never there.
    lost: list[str]
    #: The same id, or the same value under another id, more than once in a browser.
    twice: list[str]
    #: A number below one of the same publisher that had come before.
    disordered: list[str]
    #: A later message of a run that had its final one.
    after_final: list[str]
    #: `recovered: true`, and yet something after that position never came.
    wrongly_recovered: list[str]
    #: Nobody was asked to send this.
    invented: list[str]

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return not any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        return "\n".join(
            f"{field.name}: {len(found)}, for example {found[:SHOWN]}"
            for field in fields(self)
            if (found := getattr(self, field.name))
        )


class Ledger:
    """Both sides of the book."""

    def __init__(self) -> None:
        self.asked: dict[str, Sent] = {}
        self.diaries: list[Diary] = []
        #: When the fault was over, on the clock of all other times.
        self.healed_at = 0.0
        self._of: dict[str, list[Sent]] = {}

    def asks(self, sent: Sent) -> None:
        """Note, before it is sent, what may arrive from now on."""
        self.asked[sent.value] = sent

    def confirms(self, sent: Sent) -> None:
        """Note that `send` has returned: from now on it must arrive."""
        self._of.setdefault(sent.sid, []).append(sent)

    @property
    def confirmed(self) -> int:
        """How many were confirmed so far."""
        return sum(map(len, self._of.values()))

    def confirmed_since(self, moment: float) -> dict[str, int]:
        """How many each publisher has confirmed of what it was asked to send after a moment."""
        counts: dict[str, int] = {}
        for sent in self._all():
            if sent.id is not None and sent.asked_at > moment:
                publisher, _ = split(sent.id)
                counts[publisher] = counts.get(publisher, 0) + 1
        return counts

    def missing(self, diary: Diary) -> Iterator[Sent]:
        """What was confirmed and has not come to a browser, nor anything that replaces it."""
        for sent in self._of.get(diary.sid, ()):
            if sent.id not in diary.got and not _replaced(sent, diary):
                yield sent

    @property
    def complete(self) -> bool:
        """Whether every browser has everything."""
        return not any(True for diary in self.diaries for _ in self.missing(diary))

    def full_after_s(self) -> float:
        """From the fault's end to the last arrival of what had been asked for before it.

        For browsers that went through the fault; late ones get all of it at once.
        """
        arrivals = (
            diary.got[name]
            for diary in self.diaries
            if diary.visits[0].began_at < self.healed_at
            for value, name in diary.values.items()
            if self._was_asked_before_the_end(value)
        )
        return max(0.0, max(arrivals, default=0.0) - self.healed_at)

    def back_after_s(self) -> float:
        """The longest wait, of who came back after the fault, for what was there before."""
        waits = (
            at - visit.began_at
            for diary in self.diaries
            for sent in self._of.get(diary.sid, ())
            if (at := diary.got.get(sent.id or "")) is not None
            and (visit := diary.visit_at(at)).began_at > max(self.healed_at, sent.confirmed_at)
        )
        return max(waits, default=0.0)

    def verdict(self) -> Verdict:
        """Judge everything that was noted."""
        losses = [(diary, sent) for diary in self.diaries for sent in self.missing(diary)]
        return Verdict(
            lost=[f"{diary.name} {sent.id} {sent.value}" for diary, sent in losses],
            twice=list(_each(self.diaries, "twice")),
            disordered=list(_each(self.diaries, "disordered")),
            after_final=list(_each(self.diaries, "after_final")),
            wrongly_recovered=[
                f"{diary.name} {sent.id} after {visit.after}"
                for diary, sent in losses
                for visit in diary.visits
                if _promised(visit, sent, last=visit is diary.visits[-1])
            ],
            invented=[
                f"{diary.name} {value}"
                for diary in self.diaries
                for value in diary.values
                if value not in self.asked
            ],
        )

    def row(self) -> dict[str, object]:
        """The figures of a table."""
        verdict = self.verdict()
        visits = [visit for diary in self.diaries for visit in diary.visits]
        return {
            "confirmed": self.confirmed,
            "given up": len(self.asked) - self.confirmed,
            "browsers": len(self.diaries),
            "visits": len(visits),
            "frames": sum(diary.frames for diary in self.diaries),
            **{field.name: len(getattr(verdict, field.name)) for field in fields(verdict)},
            "recovered: false": sum(visit.recovered is False for visit in visits),
            "gaps": sum(visit.gaps for visit in visits),
            "full after s": round(self.full_after_s(), 2),
            "back after s": round(self.back_after_s(), 2),
        }

    def _all(self) -> Iterator[Sent]:
        for sent in self._of.values():
            yield from sent

    def _was_asked_before_the_end(self, value: str) -> bool:
        sent = self.asked.get(value)
        return sent is not None and sent.asked_at < self.healed_at


def _replaced(sent: Sent, diary: Diary) -> bool:
    assert sent.id is not None
    newest = diary.newest.get(sent.key) if sent.key is not None else None
    return newest is not None and newest > rank(id=sent.id, run=sent.run, final=sent.final)


def _each(diaries: Iterable[Diary], name: str) -> Iterator[str]:
    for diary in diaries:
        for found in getattr(diary, name):
            yield f"{diary.name} {found}"


def _promised(visit: Visit, lost: Sent, *, last: bool) -> bool:
    """Whether a visit said that it would bring what was lost, and went past it or never ended."""
    assert lost.id is not None
    publisher, seq = split(lost.id)
    return (
        visit.recovered is True
        and lost.confirmed_at < visit.began_at
        and visit.after.get(publisher, 0) < seq
        and (last or visit.highest.get(publisher, 0) > seq)
    )
