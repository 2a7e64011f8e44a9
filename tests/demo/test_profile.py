"""The profiler against the statistics module, on small tables and on large ones."""

import csv
import io
import multiprocessing
import resource
import statistics
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_ws.demo.cells import Kind
from progress_ws.demo.column import ColumnProfile, histogram, quantile
from progress_ws.demo.csvfile import NotCsvError, inspect
from progress_ws.demo.profile import Profile, profile


def profiled(content: str | bytes, *, seen: list[tuple[int, int]] | None = None) -> Profile:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    form = inspect(file, progress=lambda _: None)
    found = [] if seen is None else seen
    return profile(file, form, progress=lambda rows, expected: found.append((rows, expected)))


def column_of(values: Iterable[object]) -> ColumnProfile:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "value"])
    writer.writerows([f"row {place}", value] for place, value in enumerate(values))
    return profiled(text.getvalue()).columns[1]


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=200))
def test_integers_are_described_as_the_statistics_module_does(numbers: list[int]) -> None:
    column = column_of(numbers)
    assert column.kind is Kind.INTEGER
    assert column.numbers is not None
    assert column.numbers.exact
    assert (column.numbers.low, column.numbers.high) == (min(numbers), max(numbers))
    assert column.numbers.mean == pytest.approx(statistics.fmean(numbers), abs=1e-6)
    assert column.numbers.deviation == pytest.approx(statistics.pstdev(numbers), abs=1e-3)
    assert column.distinct == (len(set(numbers)), True)
    assert sum(each.share for each in column.numbers.bins) == pytest.approx(1)


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=200))
def test_quantiles_are_those_of_the_statistics_module(numbers: list[float]) -> None:
    numbers.sort()
    cuts = statistics.quantiles(numbers, n=20, method="inclusive")
    for place, cut in enumerate(cuts, start=1):
        assert quantile(numbers, place / 20) == pytest.approx(cut, rel=1e-6, abs=1e-6)


@given(
    st.lists(st.floats(-1e9, 1e9) | st.integers(-50, 50), min_size=1, max_size=100), st.booleans()
)
def test_every_number_is_in_one_bin(numbers: list[float], whole: bool) -> None:
    numbers = sorted(map(int, numbers)) if whole else sorted(numbers)
    bins = histogram(numbers, low=numbers[0], high=numbers[-1], whole=whole)
    assert len(bins) <= 25
    assert sum(each.share for each in bins) == pytest.approx(1)
    for before, after in pairwise(bins):
        assert before.high == after.low


def test_few_integers_get_a_bin_each() -> None:
    bins = histogram([1, 1, 2, 5], low=1, high=5, whole=True)
    assert [(each.low, each.share) for each in bins] == [
        (1, 0.5),
        (2, 0.25),
        (3, 0),
        (4, 0),
        (5, 0.25),
    ]


@pytest.mark.parametrize(
    ("values", "kind", "odd"),
    [
        (["1", "2", "3"], Kind.INTEGER, 0),
        (["1", "2.5", ""], Kind.DECIMAL, 0),
        (["1"] * 99 + ["many"], Kind.INTEGER, 1),
        (["1"] * 50 + ["many"] * 50, Kind.TEXT, 0),
        (["2024-01-02", "03.04.2024", "NA"], Kind.DATE, 0),
        (["yes", "No", "TRUE"], Kind.BOOLEAN, 0),
        (["", "n/a", "NULL"], Kind.MISSING, 0),
        (["Łódź", "Zürich"], Kind.TEXT, 0),
    ],
)
def test_a_column_has_the_kind_of_nearly_all_of_its_values(
    values: list[str], kind: Kind, odd: int
) -> None:
    column = column_of(values)
    assert (column.kind, column.odd) == (kind, odd)


def test_missing_values_are_counted_and_not_described() -> None:
    column = column_of(["a", "", "a", "N/A", "bb"])
    assert (column.cells, column.missing) == (5, 2)
    assert column.top == (("a", 2), ("bb", 1))
    assert column.lengths == pytest.approx((1, 2, 4 / 3))


