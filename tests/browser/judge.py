"""Whether all that workers were promised has come to a tab once and in order, and was shown so."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from tests.browser.screen import Note, Screen
from tests.browser.worker import Worker
from tests.faults.diary import Diary
from tests.faults.ledger import Ledger, Sent
from tests.faults.worker import enter
from tests.support.waiting import eventually

#: From the end of the work until everything has come, also to who has to find out that he is away.
COMPLETE_S = 40


async def judge(screens: Sequence[Screen], workers: Sequence[Worker]) -> Ledger:
    """Wait until every tab has every line of the workers, and fail if anything was not kept.

    A document that was reloaded has left early: of it only the order counts, and the next one must
    have everything from the beginning.
    """

    async def complete() -> bool:
        for screen in screens:
            await screen.look()
        ledger = book(screens, workers)
        return bool(ledger.confirmed and ledger.diaries and ledger.complete)

    with contextlib.suppress(AssertionError):  # what never comes is for the verdict to tell
        await eventually(complete, COMPLETE_S)
    ledger = book(screens, workers)
    verdict = ledger.verdict()
    assert verdict.kept, f"\n{verdict}"
    for screen in screens:
        assert not screen.errors, screen.errors
        violations = [note.what for note in screen.notes if note.kind == "violation"]
        assert not violations, violations
        for document in documents(screen.notes):
            assert_shown_well(document)
    return ledger


def book(screens: Iterable[Screen], workers: Iterable[Worker]) -> Ledger:
    """Both sides, as they stand now."""
    ledger = Ledger()
    for worker in workers:
        enter(worker.output, ledger)
    for number, screen in enumerate(screens):
        *left, last = documents(screen.notes)
        ledger.diaries += diaries(f"tab {number}", last, ledger)
        for document in left:
            for diary in diaries(f"tab {number}, before", document, ledger):
                assert not diary.twice, diary.twice
                assert not diary.disordered, diary.disordered
    return ledger


def documents(notes: Sequence[Note]) -> list[list[Note]]:
    """The notes of each document of a tab."""
    found: list[list[Note]] = []
    for note in notes:
        if note.kind == "document" and "shows" in note.what:
            found.append([])
        found[-1].append(note)
    return found


def diaries(name: str, document: Iterable[Note], ledger: Ledger) -> list[Diary]:
    """What the clients of one document got of each session; a bar's updates are asked for, too."""
    found: dict[tuple[int, str], Diary] = {}
    for note in document:
        if note.kind != "client":
            continue
        client, type_, frame = note.what["client"], note.what["type"], note.what["detail"]
        if (sid := frame.get("sid")) is None:
            continue
        diary = found.setdefault((client, sid), Diary(f"{name}/{client}/{sid[:6]}", sid))
        match type_:
            case "welcome" | "followed":
                diary.begin(at=note.at, recovered=frame.get("recovered"))
            case "gap":
                diary.gap()
            case "message":
                diary.take(_line(frame, ledger), at=note.at)
    return list(found.values())


def _line(frame: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """A frame whose message is text: a bar's updates may say the same twice."""
    if isinstance(frame["message"], str):
        return frame
    value = f"update {frame['id']}"
    ledger.asked[value] = Sent(frame["sid"], value)
    return frame | {"message": value}


def assert_shown_well(document: Iterable[Note]) -> None:
    """No bar goes back while it runs, is full before it is done, or is empty again."""
    position: dict[tuple[int, str], float] = {}
    for note in document:
        if note.kind != "screen":
            continue
        seen = note.what
        key = seen["bar"], seen["parts"].get("attempt", "")
        at = -1 if seen["position"] is None else seen["position"]
        if seen["state"] == "queued":
            position.pop(key, None)
        if seen["state"] == "waiting":
            assert key not in position, f"empty again: {seen}"
        elif at >= 0:
            assert at >= position.get(key, 0), f"a bar went back: {seen}"
            position[key] = at
        assert at < 1 or seen["state"] == "done", f"full before it is done: {seen}"


def seconds(start: float, note: Note) -> float:
    """From a moment on the clock of `time.monotonic` to a note."""
    return round(note.at - start, 2)
