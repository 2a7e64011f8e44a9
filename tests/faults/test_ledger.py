"""The judge itself: a ledger that was fed a fault must say so, and one without must not."""

from typing import Any

import pytest

from tests.faults.diary import Diary
from tests.faults.ledger import Ledger, Sent

SID = "s" * 22


class Book:
    """A ledger with one browser that is attached."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.diary = Diary("browser", SID)
        self.ledger.diaries.append(self.diary)
        self.now = 0.0
        self.comes(recovered=None)

    def comes(self, *, recovered: bool | None) -> None:
        self.now += 1
        self.diary.begin(at=self.now, recovered=recovered)

    def sends(self, id: str, *, confirmed: bool = True, **fields: Any) -> None:
        self.now += 1
        sent = Sent(SID, f"value of {id}", asked_at=self.now, **fields)
        self.ledger.asks(sent)
        if confirmed:
            sent.id, sent.confirmed_at = id, self.now
            self.ledger.confirms(sent)

    def gets(self, id: str, value: str | None = None, **fields: Any) -> None:
        self.now += 1
        self.diary.take({"id": id, "message": value or f"value of {id}", **fields}, at=self.now)

    def faults(self) -> set[str]:
        verdict = self.ledger.verdict()
        found = {name for name in verdict.__dataclass_fields__ if getattr(verdict, name)}
        assert verdict.kept == (not found)
        return found


@pytest.fixture
def book() -> Book:
    return Book()


KEYED = {"key": "k", "run": "1"}


def test_what_came_once_and_in_order_is_well(book: Book) -> None:
    for name in ("p-1", "q-1", "p-2"):
        book.sends(name)
        book.gets(name)
    assert book.faults() == set()
    assert book.ledger.complete


def test_a_message_that_never_came_is_lost(book: Book) -> None:
    book.sends("p-1")
    assert not book.ledger.complete
    assert book.faults() == {"lost"}


def test_what_was_not_confirmed_may_come_or_not(book: Book) -> None:
    book.sends("p-1", confirmed=False)
    book.sends("p-2", confirmed=False)
    book.gets("p-2")
    assert book.faults() == set()


def test_another_browsers_luck_does_not_help(book: Book) -> None:
    book.ledger.diaries.append(Diary("other", SID))
    book.sends("p-1")
    book.gets("p-1")
    assert book.faults() == {"lost"}


def test_a_newer_one_of_the_key_stands_for_the_older(book: Book) -> None:
    book.sends("p-1", **KEYED)
    book.sends("p-2", **KEYED, confirmed=False)
    book.gets("p-2", **KEYED)
    assert book.faults() == set()


def test_an_older_one_of_the_key_does_not(book: Book) -> None:
    book.sends("p-1", **KEYED)
    book.sends("p-2", **KEYED)
    book.gets("p-1", **KEYED)
    assert book.faults() == {"lost"}


def test_nothing_of_its_run_stands_for_a_final_message(book: Book) -> None:
    book.sends("p-1", **KEYED, final=True)
    book.sends("p-2", **KEYED)
    book.gets("p-2", **KEYED)
    assert book.faults() == {"lost"}


def test_a_greater_run_stands_for_a_final_message(book: Book) -> None:
    book.sends("p-1", **KEYED, final=True)
    book.sends("p-2", key="k", run="2")
    book.gets("p-2", key="k", run="2")
    assert book.faults() == set()


def test_nothing_of_its_run_comes_after_a_final_message(book: Book) -> None:
    book.sends("p-1", **KEYED, final=True)
    book.sends("p-2", **KEYED)
    book.gets("p-1", **KEYED, final=True)
    book.gets("p-2", **KEYED)
    assert book.faults() == {"after_final"}


def test_the_same_id_again_is_twice(book: Book) -> None:
    book.sends("p-1")
    book.gets("p-1")
    book.comes(recovered=True)
    book.gets("p-1")
    assert book.faults() == {"twice"}


def test_the_same_value_under_another_number_is_twice(book: Book) -> None:
    book.sends("p-1")
    book.gets("p-1")
    book.gets("p-2", "value of p-1")
    assert book.faults() == {"twice"}


def test_a_number_that_falls_is_disorder(book: Book) -> None:
    book.sends("p-1")
    book.sends("p-2")
    book.gets("p-2")
    book.comes(recovered=True)
    book.gets("p-1")
    assert book.faults() == {"disordered"}


def test_numbers_of_two_publishers_have_no_order(book: Book) -> None:
    book.sends("p-9")
    book.sends("q-1")
    book.gets("p-9")
    book.gets("q-1")
    assert book.faults() == set()


def test_recovered_was_wrong_if_what_was_passed_over_never_came(book: Book) -> None:
    book.sends("p-1")
    book.comes(recovered=True)
    book.sends("p-2")
    book.gets("p-2")
    assert book.faults() == {"lost", "wrongly_recovered"}


@pytest.mark.parametrize("recovered", [False, None])
def test_who_promised_nothing_was_not_wrong(recovered: bool | None, book: Book) -> None:
    book.sends("p-1")
    book.comes(recovered=recovered)
    assert book.faults() == {"lost"}


def test_recovered_was_not_wrong_if_the_connection_broke_before(book: Book) -> None:
    book.sends("p-1")
    book.comes(recovered=True)
    book.comes(recovered=False)
    assert book.faults() == {"lost"}


def test_recovered_says_nothing_of_what_came_later(book: Book) -> None:
    book.comes(recovered=True)
    book.sends("p-1")
    assert book.faults() == {"lost"}


def test_what_nobody_sent_is_invented(book: Book) -> None:
    book.gets("p-1")
    assert book.faults() == {"invented"}


def test_the_time_to_full_delivery_counts_from_the_end_of_the_fault(book: Book) -> None:
    book.sends("p-1")
    book.ledger.healed_at = book.now + 0.5
    book.gets("p-1")
    book.sends("p-2")
    book.gets("p-2")
    assert book.ledger.full_after_s() == 0.5


def test_what_came_before_the_end_took_no_time(book: Book) -> None:
    book.sends("p-1")
    book.gets("p-1")
    book.ledger.healed_at = book.now + 1
    assert book.ledger.full_after_s() == 0


def test_who_comes_late_does_not_count_for_the_fault(book: Book) -> None:
    book.sends("p-1")
    book.gets("p-1")
    book.ledger.healed_at = book.now
    late = Diary("late", SID)
    book.ledger.diaries.append(late)
    late.begin(at=book.now + 5, recovered=None)
    late.take({"id": "p-1", "message": "value of p-1"}, at=book.now + 7)
    assert book.ledger.full_after_s() == 0
    assert book.ledger.back_after_s() == 2


def test_the_complete_position_is_the_highest_number_of_each_publisher(book: Book) -> None:
    for name in ("a-b-1", "a-b-3", "q-7"):
        book.gets(name)
    assert sorted(book.diary.after) == ["a-b-3", "q-7"]
