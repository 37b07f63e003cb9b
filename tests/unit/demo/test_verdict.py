"""When the demo says that everything holds, and what its object looks like."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from demo import comparison, pooled
from demo.analyses import METHODS, POSITIVE, RIDGE, TARGET
from demo.confidential import secrets
from demo.needles import Secret
from demo.places import HubFiles
from demo.report import HubSaw, Part, Report
from demo.search import Finding, Searched
from demo.story import Data

SECRET = Secret("column", "worst_radius")
FOUND = Finding(SECRET, "UTF-8", "somewhere")
TRUTH = pooled.Moments(np.array([14.0, 0.1]), np.array([3.0, 0.01]), np.array([1.0, 1.0]))
FIT = pooled.Logistic(np.array([0.5, 1.0, -1.0]), np.zeros(3))
ANSWER: dict[str, Any] = {"columns": ["b", "a"], "mean": [0.1, 14.0], "std": [0.01, 3.0]}
FITTED: dict[str, Any] = {
    "columns": ["b", "a"],
    "intercept": 0.5,
    "coefficients": [-1.0, 1.0],
    "converged": True,
    "rounds": 7,
}


def report(**saw: Any) -> Report:
    moments = comparison.moments("a", ANSWER, ["a", "b"], TRUTH)
    logistic = comparison.logistic("c", FITTED, ["a", "b"], FIT)
    hub_saw = HubSaw(
        **{
            "searched": [SECRET],
            "not_searched": [Secret("result", 190.0)],
            "sealed": Searched(),
            "control": Searched([FOUND]),
            "visible": ["states: 45 completed"],
            **saw,
        }
    )
    parts = {"central": Part(moments, 1.5), "workflow": Part(moments, 1.0), "logistic": Part(logistic, 2.0, rounds=7)}
    return Report("docker", 3, parts, hub_saw, 10.0, 20.0, [("questions", 3.0)])


def shown(of: Report) -> str:
    console = Console(file=io.StringIO(), width=200)
    of.show(console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_columns_in_another_order_are_the_same_answer() -> None:
    assert comparison.moments("a", ANSWER, ["a", "b"], TRUTH).difference == 0
    assert comparison.logistic("c", FITTED, ["a", "b"], FIT).difference == 0


@pytest.mark.parametrize(("factor", "holds"), [(1 + 5e-10, True), (1 + 2e-9, False), (float("nan"), False)])
def test_moments_must_be_equal_to_a_billionth(factor: float, holds: bool) -> None:
    answer = {**ANSWER, "mean": [0.1, 14.0 * factor]}
    assert comparison.moments("a", answer, ["a", "b"], TRUTH).holds is holds


@pytest.mark.parametrize(("step", "holds"), [(5e-7, True), (2e-6, False), (float("nan"), False)])
def test_coefficients_must_be_equal_to_a_millionth(step: float, holds: bool) -> None:
    answer = {**FITTED, "coefficients": [-1.0 + step, 1.0]}
    assert comparison.logistic("c", answer, ["a", "b"], FIT).holds is holds


def test_a_regression_that_did_not_converge_does_not_hold() -> None:
    assert not comparison.logistic("c", {**FITTED, "converged": False}, ["a", "b"], FIT).holds


def test_the_object_is_the_one_that_was_promised() -> None:
    assert json.loads(report().to_json()) == {
        "executor": "docker",
        "sealed": True,
        "nodes": 3,
        "parts": {
            "central": {"max_relative_difference": 0.0, "seconds": 1.5},
            "workflow": {"max_relative_difference": 0.0, "seconds": 1.0},
            "logistic": {"max_difference": 0.0, "rounds": 7, "seconds": 2.0},
        },
        "hub_saw": {"searched": 1, "control_found": 1, "findings": 0, "visible": ["states: 45 completed"]},
        "setup_seconds": 10.0,
        "seconds": 20.0,
    }


def test_it_holds_if_nothing_was_found_and_the_control_found_everything() -> None:
    assert report().holds
    assert "Everything holds" in shown(report())


@pytest.mark.parametrize(
    ("saw", "words"),
    [
        ({"sealed": Searched([FOUND])}, "column worst_radius as UTF-8 in somewhere"),
        ({"control": Searched()}, "Missed: column worst_radius"),
        ({"searched": [], "control": Searched()}, "does not hold"),
    ],
    ids=["a finding", "a blind control", "nothing searched"],
)
def test_otherwise_it_does_not_and_says_why(saw: dict[str, Any], words: str) -> None:
    assert not report(**saw).holds
    assert words in shown(report(**saw))


def test_a_wrong_answer_alone_is_enough() -> None:
    good = report()
    wrong = comparison.moments("a", {**ANSWER, "std": [0.02, 3.0]}, ["a", "b"], TRUTH)
    bad = replace(good, parts={**good.parts, "workflow": Part(wrong, 1.0)})
    assert not bad.holds
    assert "DIFFERENT" in shown(bad)


def test_the_secrets_are_methods_arguments_columns_and_every_result(tmp_path: Path) -> None:
    data = Data.dealt(tmp_path, 3)
    searched, short = secrets(data.parts, data.whole)
    by_kind = {kind: {secret.value for secret in searched if secret.kind == kind} for kind in
               ("method", "argument", "column", "result")}  # fmt: skip
    assert by_kind["method"] == set(METHODS)
    assert {TARGET, POSITIVE, RIDGE} <= by_kind["argument"] and len(by_kind["argument"]) == 34
    assert by_kind["column"] == set(data.whole.columns) and len(by_kind["column"]) == 30
    # 30 means, 30 deviations, 31 coefficients, and 2 x 30 numbers of each hospital; some are round
    assert 265 <= len(by_kind["result"]) <= 271
    assert Secret("result", 190.0) in short  # a number of patients


def test_a_hub_without_files_is_searched_without_complaint(tmp_path: Path) -> None:
    import sqlite3

    sqlite3.connect(tmp_path / "hub.sqlite").close()
    files = HubFiles(tmp_path / "hub.sqlite", tmp_path / "payloads", (), tmp_path / "requests")
    assert len(list(files.pieces())) <= 1
