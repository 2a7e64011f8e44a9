"""What a publisher still has to send: numbers, order, newest per key, bounds."""

import json
import tracemalloc
from typing import Any

import pytest

from progress_ws import InvalidMessage, ProgressError, PublishError
from progress_ws.core import codec
from progress_ws.core.backlog import ALONE, BATCH_BYTES, RESERVE, Backlog
from progress_ws.core.batch import POST_BYTES, Batch, Entry
from progress_ws.core.codec import MAX_MEMBERS
from progress_ws.core.message import Number
from progress_ws.core.series import decode_series
from tests.core.making import LIMIT, draft

FLAW = InvalidMessage("too large", reason="refused")
LOST = PublishError("the broker is gone")


class Waiter:
    """Somebody who awaits a message, and what he was told."""

    def __init__(self) -> None:
        self.told: list[str | ProgressError] = []

    def __call__(self, outcome: str | ProgressError) -> None:
        self.told.append(outcome)


def backlog(max_bytes: int = 10_000_000) -> Backlog:
    return Backlog(publisher="p", max_bytes=max_bytes)


def posted(value: Any, **fields: Any) -> Entry:
    return Entry(draft(value, **fields), ts=1.0)


def awaited(value: Any, waiter: Waiter | None = None, **fields: Any) -> Entry:
    return Entry(draft(value, **fields), ts=1.0, settle=waiter or Waiter())


def taken(log: Backlog) -> Batch:
    batch = log.take()
    assert batch is not None
    return batch


def values(batch: Batch) -> list[Any]:
    decoded = json.loads(batch.body())
    return [m["message"] for m in (decoded if isinstance(decoded, list) else [decoded])]


def rest(log: Backlog) -> list[Any]:
    """Everything that would still be sent."""
    found: list[Any] = []
    while (batch := log.take()) is not None:
        found += values(batch)
    return found


# -- numbers ------------------------------------------------------------------------------------


def test_numbers_count_from_one_over_all_that_is_sent() -> None:
    log = backlog()
    for n in range(3):
        log.add(posted(n, sid=f"{n:022}"))
    first = taken(log)
    log.add(posted(3))
    assert (first.ids, taken(log).ids) == (["p-1", "p-2", "p-3"], ["p-4"])


def test_what_was_replaced_while_it_waited_never_had_a_number() -> None:
    log = backlog()
    for n in range(100):
        log.add(posted(n, key="k"))
    batch = taken(log)
    assert (batch.ids, values(batch)) == (["p-1"], [99])


def test_a_single_message_is_written_bare_and_several_as_an_array() -> None:
    log = backlog()
    log.add(posted("a"))
    assert json.loads(taken(log).body())["id"] == "p-1"
    log.add(posted("b"))
    log.add(posted("c"))
    assert [m["id"] for m in json.loads(taken(log).body())] == ["p-2", "p-3"]


def test_a_number_never_changes_however_often_it_is_sent() -> None:
    log = backlog()
    log.add(posted("a"))
    log.add(posted("b"))
    body = taken(log).body()
    for _ in range(3):
        log.rewind()
        assert taken(log).body() == body


# -- order --------------------------------------------------------------------------------------


def test_what_is_unconfirmed_goes_out_again_in_order_before_anything_new() -> None:
    log = backlog()
    batches = []
    for n in range(3):
        log.add(posted(n))
        batches.append(taken(log))
    log.confirm(batches[1], batches[1].ids)
    log.add(posted("new"))
    log.rewind()
    assert rest(log) == [0, 2, "new"]


def test_a_second_loss_in_the_middle_of_the_repetition_keeps_the_order() -> None:
    log = backlog()
    for n in range(4):
        log.add(posted(n))
        taken(log)
    log.rewind()
    taken(log)
    taken(log)
    log.rewind()
    assert rest(log) == [0, 1, 2, 3]


def test_a_replacement_goes_to_the_end() -> None:
    log = backlog()
    for value, key in [("a1", "a"), ("b1", "b"), ("-", None), ("a2", "a")]:
        log.add(posted(value, key=key))
    assert rest(log) == ["b1", "-", "a2"]


# -- posts --------------------------------------------------------------------------------------


def post(log: Backlog, *found: Any, **fields: Any) -> None:
    for value in found:
        assert log.post(draft(value, **fields), ts=1.25)


