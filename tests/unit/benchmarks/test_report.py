import io
import json

import pytest
from rich.console import Console

from benchmarks.report import Breakdown, Figure, Report, milliseconds_table, percentile


def test_the_json_object_has_the_form_that_was_promised():
    report = Report("roundtrip")
    report.add("overhead_p50", 0.0834567, "s", 0.35, "<= 0.1")
    report.add("central_3", 2.0, "s", 1.5)
    line = report.json_line()
    assert "\n" not in line
    assert json.loads(line) == {
        "bench": "roundtrip",
        "figures": {
            "overhead_p50": {"value": 0.083457, "unit": "s", "floor": 0.35, "expected": "<= 0.1", "met": True},
            "central_3": {"value": 2.0, "unit": "s", "floor": 1.5, "expected": None, "met": None},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "floor", "expected", "met"),
    [
        (0.1, 0.0, "<= 0.1", True),
        (0.1001, 0.0, "<= 0.1", False),
        (5.0, 4.0, "<= 1.25 x floor", True),
        (5.01, 4.0, "<= 1.25 x floor", False),
        (8.0, 10.0, ">= 0.8 x floor", True),
        (7.9, 10.0, ">= 0.8 x floor", False),
        (200.0, 0.0, ">= 200", True),
        (7.9, 10.0, None, None),
    ],
)
def test_an_expectation_is_a_limit_or_a_share_of_the_floor(value, floor, expected, met):
    assert Figure(value, "s", floor, expected).met is met


@pytest.mark.parametrize("expected", ["fast", "< 1", "<= 1 s", "<= floor", "<=1"])
def test_an_expectation_that_cannot_be_judged_is_refused(expected):
    with pytest.raises(ValueError, match="no expectation"):
        Figure(1.0, "s", 1.0, expected)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_figure_is_a_number(wrong):
    with pytest.raises(ValueError, match="is a number"):
        Figure(wrong, "s", 1.0)
    with pytest.raises(ValueError, match="is a number"):
        Figure(1.0, "s", wrong)


def test_a_key_names_one_figure():
    report = Report("seal")
    report.add("seal", 1.0, "GB/s", 1.0)
    with pytest.raises(ValueError, match="two figures"):
        report.add("seal", 2.0, "GB/s", 1.0)


def test_the_table_shows_what_was_missed():
    report = Report("hub")
    report.add("list", 150.0, "requests/s", 1500.0)
    report.add("submit", 3.5, "s", 1.0, "<= 2")
    report.breakdowns.append(Breakdown("where it goes", ("phase", "ms"), [("open", "1.5")]))
    report.notes.append("measured on a busy machine")
    shown = io.StringIO()
    report.show(Console(file=shown, width=120))
    text = shown.getvalue()
    assert "1,500" in text
    assert "NO" in text
    assert "where it goes" in text
    assert "- measured on a busy machine" in text


def test_a_percentile_is_one_of_the_values():
    values = [float(one) for one in range(1, 31)]
    assert percentile(values, 0) == 1.0
    assert percentile(values, 50) == 15.0
    assert percentile(values, 95) == 29.0
    assert percentile(values, 99) == 30.0
    assert percentile(values, 100) == 30.0
    assert percentile([3.0], 99) == 3.0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_what_has_no_percentile_is_refused(values, percent):
    with pytest.raises(ValueError, match="percent"):
        percentile(values, percent)


def test_phases_are_shown_in_milliseconds_and_those_that_never_came_are_left_out():
    table = milliseconds_table("node", {"open": [0.001, 0.002, 0.003], "never": []})
    assert table.rows == [("open", "2.0", "3.0", "3")]
