"""Bars without an event loop: what they say, and when."""

import asyncio
import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from progress_ws import Cancelled
from progress_ws.core.codec import encode, new_draft
from progress_ws.core.progress import Request, State, Update, new_run
from progress_ws.publish.bar import INTERVAL_S, REPEATS, Bar

SID = "s" * 22


class Shelf:
    """The owner of bars, which keeps what they say, by a clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.said: list[tuple[str, Update]] = []
        self.settled = 0

    def report(self, bar: Bar) -> None:
        if (update := bar.update()) is not None:
            self.said.append((bar.key, update))

    def settle(self) -> None:
        self.settled += 1

    async def asettle(self) -> None:
        self.settled += 1

    def bar(self, *, on_cancel: Callable[[], object] | None = None, **fields: Any) -> Bar:
        request = Request(
            wanted=fields.pop("cancellable", False),
            raises=fields.pop("raise_cancelled", False),
            on_cancel=on_cancel,
        )
        bar = Bar(self, SID, key="k", request=request, clock=lambda: self.now_s, **fields)
        self.report(bar)
        return bar

    def look(self, bar: Bar, after_s: float = INTERVAL_S) -> Update | None:
        """What a bar has to say when it is looked at."""
        self.now_s += after_s
        return bar.update()

    @property
    def last(self) -> Update:
        return self.said[-1][1]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# -- what it says -------------------------------------------------------------------------------


def test_it_says_at_once_that_it_runs(shelf: Shelf) -> None:
    shelf.bar(title="Report", unit="rows", total=10, attempt=2)
    assert shelf.last == {
        "kind": "progress",
        "state": "running",
        "current": 0,
        "total": 10,
        "unit": "rows",
        "title": "Report",
        "elapsed_s": 0.0,
        "attempt": 2,
    }


def test_what_is_not_known_is_not_said(shelf: Shelf) -> None:
    shelf.bar()
    expected = {"kind": "progress", "state": "running", "current": 0, "elapsed_s": 0.0}
    assert shelf.last == expected


def test_steps_are_added_and_set(shelf: Shelf) -> None:
    bar = shelf.bar(total=10)
    bar.advance()
    bar.advance(2.5)
    assert (shelf.look(bar) or {})["current"] == 3.5
    bar.set(7, total=20)
    update = shelf.look(bar) or {}
    assert (update["current"], update["total"]) == (7, 20)
    bar.total = None
    assert "total" not in (shelf.look(bar) or {"total": 1})


def test_a_phase_with_a_total_counts_anew(shelf: Shelf) -> None:
    bar = shelf.bar(total=10, unit="rows")
    bar.advance(10)
    bar.text("a line")
    bar.phase("Writing")
    update = shelf.look(bar) or {}
    assert (update["phase"], update["current"], update["total"]) == ("Writing", 10, 10)
    assert "text" not in update
    bar.phase("Uploading", total=2048, unit="B")
    update = shelf.look(bar) or {}
    assert (update["current"], update["total"], update["unit"]) == (0, 2048, "B")
    bar.phase("Waiting", total=None)
    assert "total" not in (shelf.look(bar) or {"total": 1})


def test_rate_and_time_left(shelf: Shelf) -> None:
    bar = shelf.bar(total=100)
    bar.advance(10)
    update = shelf.look(bar, 2) or {}
    assert (update["rate"], update["eta_s"], update["elapsed_s"]) == (5, 18, 2)


def test_long_texts_are_cut(shelf: Shelf) -> None:
    bar = shelf.bar(title="t" * 10_000, unit="u" * 10_000)
    bar.text("x" * 100_000)
    bar.phase("p" * 100_000)
    bar.failed("e" * 100_000)
    assert all(len(str(value)) <= 500 for value in shelf.last.values())


@pytest.mark.parametrize("odd", ["caf\udce9.csv", "\ud800", "进\udfff", "\udce9" * 900])
def test_what_is_no_utf8_in_a_text_is_replaced(shelf: Shelf, odd: str) -> None:
    """As in the name of a file that an older system wrote."""
    bar = shelf.bar(title=odd, unit=odd)
    bar.phase(odd)
    bar.text(odd)
    runs = shelf.look(bar) or {}
    bar.failed(ValueError(odd))
    texts = [runs["title"], runs["unit"], runs["phase"], runs["text"], shelf.last["error"]]
    assert all("\ufffd" in text for text in texts)
    assert json.loads(encode(texts)) == texts


class Odd:
    """A number of some other library."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)

    def __radd__(self, other: float) -> "Odd":
        return Odd(other + self.value)

    __add__ = __radd__


def test_numbers_of_other_libraries_become_plain_ones(shelf: Shelf) -> None:
    bar = shelf.bar(total=Odd(10))
    bar.advance(Odd(2))  # type: ignore[arg-type]
    update = shelf.look(bar) or {}
    assert (update["current"], type(update["current"]), update["total"]) == (2, float, 10)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, Odd(math.nan)])