def test_plain_posts_leave_as_a_series() -> None:
    log = backlog()
    post(log, *range(300))
    body = taken(log).body()
    series = decode_series(body, known=(), max_message_bytes=LIMIT)
    assert series is not None
    assert series.number == Number("p", 1)
    assert [int(bytes(m.message)) for m in series.messages] == list(range(300))
    assert {m.ts for m in series.messages} == {1.25}


def test_posts_and_others_keep_their_common_order_and_leave_together() -> None:
    log = backlog()
    for n in range(0, 40, 4):
        post(log, n)
        log.add(awaited(n + 1))
        post(log, n + 2)
        post(log, n + 3, key=f"k{n}")
    assert values(taken(log)) == list(range(40))


def test_many_posts_do_not_wait_for_what_comes_behind_them() -> None:
    log = backlog()
    post(log, *range(ALONE))
    log.add(awaited("a"))
    post(log, *range(ALONE))
    assert [len(taken(log)) for _ in range(3)] == [ALONE, 1, ALONE]


def test_a_post_behind_something_else_is_not_overtaken_by_the_next() -> None:
    log = backlog()
    post(log, "a", "b")
    post(log, "c", key="k")
    post(log, "d")
    post(log, "e", key="k")
    assert rest(log) == ["a", "b", "d", "e"]


def test_of_very_many_posts_no_more_leave_at_once_than_of_others() -> None:
    log = backlog()
    post(log, *["x" * 300] * 2500)
    sizes = []
    while (batch := log.take()) is not None:
        assert len(batch.body()) <= BATCH_BYTES
        sizes.append(len(batch))
    assert sum(sizes) == 2500
    assert max(sizes) <= MAX_MEMBERS


def test_posts_that_are_refused_are_taken_apart_and_their_room_is_free_in_the_end() -> None:
    log = backlog(20_000)
    post(log, 1, 2, 3)
    log.refuse(taken(log), FLAW)
    assert [values(single := taken(log)) and single.ids for _ in range(3)] == [
        ["p-1"],
        ["p-2"],
        ["p-3"],
    ]
    log.rewind()
    while (single := log.take()) is not None:
        log.confirm(single, single.ids)
    assert (len(log), log.last_confirmed) == (0, 3)
    assert log.add(posted("x" * 19_000))


def test_over_its_bound_it_takes_no_more_posts() -> None:
    for size in (10_000, 10_001, 30_000):
        log, count = backlog(size), 0
        while log.post(draft("x" * 98), ts=1.0):
            count += 1
        assert count == size // (100 + POST_BYTES)
        assert len(log) == count


def test_posts_take_the_memory_that_is_counted() -> None:
    log = backlog()
    tracemalloc.start()
    try:
        for n in range(5_000):
            log.post(draft(f"{n}".ljust(100)), ts=n + 0.5)
        while log.take():
            pass  # they are in flight now
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = 5_000 * (102 + POST_BYTES)
    assert 0.75 * counted < held < 1.2 * counted


# -- newest per key -----------------------------------------------------------------------------


def test_keys_of_different_sessions_are_different_keys() -> None:
    log = backlog()
    log.add(posted(1, sid="a" * 22, key="k"))
    log.add(posted(2, sid="b" * 22, key="k"))
    assert rest(log) == [1, 2]


def test_what_somebody_awaits_is_not_replaced() -> None:
    log, waiter = backlog(), Waiter()
    log.add(awaited("awaited", waiter, key="k"))
    log.add(posted("posted", key="k"))
    log.add(posted("newer", key="k"))
    assert rest(log) == ["awaited", "newer"]
    assert waiter.told == []


def test_what_somebody_awaits_leaves_what_was_posted() -> None:
    """Both go, in order; the nodes let the newer one win."""
    log = backlog()
    log.add(posted("posted", key="k"))
    log.add(awaited("awaited", key="k"))
    log.add(awaited("awaited too", key="k"))
    assert rest(log) == ["posted", "awaited", "awaited too"]


@pytest.mark.parametrize("how", ["given up", "failed"])
def test_what_is_taken_back_takes_nothing_with_it(how: str) -> None:
    log, entry = backlog(), awaited("retry: 0 %", key="k")
    log.add(posted("100 %", key="k", final=True))
    log.add(entry)
    if how == "given up":
        assert log.give_up(entry)
    else:
        log.fail_awaited(LOST)
    assert rest(log) == ["100 %"]


def test_two_awaited_of_one_key_both_go() -> None:
    log = backlog()
    log.add(awaited(1, key="k"))
    log.add(awaited(2, key="k"))
    assert rest(log) == [1, 2]


