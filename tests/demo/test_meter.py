"""What browsers are told of a job, and how often."""

from typing import Any

import pytest

from progress_ws.demo.meter import INTERVAL_S, Meter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def updates() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def meter(clock: Clock, updates: list[dict[str, Any]]) -> Meter:
    meter = Meter(updates.append, title="orders.csv", clock=clock)
    updates.clear()
    return meter


def test_a_phase_is_told_at_once(meter: Meter, updates: list[dict[str, Any]]) -> None:
    meter.begin("Reading", total=100, unit="rows", text="worker 1")
    assert updates == [
        {
            "kind": "progress",
            "state": "running",
            "title": "orders.csv",
            "phase": "Reading",
            "unit": "rows",
            "text": "worker 1",
            "current": 0,
            "total": 100,
            "elapsed_s": 0,
        }
    ]


def test_an_unknown_total_is_left_out(meter: Meter, updates: list[dict[str, Any]]) -> None:
    meter.begin("Writing")
    assert "total" not in updates[-1]
    assert "eta_s" not in updates[-1]


def test_at_most_ten_updates_a_second_leave(
    meter: Meter, clock: Clock, updates: list[dict[str, Any]]
) -> None:
    meter.begin("Reading", total=10_000)
    for step in range(10_000):
        clock.now += 0.001
        meter.advance(step)
    assert 10 / INTERVAL_S * 0.9 <= len(updates) <= 10 / INTERVAL_S + 1


def test_the_time_left_follows_the_pace_of_the_last_seconds(
    meter: Meter, clock: Clock, updates: list[dict[str, Any]]
) -> None:
    meter.begin("Reading", total=10_000)
    current = 0.0
    for pace in (100, 100, 100, 10, 10, 10, 10, 10, 10):
        for _ in range(20):
            clock.now += 0.2
            current += pace / 5
            meter.advance(current)
        if current == 400:
            assert updates[-1]["rate"] == pytest.approx(100)
            assert updates[-1]["eta_s"] == pytest.approx(96)
    assert updates[-1]["rate"] == pytest.approx(10, rel=0.1)
    assert updates[-1]["eta_s"] == pytest.approx((10_000 - current) / 10, rel=0.1)


def test_no_time_left_is_told_before_it_means_something(
    meter: Meter, clock: Clock, updates: list[dict[str, Any]]
) -> None:
    meter.begin("Reading", total=1000)
    clock.now += 0.5
    meter.advance(10)
    assert "eta_s" not in updates[-1]


def test_a_total_that_turns_out_larger_is_told(
    meter: Meter, clock: Clock, updates: list[dict[str, Any]]
) -> None:
    meter.begin("Reading", total=100)
    clock.now += 1
    meter.advance(50, 200)
    assert (updates[-1]["current"], updates[-1]["total"]) == (50, 200)


def test_the_end_is_told_with_the_result(meter: Meter, clock: Clock) -> None:
    clock.now += 2
    assert meter.done(total=7, unit="rows", text="7 rows", href="/report") == {
        "kind": "progress",
        "state": "done",
        "title": "orders.csv",
        "current": 7,
        "total": 7,
        "unit": "rows",
        "text": "7 rows",
        "href": "/report",
        "elapsed_s": 2,
    }
    assert meter.failed("No.") == {
        "kind": "progress",
        "state": "failed",
        "title": "orders.csv",
        "error": "No.",
        "elapsed_s": 2,
    }
