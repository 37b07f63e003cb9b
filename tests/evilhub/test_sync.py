"""The lying hub answers a node's question with what is no answer: the node complains, runs nothing, and asks again."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.evilhub.evil import WAIT_S, Raw
from tests.evilhub.stage import Stage


def run_with(**changes: Any) -> Callable[[Any], Any]:
    def edit(answer: Any) -> None:
        for run in answer["runs"]:
            run.update(changes)

    return edit


def run_without(name: str) -> Callable[[Any], Any]:
    return lambda answer: [run.pop(name) for run in answer["runs"]] and None


def settings(**changes: Any) -> Callable[[Any], Any]:
    return lambda answer: answer["settings"].update(changes)


def deep(answer: Any) -> None:
    nested: Any = 1
    for _ in range(900):
        nested = {"a": nested}
    answer["runs"][0]["order"] = nested


UNREADABLE: dict[str, Callable[[Any], Any]] = {
    "a list": lambda _: [],
    "null": lambda _: Raw(b"null"),
    "nothing": lambda _: Raw(b""),
    "a number": lambda _: Raw(b"7"),
    "a page of a login": lambda _: Raw(b"<html>log in</html>"),
    "bytes": lambda _: Raw(b"\xff\xfe\x00"),
    "nested for ever": lambda _: Raw(b"[" * 200_000),
    "nested deeply": deep,
    "larger than any answer": lambda _: Raw(b" " * (65 * 2**20)),
    "a number of a million digits": lambda _: Raw(b'{"runs":[' + b"9" * 10**6 + b"]}"),
    "runs: an object": lambda answer: answer.update(runs={}),
    "runs: numbers": lambda answer: answer.update(runs=[1, 2]),
    "cancel: texts": lambda answer: answer.update(cancel=["1"]),
    "cancel: below zero": lambda answer: answer.update(cancel=[-1]),
    "ended_jobs: numbers": lambda answer: answer.update(ended_jobs=[1]),
    "ended_jobs: paths": lambda answer: answer.update(ended_jobs=["../../etc"]),
    "ended_by_newer: a text": lambda answer: answer.update(ended_by_newer="yes"),
    "settings: none": lambda answer: answer.pop("settings") and None,
    "settings: wait_s a text": settings(wait_s="long"),
    "settings: wait_s not a number": lambda _: Raw(b'{"settings":{"lease_s":1,"wait_s":NaN,"inline_limit_bytes":1}}'),
    "settings: wait_s infinite": lambda _: Raw(b'{"settings":{"lease_s":1,"wait_s":1e999,"inline_limit_bytes":1}}'),
    "settings: inline_limit_bytes a text": settings(inline_limit_bytes="x"),
    "run: a text": run_with(run="1"),
    "run: below zero": run_with(run=-1),
    "run: beyond all databases": run_with(run=2**63),
    "task: none": run_with(task=None),
    "job: a path": run_with(job="../../../tmp/x"),
    "job: another case": run_with(job="AB" * 16),
    "organization: a number": run_with(organization=1),
    "collaboration: a text": run_with(collaboration="x"),
    "encrypted: a number": run_with(encrypted=0),
    "path: a list": run_with(path=["main[0]"]),
    "generation: a text": run_with(generation="0"),
    "attempt: a fraction": run_with(attempt=1.5),
    "lease_token: none": run_with(lease_token=None),
    "lease_s: a text": run_with(lease_s="60"),
    "plan: none": run_with(plan=None),
    "plan: without a signature": lambda a: [run["plan"].pop("signature") for run in a["runs"]] and None,
    "plan: key id a path": lambda a: [run["plan"].update(key="../x") for run in a["runs"]] and None,
    "plan: body not base64": lambda a: [run["plan"].update(body="%%%") for run in a["runs"]] and None,
    "statements: an object": run_with(statements={}),
    "supplement: a list": run_with(supplement=[]),
    "order: none": run_with(order=None),
    "order: id a path": lambda a: [run["order"].update(id="../../outbox") for run in a["runs"]] and None,
    "order: size below zero": lambda a: [run["order"].update(bytes_total=-1) for run in a["runs"]] and None,
    "order: bytes not base64": lambda a: [run["order"].update(inline="@@") for run in a["runs"]] and None,
    "inputs: a text": run_with(inputs="all"),
    "without a path": run_without("path"),
    "without an order": run_without("order"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_answer_is_complained_about_and_nothing_runs(
    stage: Stage, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    told, ran_then = threading.Event(), []

    def lie(answer: Any) -> Any:
        if told.is_set() or not isinstance(answer, dict) or not answer.get("runs"):
            return None
        told.set()
        ran_then.append(stage.executions())
        return UNREADABLE[name](answer)

    with caplog.at_level(logging.WARNING), stage.evil.telling(0, "/node/sync$", lie):
        ran = stage.executions()
        job = stage.single(name=name)
        assert job.result(timeout_s=WAIT_S) == {"name": name}  # handed out again, honestly
    assert ran_then == [ran] and stage.executions() == ran + 1
    said = [record for record in caplog.records if record.name == "vnode.poller"]
    assert said and "a sync went wrong" in said[0].getMessage(), said
    assert not any("mistake of the node" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("wait_s", [1e9, 61.0, -5.0, 0.0, 1e300])
def test_the_hub_does_not_decide_how_long_a_node_waits(stage: Stage, wait_s: float) -> None:
    with stage.evil.telling(0, "/node/sync$", lambda answer: answer["settings"].update(wait_s=wait_s)):
        assert stage.single(w=1).result(timeout_s=WAIT_S) == {"w": 1}
        assert 0 <= stage.world.nodes[0].poller._wait_s <= 60
    assert stage.single(w=2).result(timeout_s=WAIT_S) == {"w": 2}


def test_more_runs_than_places_do_not_take_the_machine(stage: Stage) -> None:
    """Forty runs that all are new to the node; it holds twice its places at most."""
    stage.single().results(timeout_s=WAIT_S)
    node = stage.world.nodes[0]
    like, held = stage.evil.archive[-1], []
    told = threading.Event()

    def lie(answer: Any) -> None:
        held.append(len(node.leases))
        if not told.is_set():
            told.set()
            answer["runs"] = [{**like, "run": 20_000 + more, "attempt": 2} for more in range(40)]

    with stage.evil.telling(0, "/node/sync$", lie):
        node.poller._begin_turn()
        assert told.wait(WAIT_S)
        assert stage.single(m=1).result(timeout_s=WAIT_S) == {"m": 1}
    assert max(held) <= 2 * node.settings.max_runs
