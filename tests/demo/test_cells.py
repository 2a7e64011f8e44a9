"""What a cell is."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.demo.cells import CellReader, Kind, day_comes_first

reader = CellReader()


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("", Kind.MISSING),
        ("  ", Kind.MISSING),
        ("N/A", Kind.MISSING),
        ("null", Kind.MISSING),
        ("-", Kind.MISSING),
        ("0", Kind.INTEGER),
        (" -12 ", Kind.INTEGER),
        ("+7", Kind.INTEGER),
        ("007", Kind.TEXT),
        ("1234567890123456789", Kind.TEXT),
        ("1_000", Kind.TEXT),
        ("١٢", Kind.TEXT),
        ("3.", Kind.DECIMAL),
        (".5", Kind.DECIMAL),
        ("-1.5e-3", Kind.DECIMAL),
        ("2e5", Kind.DECIMAL),
        ("1e999", Kind.TEXT),
        ("1,5", Kind.TEXT),
        ("inf", Kind.TEXT),
        ("+", Kind.TEXT),
        ("12 kg", Kind.TEXT),
        ("Yes", Kind.BOOLEAN),
        ("false", Kind.BOOLEAN),
        ("falsely", Kind.TEXT),
        ("2024-02-29", Kind.DATE),
        ("2023-02-29", Kind.TEXT),
        ("2024/02/29 10:30", Kind.DATE),
        ("2024-02-29T10:30:00Z", Kind.DATE),
        ("29.02.2024", Kind.DATE),
        ("2/29/2024", Kind.DATE),
        ("29/2/2024", Kind.TEXT),
        ("192.168.0.1", Kind.TEXT),
    ],
)
def test_each_cell_has_the_kind_that_a_person_would_give_it(cell: str, kind: Kind) -> None:
    assert reader.read(cell)[0] is kind


def test_a_comma_is_decimal_only_where_the_file_says_so() -> None:
    assert CellReader(decimal_comma=True).read("-1,25") == (Kind.DECIMAL, -1.25)


def test_a_date_with_slashes_follows_the_order_of_its_column() -> None:
    seconds = CellReader(day_first=True).read("3/4/2024")[1]
    assert seconds == datetime(2024, 4, 3, tzinfo=UTC).timestamp()
    seconds = CellReader(day_first=False).read("3/4/2024")[1]
    assert seconds == datetime(2024, 3, 4, tzinfo=UTC).timestamp()


def test_the_order_of_a_column_shows_in_a_day_that_is_no_month() -> None:
    assert day_comes_first(["1/2/2024", "x", "31/1/2024"])
    assert not day_comes_first(["1/2/2024", "31.1.2024", "1/31/2024"])


def test_a_time_zone_counts() -> None:
    zone = timezone(timedelta(hours=8))
    moment = datetime(2024, 5, 6, 7, 8, tzinfo=zone)
    assert reader.read("2024-05-06 07:08+08:00") == (Kind.DATE, moment.timestamp())


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_integers_are_read_exactly(number: int) -> None:
    assert reader.read(str(number)) == (Kind.INTEGER, number)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100))
def test_decimals_are_read_as_python_reads_them(number: float) -> None:
    assert reader.read(repr(number)) == (Kind.DECIMAL, number)


@given(st.datetimes())
def test_dates_are_read_as_python_reads_them(moment: datetime) -> None:
    assert reader.read(moment.isoformat()) == (Kind.DATE, moment.replace(tzinfo=UTC).timestamp())


@given(st.text())
def test_any_text_is_something(cell: str) -> None:
    assert reader.read(cell)[0] in Kind
