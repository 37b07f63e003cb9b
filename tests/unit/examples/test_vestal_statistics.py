"""The example algorithm against oracles: the same figures, computed directly on the joined data."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vestal_statistics.table import TooFewRows, UnknownColumn
from vestal_statistics.trivial import ones

from algorithm_base import AlgorithmError
from algorithm_base.data import typed_rows
from algorithm_base.named_inputs import read_index
from algorithm_base.perform import Order, Surroundings, perform
from algorithm_base.registry import method_of
from algorithm_base.testing import Federation
from examples.split import split

WDBC = Path(__file__).parents[3] / "examples/data/wdbc.csv"
ALGORITHM = "vestal_statistics.algorithm"
RELATIVE = 1e-9


@pytest.fixture(scope="module")
def pooled():
    return pd.read_csv(WDBC)


@pytest.fixture(params=[(3, "pandas"), (5, "pandas"), (3, "rows")], ids=lambda p: f"{p[0]} nodes, {p[1]}")
def federation(request, pooled):
    nodes, form = request.param
    if form == "pandas":
        return Federation([{"default": pooled.iloc[part]} for part in split(range(569), nodes)], ALGORITHM)
    with WDBC.open(newline="") as file:
        rows = typed_rows(csv.DictReader(file))
    return Federation([{"default": part} for part in split(rows, nodes)], ALGORITHM)


def assert_pooled_moments(found, pooled):
    features = pooled.drop(columns="diagnosis")
    table = features.to_numpy()
    assert found["columns"] == list(features.columns)
    assert found["n"] == [569] * 30
    np.testing.assert_allclose(found["mean"], table.mean(axis=0), rtol=RELATIVE)
    np.testing.assert_allclose(found["std"], table.std(axis=0, ddof=1), rtol=RELATIVE)


def test_central_moments_equal_the_pooled_ones(federation, pooled):
    found = federation.run("central_moments")
    assert_pooled_moments(found, pooled)
    assert found["organizations"] == len(federation.organizations)
    assert federation.progress[-1] == (1, 90)


def test_the_two_step_workflow_gives_the_same_as_the_central_function(federation, pooled):
    parts = federation.run_all("partial_moments")
    combined = federation.run("combine_moments", gathered={"parts": parts})
    assert_pooled_moments(combined, pooled)
    assert combined == federation.run("central_moments")


def test_chosen_columns_in_the_order_asked(federation, pooled):
    found = federation.run("central_moments", columns=["worst_area", "mean_radius"])
    assert found["columns"] == ["worst_area", "mean_radius"]
    assert found["mean"][1] == pytest.approx(pooled["mean_radius"].mean(), rel=RELATIVE)


def test_some_organizations_only(federation):
    some = federation.run("central_moments", organizations=[3, 1])
    assert some["organizations"] == 2
    assert some["n"][0] < 569


def logistic_oracle(pooled, ridge):
    """Plain Newton on the joined data, written apart from the algorithm."""
    table = pooled.drop(columns="diagnosis").to_numpy()
    design = np.column_stack([np.ones(569), (table - table.mean(axis=0)) / table.std(axis=0, ddof=1)])
    outcome = (pooled["diagnosis"] == "malignant").to_numpy(dtype=float)
    penalty = np.diag([0.0] + [ridge] * 30)
    beta = np.zeros(31)
    for _ in range(60):
        chance = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (chance - outcome) + penalty @ beta
        hessian = design.T @ np.diag(chance * (1 - chance)) @ design + penalty
        beta = beta - np.linalg.solve(hessian, gradient)
    assert np.max(np.abs(gradient)) < 1e-9
    return beta


@pytest.mark.parametrize("ridge", [1.0, 0.05])
def test_logistic_coefficients_equal_the_pooled_ones(federation, pooled, ridge):
    found = federation.run("central_logistic", target="diagnosis", positive="malignant", ridge=ridge)
    expected = logistic_oracle(pooled, ridge)
    assert found["converged"]
    assert 3 < found["rounds"] < 25
    assert found["n"] == 569
    assert abs(found["intercept"] - expected[0]) < 1e-6
    np.testing.assert_allclose(found["coefficients"], expected[1:], rtol=0, atol=1e-6)
    assert max(percent for _, percent in federation.progress) == 99


def test_too_few_rounds_are_told_and_not_hidden(federation):
    found = federation.run("central_logistic", target="diagnosis", positive="malignant", max_rounds=3)
    assert (found["converged"], found["rounds"]) == (False, 3)


def test_a_step_that_makes_it_worse_is_halved():
    """Full Newton steps overshoot here: sqrt(1 + x^2) from far away."""
    from vestal_statistics.logistic import Derivatives, newton

    def at(beta):
        x = beta[0] - 5.0
        root = np.sqrt(1 + x * x)
        return Derivatives(float(root), np.array([x / root]), np.array([[root**-3]]))

    fit = newton(at, 1, 1e-10, 100)
    assert fit.converged
    assert fit.beta[0] == pytest.approx(5.0, abs=1e-8)


# Missing values, hard numbers, refusals


def test_missing_values_count_for_the_features_that_are_there():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    frame.loc[::7, "b"] = np.nan
    federation = Federation([{"default": frame.iloc[n::3]} for n in range(3)], ALGORITHM)
    found = federation.run("central_moments")
    assert found["n"] == frame.count().tolist()
    np.testing.assert_allclose(found["mean"], frame.mean(), rtol=RELATIVE)
    np.testing.assert_allclose(found["std"], frame.std(), rtol=RELATIVE)


def test_incomplete_rows_are_left_out_of_the_regression(pooled):
    frame = pooled[["mean_radius", "mean_texture", "diagnosis"]].copy()
    frame.loc[::9, "diagnosis"] = None
    complete = frame.dropna()
    arguments = {"beta": [0.1, 0.2, 0.3], "mean": [14, 19], "std": [3, 4], "columns": ["mean_radius", "mean_texture"]}
    target = {"target": "diagnosis", "positive": "malignant"}
    found, expected = (
        Federation([{"default": table}], ALGORITHM).run("partial_newton", **arguments, **target)
        for table in (frame, complete)
    )
    assert found == expected
    assert found["n"] == len(complete)


def test_a_large_offset_does_not_spoil_the_deviation():
    values = 1e9 + np.linspace(0, 1, 60)
    federation = Federation([{"default": pd.DataFrame({"x": values[n::3]})} for n in range(3)], ALGORITHM)
    found = federation.run("central_moments")
    assert found["std"][0] == pytest.approx(np.linspace(0, 1, 60).std(ddof=1), rel=1e-6)


@pytest.mark.parametrize("method", ["partial_moments", "central_moments"])
def test_fewer_than_ten_rows_are_refused(pooled, method):
    federation = Federation([{"default": pooled.iloc[:9]}, {"default": pooled.iloc[9:]}], ALGORITHM)
    with pytest.raises(TooFewRows, match="at least 10 rows"):
        federation.run(method)


def test_a_column_with_fewer_than_ten_values_is_refused(pooled):
    sparse = pooled[["mean_radius", "mean_area"]].copy()
    sparse.loc[9:, "mean_area"] = np.nan
    with pytest.raises(TooFewRows):
        Federation([{"default": sparse}], ALGORITHM).run("partial_moments")


def test_only_the_data_holder_can_set_another_minimum(pooled, monkeypatch):
    federation = Federation([{"default": pooled.iloc[:9]}], ALGORITHM)
    with pytest.raises(AlgorithmError, match="unexpected keyword argument 'minimum_rows'"):
        federation.run("partial_moments", minimum_rows=1)
    monkeypatch.setenv("MINIMUM_ROWS", "5")
    assert federation.run("partial_moments")["n"][0] == 9


def test_a_column_that_is_missing_or_no_number_is_named(pooled):
    federation = Federation([{"default": pooled}], ALGORITHM)
    for column in ("height", "diagnosis"):
        with pytest.raises(UnknownColumn, match=f"no numeric column '{column}'"):
            federation.run("central_moments", columns=[column])


def test_different_columns_at_different_places_are_refused(pooled):
    nodes = [{"default": pooled[["mean_radius", "mean_area"]]}, {"default": pooled[["mean_radius"]]}]
    with pytest.raises(AlgorithmError, match="different numeric columns: name the columns to use"):
        Federation(nodes, ALGORITHM).run("central_moments")


def test_a_constant_column_cannot_be_standardised(pooled):
    frame = pooled[["mean_radius", "diagnosis"]].assign(same=1.0)
    with pytest.raises(AlgorithmError, match="the same in every row everywhere"):
        Federation([{"default": frame}], ALGORITHM).run("central_logistic", target="diagnosis", positive="malignant")


# Trivial methods


def test_echo_and_echo_everywhere():
    federation = Federation([{}, {}, {}], ALGORITHM)
    assert federation.run("echo", {"a": [1, None]}) == {"a": [1, None]}
    assert federation.run("echo_everywhere", "x") == ["x"] * 3


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) + 5])
def test_ones_are_as_many_as_asked(size_bytes):
    contents = Federation([{}], ALGORITHM)._perform(method_of(ones), Order("ones", [size_bytes], {}), 1, None, {})
    assert contents["default"] == b"1" * size_bytes


def test_a_large_result_takes_little_memory(tmp_path):
    around = Surroundings({}, read_index(None), lambda: None, lambda _: None, tmp_path / "out", None)
    tracemalloc.start()
    try:
        perform(method_of(ones), Order("ones", [], {"size_bytes": 64 << 20}), around)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out").stat().st_size == 64 << 20
