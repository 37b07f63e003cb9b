"""A federation in one process."""

from __future__ import annotations

import sys

import pytest

from algorithm_base import (
    AlgorithmError,
    DataFrame,
    Outputs,
    OutputStream,
    Peers,
    inputs,
    method,
    progress,
    source,
    sources,
)
from algorithm_base.errors import InputError, OrderError, OutputError, SourceError
from algorithm_base.testing import Federation


@method
def partial_sum(data: DataFrame = source(), *, column: str):
    return {"n": len(data), "sum": sum(row[column] for row in data)}


@method
def mean(peers: Peers, column: str, organizations=None):
    parts = peers.call(partial_sum, column=column, organizations=organizations)
    progress(100)
    return sum(part["sum"] for part in parts) / sum(part["n"] for part in parts)


@method
def mean_by_name(peers: Peers, column: str):
    return sum(part["sum"] for part in peers.call("partial_sum", column=column))


@method
def nested(peers: Peers):
    return peers.call(mean, "age", organizations=[2]) + [peers.organization_id]


@method
def spoil(data: DataFrame = source()):
    data.clear()
    return len(data)


@method
def labels(everything=sources(), first=source(), second=source(), named=source("b", read=False)):
    return [list(everything), first, second, named.label]


@method
def finish(
    parts=inputs("parts"), by_organization=inputs("parts", by_organization=True), start=inputs("start", default=0)
):
    return Outputs(sum(parts) + start, who=by_organization)


@method
def stream(output: OutputStream, size: int):
    for _ in range(size):
        output.write(b"\xff")


@method
def stream_and_return(output: OutputStream):
    return 1


@method
def fails():
    raise ZeroDivisionError


NODES = [{"default": [{"age": 30}, {"age": 40}]}, {"default": [{"age": 80}]}, {"default": [{"age": 50}]}]


@pytest.fixture
def federation():
    return Federation(NODES, algorithm=sys.modules[__name__])


def test_a_central_function_over_all(federation):
    assert federation.run("mean", column="age") == 50
    assert federation.run(mean, "age", organizations=[1, 2]) == 50
    assert federation.progress == [(1, 100), (1, 100)]


def test_a_subtask_may_be_called_by_name(federation):
    assert federation.run("mean_by_name", "age") == 200


def test_without_an_algorithm_functions_and_what_stands_beside_them_can_be_called():
    federation = Federation(NODES)
    assert federation.run(mean_by_name, "age") == 200
    assert federation.run("mean_by_name", "age") == 200


def test_run_all_gives_every_organizations_answer_in_order(federation):
    assert federation.run_all("partial_sum", column="age") == [
        {"n": 2, "sum": 70},
        {"n": 1, "sum": 80},
        {"n": 1, "sum": 50},
    ]


def test_subtasks_of_subtasks(federation):
    assert federation.run("nested", at=3) == [50, 3]


def test_a_run_cannot_spoil_the_data_of_the_next(federation):
    assert federation.run(spoil) == 0
    assert federation.run(partial_sum, column="age")["n"] == 2


def test_sources_by_label_and_by_order():
    federation = Federation([{"a": "A", "b": "B", "c": "C"}])
    assert federation.run(labels) == [["a", "b", "c"], "A", "B", "b"]
    assert federation.run(labels, data=["c", "b"]) == [["c", "b"], "C", "B", "b"]


def test_sources_that_were_not_asked_for_are_named():
    federation = Federation([{"a": "A", "c": "C"}])
    with pytest.raises(SourceError, match="needs the data source 'b'; the task asked for: a, c"):
        federation.run(labels)
    with pytest.raises(SourceError, match="more data sources than the 1"):
        federation.run(labels, data=["a"])
    with pytest.raises(SourceError, match="organization 1 has no data source 'x'"):
        federation.run(labels, data=["x"])


def test_named_inputs_and_outputs(federation):
    assert federation.run(finish, gathered={"parts": [1, 2]}) == 3
    assert federation.run(finish, gathered={"parts": {3: 5, 2: 6}}, inputs={"start": 100}) == 111
    outputs = federation.run_for_outputs(finish, gathered={"parts": {3: 5, 2: 6}})
    assert outputs == {"default": 11, "who": {"3": 5, "2": 6}}
    with pytest.raises(InputError):
        federation.run(finish)


def test_a_stream_is_the_result(federation):
    assert federation.run(stream, 3) == b"\xff\xff\xff"
    with pytest.raises(OutputError, match="returns nothing"):
        federation.run(stream_and_return)


def test_exceptions_are_shown_to_the_test(federation):
    with pytest.raises(ZeroDivisionError):
        federation.run(fails)


def test_an_argument_that_does_not_survive_json_is_refused(federation):
    with pytest.raises(AlgorithmError, match="set"):
        federation.run(mean, {1, 2})


def test_an_algorithm_can_be_named_by_its_module():
    pytest.importorskip("numpy")
    federation = Federation(NODES, algorithm="vestal_statistics.algorithm")
    assert federation.run("echo", {"a": 1}) == {"a": 1}
    with pytest.raises(OrderError, match=r"no method 'mean' in vestal_statistics\.algorithm"):
        federation.run("mean")


def test_an_organization_that_does_not_exist_is_refused(federation):
    with pytest.raises(OrderError, match="no organization 9: this federation has 1 to 3"):
        federation.run("mean", "age", at=9)