def test_a_number_that_json_lacks_is_not_known(shelf: Shelf, odd: Any) -> None:
    bar = shelf.bar(total=odd)
    bar.set(odd)
    assert not {"current", "total", "rate"} & (shelf.look(bar, 2) or {"total": 1}).keys()
    bar.set(5, total=10)
    update = shelf.look(bar, 2) or {}
    assert (update["current"], update["total"]) == (5, 10)
    assert update["rate"] > 0


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_nor_is_what_it_is_a_part_of(shelf: Shelf, odd: float) -> None:
    bar = shelf.bar()
    bar.child("part", weight=odd).set(odd)
    update = shelf.look(bar) or {"total": 1}
    assert not {"current", "total"} & update.keys()
    bar.leave(None)
    assert shelf.last["state"] == "done"


# -- when ---------------------------------------------------------------------------------------


def test_nothing_new_is_not_said(shelf: Shelf) -> None:
    bar = shelf.bar()
    assert shelf.look(bar) is None


def test_not_more_often_than_ten_times_a_second(shelf: Shelf) -> None:
    bar = shelf.bar(total=1000)
    said = 0
    for _ in range(1000):
        bar.advance()
        said += shelf.look(bar, 0.002) is not None
    assert 15 <= said <= 22


def test_an_end_is_said_at_once(shelf: Shelf) -> None:
    bar = shelf.bar(total=1)
    bar.advance()
    bar.done("all of it", href="/report")
    assert [update["state"] for _, update in shelf.said] == ["running", "done"]
    assert (shelf.last["current"], shelf.last["text"], shelf.last["href"]) == (
        1,
        "all of it",
        "/report",
    )


def test_silence_is_broken_before_it_is_taken_for_death(shelf: Shelf) -> None:
    bar = shelf.bar(stall_s=9)
    assert shelf.look(bar, 9 / REPEATS - 0.1) is None
    assert shelf.look(bar, 0.2) is not None
    assert shelf.look(bar, 0.2) is None


# -- ends ---------------------------------------------------------------------------------------


def test_after_its_end_nothing_changes(shelf: Shelf) -> None:
    bar = shelf.bar()
    bar.failed("no room")
    bar.done()
    bar.cancel()
    bar.advance()
    assert bar.state is State.FAILED
    assert [update["state"] for _, update in shelf.said] == ["running", "failed"]
    assert shelf.last["error"] == "no room"


def test_a_block_ends_it(shelf: Shelf) -> None:
    with shelf.bar():
        pass
    assert (shelf.last["state"], shelf.settled) == ("done", 1)


async def test_an_asynchronous_block_ends_it(shelf: Shelf) -> None:
    async with shelf.bar():
        pass
    assert (shelf.last["state"], shelf.settled) == ("done", 1)