def test_what_has_a_number_is_not_replaced_any_more() -> None:
    log = backlog()
    log.add(posted(1, key="k"))
    taken(log)
    log.add(posted(2, key="k"))
    log.rewind()
    assert rest(log) == [1, 2]


def test_what_comes_too_late_for_its_run_is_taken_and_not_sent() -> None:
    log = backlog()
    log.add(posted("final", key="k", run="1", final=True))
    assert log.add(posted("late", key="k", run="1"))
    assert rest(log) == ["final"]


def test_what_comes_too_late_and_is_awaited_is_sent_all_the_same() -> None:
    """Its sender was promised that the broker has it; the nodes will know that it is late."""
    log = backlog()
    log.add(posted("final", key="k", run="1", final=True))
    log.add(awaited("late", key="k", run="1"))
    assert rest(log) == ["final", "late"]


# -- confirms -----------------------------------------------------------------------------------


def test_whoever_waits_is_told_what_his_message_is_called() -> None:
    log, first, second = backlog(), Waiter(), Waiter()
    log.add(awaited(1, first))
    log.add(posted(2))
    log.add(awaited(3, second))
    batch = taken(log)
    log.confirm(batch, ["x-7", "x-8", "x-9"])  # over HTTP it is the node that numbers
    assert (first.told, second.told) == (["x-7"], ["x-9"])
    assert (len(log), log.has_more) == (0, False)


def test_the_length_is_what_is_not_confirmed() -> None:
    log = backlog()
    for n in range(3):
        log.add(posted(n))
    assert len(log) == 3
    batch = taken(log)
    assert len(log) == 3
    log.rewind()
    assert (len(log), log.has_more) == (3, True)
    batch = taken(log)
    log.confirm(batch, batch.ids)
    assert len(log) == 0


# -- refusals -----------------------------------------------------------------------------------


def test_a_single_message_that_is_refused_is_dropped_and_told() -> None:
    log, waiter = backlog(), Waiter()
    log.add(awaited(1, waiter))
    assert log.refuse(taken(log), FLAW) is None
    assert (waiter.told, len(log), log.has_more) == ([FLAW], 0, False)


def test_a_posted_message_that_is_refused_is_handed_back() -> None:
    log = backlog()
    log.add(posted(1, key="k"))
    lost = log.refuse(taken(log), FLAW)
    assert lost is not None
    assert (lost.key, len(log)) == ("k", 0)


def test_what_was_given_up_and_is_refused_is_no_loss() -> None:
    log, entry = backlog(), awaited(1)
    log.add(entry)
    batch = taken(log)
    log.give_up(entry)
    assert log.refuse(batch, FLAW) is None


def test_a_batch_that_is_refused_is_taken_apart_under_the_same_numbers() -> None:
    log = backlog()
    for n in range(3):
        log.add(posted(n))
    log.refuse(taken(log), FLAW)
    log.add(posted("new"))
    singles = [taken(log) for _ in range(4)]
    assert [single.ids for single in singles] == [["p-1"], ["p-2"], ["p-3"], ["p-4"]]
    assert [values(single) for single in singles] == [[0], [1], [2], ["new"]]


def test_only_the_culprit_fails() -> None:
    log = backlog()
    waiters = [Waiter(), Waiter(), Waiter()]
    for n, waiter in enumerate(waiters):
        log.add(awaited(n, waiter))
    log.refuse(taken(log), FLAW)
    while (single := log.take()) is not None:
        if values(single) == [1]:
            log.refuse(single, FLAW)
        else:
            log.confirm(single, single.ids)
    assert [waiter.told for waiter in waiters] == [["p-1"], [FLAW], ["p-3"]]
    assert len(log) == 0


def test_what_was_taken_apart_goes_out_again_in_order_after_a_loss() -> None:
    log = backlog()
    for n in range(3):
        log.add(posted(n))
    log.refuse(taken(log), FLAW)
    log.confirm(single := taken(log), single.ids)
    taken(log)
    log.rewind()
    assert rest(log) == [1, 2]


def test_the_order_of_numbers_holds_though_a_later_batch_was_on_its_way() -> None:
    log = backlog()
    for n in (0, 1):
        log.add(posted(n))
    first = taken(log)
    log.add(posted(2))
    taken(log)
    log.refuse(first, FLAW)
    log.rewind()
    assert rest(log) == [0, 1, 2]


# -- giving up ----------------------------------------------------------------------------------


def test_what_was_given_up_while_it_waited_is_not_sent() -> None:
    log, waiter = backlog(), Waiter()
    entry = awaited(1, waiter)
    log.add(entry)
    log.add(posted(2))
    assert log.give_up(entry)
    assert (rest(log), waiter.told) == ([2], [])