def test_rows_of_another_length_are_counted_and_read_as_far_as_they_go() -> None:
    table = profiled("a,b,c\n1,2,3\n4,5\n6,7,8,9\n\n1,1,1\n")
    assert (table.rows, table.ragged) == (4, 2)
    assert [column.missing for column in table.columns] == [0, 0, 1]


def test_names_that_are_missing_are_numbered() -> None:
    table = profiled("name,\nx,1\ny,2\n")
    assert [column.name for column in table.columns] == ["name", "Column 2"]


@pytest.mark.parametrize(
    ("content", "has_header"),
    [
        ("name,age\nAda,36\n", True),
        ("Ada,36\nAlan,41\n", False),
        ("2019,2020\n1,2\n", False),
        ("id,2019\n1,5\n2,6\n", True),
        ("x,y\n1,2\n", True),
        ("id,n\na,1\n", True),
        ("Ada,yes,36\nAlan,no,41\n", False),
        ("Berlin,Paris\nKyoto,Łódź\n", True),
    ],
)
def test_a_header_is_told_from_data(content: str, has_header: bool) -> None:
    table = profiled(content)
    assert table.has_header is has_header
    assert table.rows == content.count("\n") - has_header


def test_progress_knows_the_number_of_rows_beforehand() -> None:
    seen: list[tuple[int, int]] = []
    profiled("a,b\n" + "x,y\n" * 10_000, seen=seen)
    assert [rows for rows, _ in seen] == [1999, 3999, 5999, 7999, 9999, 10_000]
    assert {expected for _, expected in seen} == {10_000}


def test_progress_never_goes_back_where_rows_have_many_lines() -> None:
    seen: list[tuple[int, int]] = []
    short, long = "x,y\n" * 5000, '"x\nx\nx",y\n' * 5000
    profiled(f"a,b\n{short}{long}{short}", seen=seen)
    shares = [rows / expected for rows, expected in seen]
    assert shares == sorted(shares)
    assert seen[-1] == (15_000, 15_000)


def test_a_file_with_a_header_alone_is_no_table() -> None:
    with pytest.raises(NotCsvError, match="no rows"):
        profiled("a,b,c\n")


def test_text_with_commas_is_no_table() -> None:
    prose = "\n".join("word, " * length for length in range(1, 40))
    with pytest.raises(NotCsvError, match="not a table: its rows have between 2 and 40 cells"):
        profiled(prose)


def write_large(path: Path, *, thousands: int) -> None:
    random = Random(7)
    with path.open("wb") as file:
        file.write(b"id,amount,city,note\n")
        for row in range(thousands * 1000):
            note = random.randbytes(40).hex().encode()
            file.write(b"%d,%.4f,city %d,%s\n" % (row, random.gauss(100, 15), row % 50, note))


def measured(path: Path) -> tuple[Profile, int]:
    """Profile a file in a process of its own; also return its peak memory in bytes."""
    with path.open("rb") as file:
        form = inspect(file, progress=lambda _: None)
        table = profile(file, form, progress=lambda *_: None)
    return table, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.slow
def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    paths = (tmp_path / "small.csv", tmp_path / "large.csv")
    for path, thousands in zip(paths, (40, 100), strict=True):
        write_large(path, thousands=thousands)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, max_tasks_per_child=1) as pool:
        (_, small), (table, large) = pool.map(measured, paths)
    assert table.rows == 100_000
    assert large - small < 5_000_000  # the file is 7 MB larger, as strings 20 MB
    ids, amount, city, note = table.columns
    assert ids.distinct.value == pytest.approx(100_000, rel=6 / 16_384**0.5)
    assert amount.numbers is not None
    assert not amount.numbers.exact
    assert amount.numbers.mean == pytest.approx(100, abs=0.3)
    assert amount.numbers.quantiles[2] == pytest.approx(100, abs=1)
    assert city.distinct == (50, True)
    assert city.top[0][1] == 2000
    assert note.top == ()
