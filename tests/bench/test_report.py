"""The benchmark's pure half: figures, tables, JSON and pictures."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.report import Report, as_json, figure, save, table
from tests.bench.results import Goal, Result, Row, Run, middle


def a_run(per_s: float, missing: int = 0) -> Run:
    zeros = dict.fromkeys(Run.__dataclass_fields__, 0)
    return Run(**{**zeros, "per_s": per_s, "missing": missing, "deliveries": 10})


def a_report(*results: Result, quick: bool = False) -> Report:
    return Report(results, {"cores": "2"}, {"Python": "3.11"}, quick, 12.3)


W1 = Result(
    "w1",
    "W1: one busy publisher",
    [
        Row("progress-ws", "ours", {"per_s": 84_512.0, "nodes_us": 8.412}),
        Row("peer", "as documented", {"per_s": 675.0, "nodes_us": 1588.0}),
        Row("bare <send>", "reference", {"nodes_us": 19.5}),
    ],
    [
        Goal("× peer", 125.2, 100, at_least=True),
        Goal("µs of all nodes", 8.4, 6.4, unit="µs"),
    ],
    ["A note."],
    bars="per_s",
    unit="messages a second",
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (84_512.0, "84,500"),
        (675.4, "675"),
        (99.96, "100.0"),
        (12.34, "12.3"),
        (8.412, "8.41"),
        (0.083333, "0.083"),
        (0, "0"),
        (-3.14159, "-3.14"),
    ],
)
def test_three_digits_of_a_figure_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_middle_of_rounds_is_their_median_and_what_went_wrong_is_added_up() -> None:
    middle_one = middle([a_run(1, missing=2), a_run(100), a_run(3, missing=1)])
    assert (middle_one.per_s, middle_one.missing, middle_one.deliveries) == (3, 3, 30)


def test_a_goal_is_reached_from_its_own_side() -> None:
    assert Goal("at least", 10, 10, at_least=True).reached
    assert not Goal("at least", 9, 10, at_least=True).reached
    assert Goal("at most", 10, 10).reached
    assert not Goal("at most", 11, 10).reached


def test_the_table_says_how_each_ran_and_how_far_ours_is_ahead() -> None:
    lines = table(a_report(W1)).splitlines()
    (peer,) = (line for line in lines if "as documented" in line)
    cells = [cell.strip() for cell in peer.strip("|").split("|")]
    assert cells == ["peer", "as documented", "675", "1,590", "125"]


def test_what_was_not_measured_is_a_dash() -> None:
    (bare,) = (line for line in table(a_report(W1)).splitlines() if "bare" in line)
    assert [cell.strip() for cell in bare.strip("|").split("|")][2:] == ["–", "19.5", "–"]


def test_the_table_says_where_a_goal_is_missed() -> None:
    lines = table(a_report(W1)).splitlines()
    assert next(line for line in lines if "× peer" in line).endswith("| yes     |")
    assert next(line for line in lines if "µs of all nodes" in line).endswith("| no      |")


def test_all_lines_of_a_table_are_as_long() -> None:
    rows = [line for line in table(a_report(W1)).splitlines() if line.startswith("|")]
    goals = next(n for n, row in enumerate(rows) if "scenario" in row)
    assert len({len(row) for row in rows[:goals]}) == 1
    assert len({len(row) for row in rows[goals:]}) == 1


def test_a_glance_and_a_busy_machine_are_told() -> None:
    busy = Result("w1", "W1", [Row("progress-ws", "ours", {"per_s": 1, "others_cores": 1.5})])
    text = table(a_report(busy, quick=True))
    assert text.startswith("A glance")
    assert "other programs used 1.50 cores" in text
    assert "other programs" not in table(a_report(W1))


def test_a_scenario_that_failed_says_why() -> None:
    assert "It failed: no browser" in table(a_report(Result("w1", "W1", [], failed="no browser")))


def test_the_json_has_every_value_and_whether_goals_are_reached() -> None:
    value = json.loads(json.dumps(as_json(a_report(W1))))
    (result,) = value["results"]
    assert result["rows"][0]["figures"]["per_s"] == 84_512.0
    assert [goal["reached"] for goal in result["goals"]] == [True, False]


def test_the_pictures_are_well_formed_in_both_colour_schemes(tmp_path: Path) -> None:
    save(a_report(W1), tmp_path)
    for name in ("bench.svg", "bench-dark.svg"):
        picture = (tmp_path / name).read_text()
        ElementTree.fromstring(picture)
        assert "84,512" in picture
        assert "bare" not in picture  # it has no bar
    assert json.loads((tmp_path / "bench.json").read_text())["quick"] is False


def test_the_longest_bar_is_the_greatest_figure(tmp_path: Path) -> None:
    save(a_report(W1), tmp_path)
    tree = ElementTree.fromstring((tmp_path / "bench.svg").read_text())
    widths = [float(each.get("width", 0)) for each in tree.iter() if each.get("rx") == "4"]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 2


def test_without_figures_there_is_no_picture(tmp_path: Path) -> None:
    save(a_report(Result("idle", "Idle", [Row("a", "ours", {"kib": 1})])), tmp_path)
    assert not (tmp_path / "bench.svg").exists()