def test_what_was_given_up_on_the_wire_is_a_void_from_then_on_and_nobody_is_told() -> None:
    log, waiter = backlog(), Waiter()
    entry = awaited(1, waiter)
    log.add(entry)
    batch = taken(log)
    assert not log.give_up(entry)
    log.rewind()
    assert json.loads(taken(log).body()) == {"id": "p-1", "void": True}
    log.confirm(batch, batch.ids)
    assert (waiter.told, len(log)) == ([], 0)


def test_a_void_stands_in_its_place_among_others_and_its_room_is_free() -> None:
    log = backlog(max_bytes=20_000)
    entries = [posted("a"), awaited("x" * 10_000), posted("b")]
    for entry in entries:
        assert log.add(entry)
    taken(log)
    assert not log.add(posted("y" * 10_000))
    assert not log.give_up(entries[1])
    assert log.add(posted("y" * 10_000))
    log.rewind()
    first, second, third = json.loads(taken(log).body())
    assert (first["id"], first["message"]) == ("p-1", "a")
    assert second == {"id": "p-2", "void": True}
    assert (third["id"], third["message"]) == ("p-3", "b")


def test_it_holds_in_memory_what_it_counts() -> None:
    """A message is held once, and not at all once it is given up."""
    log, entries = backlog(), []
    tracemalloc.start()
    try:
        for _ in range(50):
            entries.append(awaited("x" * 60_000))
            log.add(entries[-1])
        held, _ = tracemalloc.get_traced_memory()
        counted = sum(entry.size for entry in entries)
        assert held < 1.2 * counted
        while log.take():
            pass
        for entry in entries:
            log.give_up(entry)
        held, _ = tracemalloc.get_traced_memory()
        assert held < 0.05 * counted
    finally:
        tracemalloc.stop()


def test_the_last_confirmed_number_is_the_highest() -> None:
    log = backlog()
    batches = []
    for n in range(3):
        log.add(posted(n))
        batches.append(taken(log))
    assert log.last_confirmed == 0
    for batch, last in zip((batches[1], batches[0], batches[2]), (2, 2, 3), strict=True):
        log.confirm(batch, batch.ids)
        assert log.last_confirmed == last


def test_what_was_given_up_on_the_wire_is_not_wanted_any_more() -> None:
    log, entry = backlog(), awaited(1)
    log.add(entry)
    log.add(posted(2))
    batch = taken(log)
    log.give_up(entry)
    assert (len(log), log.wanted) == (2, 1)
    log.confirm(batch, batch.ids)
    assert (len(log), log.wanted) == (0, 0)


@pytest.mark.parametrize("how", ["confirmed", "refused"])
def test_giving_up_what_is_settled_changes_nothing(how: str) -> None:
    log, entry = backlog(), awaited(1)
    log.add(entry)
    if how == "confirmed":
        log.confirm(batch := taken(log), batch.ids)
    else:
        log.refuse(taken(log), FLAW)
    assert not log.give_up(entry)
    log.add(posted(2))
    assert (len(log), log.wanted) == (1, 1)


def test_giving_up_twice_is_no_error() -> None:
    log, entry = backlog(), awaited(1)
    log.add(entry)
    assert log.give_up(entry)
    assert not log.give_up(entry)
    assert len(log) == 0


def test_all_who_wait_are_told_once_and_posted_messages_stay() -> None:
    log = backlog()
    waiting, on_the_wire, again = Waiter(), Waiter(), Waiter()
    log.add(awaited("again", again))
    taken(log)
    log.rewind()
    log.add(awaited("on the wire", on_the_wire))
    log.add(posted("posted 1", key="k"))
    repeated = taken(log)
    assert values(repeated) == ["again"]
    batch = taken(log)
    log.add(awaited("waiting", waiting))
    log.add(posted("posted 2", key="k"))
    log.fail_awaited(LOST)
    log.fail_awaited(LOST)
    assert [w.told for w in (waiting, on_the_wire, again)] == [[LOST]] * 3
    log.confirm(batch, batch.ids)
    log.confirm(repeated, repeated.ids)
    assert [w.told for w in (waiting, on_the_wire, again)] == [[LOST]] * 3
    assert rest(log) == ["posted 2"]


# -- bounds -------------------------------------------------------------------------------------


def filled(log: Backlog) -> int:
    """How many messages of one size it takes."""
    count = 0
    while log.add(posted("x" * 100)):
        count += 1
    return count