@pytest.mark.parametrize(
    ("exc", "state", "error"),
    [
        (ValueError("no such file\nsecret: 42"), "failed", "ValueError: no such file"),
        (ValueError(), "failed", "ValueError"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (SystemExit("no rows"), "failed", "SystemExit: no rows"),
        (SystemExit(0), "done", None),
        (SystemExit(), "done", None),
        (asyncio.CancelledError(), "cancelled", None),
        (Cancelled("asked"), "cancelled", None),
        (KeyboardInterrupt(), "cancelled", None),
    ],
)
def test_an_exception_ends_it_with_a_short_text(
    exc: BaseException, state: str, error: str | None, shelf: Shelf
) -> None:
    with pytest.raises(type(exc)), shelf.bar():
        raise exc
    assert (shelf.last["state"], shelf.last.get("error")) == (state, error)


# -- parts --------------------------------------------------------------------------------------


def test_parts_roll_up(shelf: Shelf) -> None:
    bar = shelf.bar()
    texts, images = bar.child("texts", total=10), bar.child("images", total=40, weight=3)
    assert shelf.last == {
        "kind": "progress",
        "state": "running",
        "current": 0,
        "total": 40,
        "title": "images",
        "elapsed_s": 0.0,
        "parent": "k",
    }
    assert [key for key, _ in shelf.said] == ["k", "k/texts", "k/images"]
    texts.advance(5)
    images.advance(10)
    update = shelf.look(bar) or {}
    assert (update["current"], update["total"]) == (0.5 + 0.75, 4)
    texts.done()
    images.advance(1000)  # more than there is counts for no more than all
    assert (shelf.look(bar) or {})["current"] == 4


def test_parts_of_a_bar_that_has_a_total_of_its_own(shelf: Shelf) -> None:
    bar = shelf.bar(total=100)
    bar.advance(50)
    part = bar.child("rest", weight=50)
    part.child("one", total=2).advance()
    assert (shelf.look(bar) or {})["current"] == 75
    with part:
        pass
    assert (shelf.look(bar) or {})["current"] == 100


def test_a_phase_that_counts_anew_counts_no_part_of_a_former_one(shelf: Shelf) -> None:
    bar = shelf.bar(total=100)
    bar.child("read", weight=100).done()
    last = bar.child("checked", weight=20)
    bar.phase("Drawing", total=200)
    assert (shelf.look(bar) or {})["current"] == 0
    bar.child("drawn", weight=50).done()
    last.done()
    assert (shelf.look(bar) or {})["current"] == 70
    bar.phase("Packing", total=None)
    update = shelf.look(bar) or {}
    assert (update["current"], update.get("total")) == (0, None)


def test_a_part_that_begins_again_is_a_greater_run(shelf: Shelf) -> None:
    """As in a loop over files that are all called alike; what has ended would stay so."""
    bar = shelf.bar()
    parts = [bar.child("file", total=1) for _ in range(3)]
    assert len({part.key for part in parts}) == 1
    runs = [part.run for part in parts]
    assert runs == sorted(set(runs))
    assert runs[0] == bar.run
    assert len(runs[-1]) <= 64


@pytest.mark.parametrize("name", ["x" * 500, "caf\udce9", "é\udce9" * 80])
def test_a_part_of_any_name_has_a_key_of_its_own(shelf: Shelf, name: str) -> None:
    """Its name is often that of a file."""
    bar = shelf.bar()
    keys = [bar.child(name).key, bar.child(name + "2").key, bar.child("x").child(name).key]
    assert keys[0] == bar.child(name).key
    assert len(set(keys)) == 3
    for key in keys:
        new_draft(SID, "", key=key, max_message_bytes=0)


def test_very_many_parts_cost_no_more_than_those_that_run(shelf: Shelf) -> None:
    bar = shelf.bar()
    for n in range(1000):
        bar.child(str(n)).done()
    assert (shelf.look(bar) or {}).items() >= {"current": 1000, "total": 1000}.items()
    assert bar._parts.running == []


def test_no_part_outlives_the_whole(shelf: Shelf) -> None:
    bar = shelf.bar()
    left, done = bar.child("left"), bar.child("done")
    done.done()
    bar.failed("broken")
    assert (left.state, done.state) == (State.CANCELLED, State.DONE)
    assert [key for key, update in shelf.said if update["state"] != "running"] == [
        "k/done",
        "k/left",
        "k",
    ]


# -- a wish to stop -----------------------------------------------------------------------------


def test_only_one_that_listens_says_so(shelf: Shelf) -> None:
    for fields in ({"cancellable": True}, {"raise_cancelled": True}, {"on_cancel": list}):
        bar = shelf.bar(**fields)
        assert shelf.last["cancellable"] is True
        bar.done()
        assert "cancellable" not in shelf.last
    shelf.bar()
    assert "cancellable" not in shelf.last


def test_a_job_that_looks_and_leaves_is_cancelled(shelf: Shelf) -> None:
    with shelf.bar(total=10, cancellable=True) as bar:
        for _ in range(10):
            if bar.cancelled:
                break
            bar.request.make()
            bar.advance()
    assert (shelf.last["state"], shelf.last["current"]) == ("cancelled", 1)


def test_a_wish_that_comes_too_late_changes_nothing(shelf: Shelf) -> None:
    with shelf.bar(total=1, cancellable=True) as bar:
        bar.advance()
        bar.request.make()
    assert shelf.last["state"] == "done"


def test_the_next_step_raises_where_that_was_wanted(shelf: Shelf) -> None:
    with pytest.raises(Cancelled), shelf.bar(total=10, raise_cancelled=True) as bar:
        part = bar.child("part")
        bar.request.make()
        part.advance()
    assert shelf.last["state"] == "cancelled"
    bar = shelf.bar(raise_cancelled=True)
    bar.request.make()
    with pytest.raises(Cancelled):
        bar.set(1)


def test_whoever_wants_to_be_called_is_called_once(shelf: Shelf) -> None:
    calls: list[int] = []
    bar = shelf.bar(on_cancel=lambda: calls.append(1))
    bar.request.make()
    bar.request.make()
    assert calls == [1]


# -- threads, runs ------------------------------------------------------------------------------


def test_no_step_of_many_threads_is_lost(shelf: Shelf) -> None:
    bar = shelf.bar()

    def work() -> None:
        for _ in range(10_000):
            bar.advance()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shelf.look(bar) or {})["current"] == 80_000


def test_later_runs_are_greater() -> None:
    runs = [new_run() for _ in range(10_000)]
    assert runs == sorted(set(runs))
    assert max(len(run) for run in runs) <= 64
    assert runs[0][:13].isdigit()