def test_over_its_bound_it_takes_no_more() -> None:
    size = posted("x" * 100).size
    assert filled(backlog(10 * size)) == 10
    assert filled(backlog(10 * size - 1)) == 9


def test_an_empty_backlog_takes_a_message_of_any_size() -> None:
    log = backlog(max_bytes=1)
    assert log.add(posted("x" * 10_000))
    assert not log.add(posted("y"))


def test_what_is_on_the_wire_counts_until_it_is_confirmed() -> None:
    log = backlog(10 * posted("x" * 100).size)
    filled(log)
    batch = taken(log)
    assert not log.add(posted("x"))
    log.rewind()
    assert not log.add(posted("x"))
    batch = taken(log)
    log.confirm(batch, batch.ids)
    assert filled(log) == 10


def test_a_full_backlog_takes_a_replacement() -> None:
    log = backlog(10 * posted("x" * 100, key="k").size)
    for n in range(10):
        assert log.add(posted("x" * 100, key=str(n)))
    for n in range(10):
        assert log.add(posted("y" * 100, key=str(n)))
    assert rest(log) == ["y" * 100] * 10


def test_a_replacement_that_does_not_fit_leaves_what_it_would_replace() -> None:
    log = backlog(10 * posted("x" * 100, key="k").size)
    for n in range(10):
        log.add(posted(n, key=str(n)))
    while log.add(posted("fill")):
        pass
    assert not log.add(posted("y" * 5000, key="3"))
    assert 3 in rest(log)


def test_a_full_backlog_takes_a_larger_replacement() -> None:
    log = backlog(100_000)
    log.add(posted("running", key="k"))
    while log.post(draft("fill"), ts=1.0):
        pass
    assert log.add(posted("done" * 100, key="k", final=True))
    assert [value for value in rest(log) if value != "fill"] == ["done" * 100]


def test_what_has_a_key_and_what_is_final_has_room_that_others_cannot_take() -> None:
    size = posted("x" * 100).size
    log = backlog(80 * size)
    assert filled(log) == 80
    count = 0
    while log.add(posted("x" * 100, key=str(count))):
        count += 1
    assert count == 80 // RESERVE
    while log.add(posted("x" * 100, key=str(count), final=True)):
        count += 1
    assert count == 2 * (80 // RESERVE)
    assert not log.add(posted("x" * 100, final=True))
    assert log.add(posted("y" * 100, key="0")), "it takes the place of one that is as large"


def test_what_somebody_awaits_waits_for_room_as_ever() -> None:
    log = backlog(80 * posted("x" * 100).size)
    filled(log)
    assert not log.add(awaited("x", key="k", final=True))


@pytest.mark.parametrize("how", ["confirmed", "given up", "refused", "failed", "replaced"])
def test_the_room_comes_back(how: str) -> None:
    log = backlog(10 * posted("x" * 100).size)
    entries = [awaited("x" * 100) for _ in range(10)]
    if how == "replaced":
        for _ in range(100):
            assert log.add(posted("x" * 100, key="k"))
        batch = taken(log)
        log.confirm(batch, batch.ids)
    else:
        for entry in entries:
            assert log.add(entry)
    if how == "confirmed":
        batch = taken(log)
        log.confirm(batch, batch.ids)
    elif how == "given up":
        for entry in entries:
            log.give_up(entry)
    elif how == "refused":
        while (batch := log.take()) is not None:
            log.refuse(batch, FLAW)
    elif how == "failed":
        log.fail_awaited(LOST)
    assert len(log) == 0
    assert filled(log) == 10


def test_a_batch_holds_at_most_a_thousand_messages() -> None:
    log, sent = backlog(), []
    for n in range(2500):
        log.add(posted(n))
    while (batch := log.take()) is not None:
        assert len(batch.entries) <= 1000
        sent += values(batch)
    assert sent == list(range(2500))


def test_a_batch_holds_at_most_so_many_bytes() -> None:
    log = backlog()
    for _ in range(20):
        log.add(posted("x" * 60_000))
    while (batch := log.take()) is not None:
        assert len(batch.body()) <= BATCH_BYTES


def test_a_message_larger_than_a_batch_goes_alone() -> None:
    log = backlog()
    log.add(posted(1))
    large = codec.new_draft("s" * 22, "x" * (2 * BATCH_BYTES), max_message_bytes=10**7)
    log.add(Entry(large, ts=1.0))
    log.add(posted(2))
    assert [len(taken(log).entries) for _ in range(3)] == [1, 1, 1]
