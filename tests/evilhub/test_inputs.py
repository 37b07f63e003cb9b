"""The lying hub stands between the steps of a workflow, and between an algorithm and those that it asks."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.evilhub.evil import WAIT_S, Raw
from tests.evilhub.stage import STRANGER, Stage, edited, flipped, forged
from vclient.errors import JobFailed
from vprotocol.errors import VestalError
from vprotocol.reasons import Reason

Inputs = list[dict[str, Any]]
S, M, D = Reason.SIGNATURE, Reason.PLAN_MISMATCH, Reason.DAMAGED
HEX = "cd" * 32


def first(change: Callable[[dict[str, Any]], Any]) -> Callable[[Inputs, Stage], Any]:
    return lambda inputs, _stage: change(inputs[0])


def at(*names: str, value: Any) -> Callable[[Inputs, Stage], Any]:
    def edit(inputs: Inputs, _stage: Stage) -> None:
        place = inputs[0]
        for name in names[:-1]:
            place = place[name]
        place[names[-1]] = value

    return edit


def swapped(name: str) -> Callable[[Inputs, Stage], Any]:
    def edit(inputs: Inputs, _stage: Stage) -> None:
        inputs[0][name], inputs[1][name] = inputs[1][name], inputs[0][name]

    return edit


def swapped_bytes(inputs: Inputs, _stage: Stage) -> None:
    one, other = inputs[0]["payload"], inputs[1]["payload"]
    one["inline"], other["inline"] = other["inline"], one["inline"]


def from_before(name: str) -> Callable[[Inputs, Stage], Any]:
    def edit(inputs: Inputs, stage: Stage) -> None:
        known = {item["receipt"]["body"] for item in inputs}
        old = next(
            item
            for run in stage.evil.archive
            for item in run["inputs"]
            if item["receipt"]["body"] not in known
            and item["producer"]["organization"] == inputs[0]["producer"]["organization"]
        )
        inputs[0][name] = old[name]

    return edit


def content(change: Callable[[bytes], bytes]) -> Callable[[Inputs, Stage], Any]:
    def edit(inputs: Inputs, _stage: Stage) -> None:
        payload = inputs[0]["payload"]
        payload["inline"] = base64.b64encode(change(base64.b64decode(payload["inline"]))).decode()

    return edit


INPUTS: dict[str, tuple[Callable[[Inputs, Stage], Any], Reason]] = {
    "one dropped": (lambda i, _: i.pop(), M),
    "all dropped": (lambda i, _: i.clear(), M),
    "one twice": (lambda i, _: i.append(i[0]), M),
    "one twice in the other's place": (lambda i, _: i.__setitem__(1, i[0]), M),
    "one of a stranger added": (
        lambda i, _: i.append({**i[0], "producer": {**i[0]["producer"], "organization": HEX}}),
        M,
    ),
    "name edited": (at("name", value="others"), M),
    "output edited": (at("output", value="other"), M),
    "producer's path edited": (at("producer", "path", value="finish[0]"), M),
    "producer's path no path": (at("producer", "path", value="?"), M),
    "producer's organization edited": (at("producer", "organization", value=HEX), M),
    "producer's generation edited": (at("producer", "generation", value=1), M),
    "producer's attempt edited": (at("producer", "attempt", value=2), M),
    "receipts exchanged": (swapped("receipt"), M),
    "payloads exchanged": (swapped("payload"), M),
    "producers exchanged": (swapped("producer"), M),
    "bytes exchanged": (swapped_bytes, M),
    "receipt of another job": (from_before("receipt"), M),
    "payload of another job": (from_before("payload"), M),
    "receipt edited": (first(lambda i: edited(i["receipt"], finished_at=1)), S),
    "receipt's signature flipped": (
        first(lambda i: i["receipt"].update(signature=flipped(i["receipt"]["signature"]))),
        S,
    ),
    "receipt signed by a stranger under the node's key id": (
        first(lambda i: forged(i["receipt"], finished_at=1)),
        S,
    ),
    "receipt signed by a stranger": (first(lambda i: forged(i["receipt"], STRANGER, claim=False)), S),
    "receipt of another attempt": (
        first(lambda i: edited(i["receipt"], run={**_run(i), "attempt": 2})),
        S,
    ),
    "receipt that is a plan": (first(lambda i: i["receipt"].update(type="vestal/plan/v1")), M),
    "payload id edited": (at("payload", "id", value=HEX), M),
    "payload truncated": (content(lambda b: b[:-1]), D),
    "payload extended": (content(lambda b: b + b"x"), D),
    "payload flipped": (content(lambda b: b[:-600] + bytes([b[-600] ^ 4]) + b[-599:]), D),
}


def _run(delivery: dict[str, Any]) -> dict[str, Any]:
    from tests.evilhub.stage import opened

    return dict(opened(delivery["receipt"])["run"])


@pytest.mark.parametrize("name", INPUTS)
def test_an_edited_input_is_not_taken_in(stage: Stage, name: str) -> None:
    edit, reason = INPUTS[name]
    if not any(run["inputs"] for run in stage.evil.archive):
        assert stage.two_steps().result(timeout_s=WAIT_S) == sum(stage.world.organizations)
    added, heard = stage.ran.get("add", 0), len(stage.decisions)
    with stage.handing_over(0, lambda run: edit(run["inputs"], stage), path="finish"):
        job = stage.two_steps()
        assert stage.await_refusal(0, heard) == reason.value
        assert stage.ran.get("add", 0) == added
    job.cancel()


def test_after_all_that_the_honest_workflow_succeeds(stage: Stage) -> None:
    assert stage.two_steps().result(timeout_s=WAIT_S) == sum(stage.world.organizations)


# --- subtasks: as they are handed to the one who is asked -----------------------------------------------------------
SUBTASKS: dict[str, tuple[Callable[[dict[str, Any]], Any], Reason]] = {
    "statement dropped": (lambda r: r["statements"].clear(), M),
    "statement twice": (lambda r: r["statements"].append(r["statements"][0]), M),
    "statement edited": (lambda r: edited(r["statements"][0], counter=2), S),
    "statement widened": (lambda r: edited(r["statements"][0], issued_at=1), S),
    "statement signed by a stranger": (lambda r: forged(r["statements"][0], issued_at=1), S),
    "statement's signature flipped": (
        lambda r: r["statements"][0].update(signature=flipped(r["statements"][0]["signature"])),
        S,
    ),
    "path one counter further": (lambda r: r.update(path=r["path"].replace("#1.1@", "#1.2@")), M),
    "path of another attempt": (lambda r: r.update(path=r["path"].replace("#1.1@", "#2.1@")), M),
    "path as if it were a step's": (lambda r: r.update(path="main[0]"), M),
    "generation": (lambda r: r.update(generation=1), M),
    "order flipped": (
        lambda r: r["order"].update(inline=flipped(r["order"]["inline"])),
        D,
    ),
    "order's id": (lambda r: r["order"].update(id=HEX), M),
}


@pytest.mark.parametrize("name", SUBTASKS)
def test_an_edited_subtask_is_refused(stage: Stage, name: str) -> None:
    edit, reason = SUBTASKS[name]
    asked = f"give at {stage.world.organizations[1]}"
    given, heard = stage.ran.get(asked, 0), len(stage.decisions)
    with stage.handing_over(1, edit):
        job = stage.asking()
        assert stage.await_refusal(1, heard) == reason.value
        assert stage.ran.get(asked, 0) == given
    job.cancel()


# --- subtasks: what is shown to the one who asked -------------------------------------------------------------------
def of_runs(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Any], Any]:
    def edit(answer: Any) -> None:
        if isinstance(answer, dict) and answer.get("runs") and all(run["receipt"] for run in answer["runs"]):
            change(answer["runs"])

    return edit


def exchange(runs: list[dict[str, Any]], *names: str) -> None:
    for name in names:
        runs[0][name], runs[1][name] = runs[1][name], runs[0][name]


def relabelled(runs: list[dict[str, Any]]) -> None:
    runs[0]["organization_id"], runs[1]["organization_id"] = runs[1]["organization_id"], runs[0]["organization_id"]


def bytes_of(runs: list[dict[str, Any]], change: Callable[[bytes], bytes]) -> None:
    for output in runs[0]["outputs"]:
        if output["payload"]["inline"]:
            output["payload"]["inline"] = base64.b64encode(
                change(base64.b64decode(output["payload"]["inline"]))
            ).decode()


CHILDREN: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "one left out": (lambda r: r.pop(), "plan_mismatch"),
    "all left out": (lambda r: r.clear(), "plan_mismatch"),
    "one in the other's place": (lambda r: r.__setitem__(1, {**r[0], "id": r[1]["id"]}), "plan_mismatch"),
    "in a state that does not exist": (lambda r: r[0].update(state="splendid"), "unexpected_answer"),
    "fingerprints exchanged": (lambda r: exchange(r, "fingerprint"), "signature_invalid key_unknown"),
    "a stranger's": (lambda r: r[0].update(fingerprint=HEX), "plan_mismatch"),
    "of another path": (lambda r: r[0].update(path="main[0]"), "plan_mismatch"),
    "completed without a receipt": (lambda r: r[0].update(receipt=None), "receipt_invalid"),
    "receipts exchanged": (lambda r: exchange(r, "receipt"), "signature_invalid key_unknown"),
    "receipt edited": (lambda r: edited(r[0]["receipt"], finished_at=1), "signature_invalid"),
    "receipt forged": (lambda r: forged(r[0]["receipt"], finished_at=1), "signature_invalid"),
    "outputs exchanged": (lambda r: exchange(r, "outputs"), "receipt_invalid"),
    "no output": (lambda r: r[0].update(outputs=[]), "receipt_invalid"),
    "output flipped": (lambda r: bytes_of(r, lambda b: b[:-600] + bytes([b[-600] ^ 1]) + b[-599:]), "damaged"),
    "output truncated": (lambda r: bytes_of(r, lambda b: b[:-1]), "damaged"),
    "output larger than any": (
        lambda r: r[0]["outputs"][0]["payload"].update(inline=None, bytes_total=2**50),
        "too_large",
    ),
}


@pytest.mark.parametrize("name", CHILDREN)
def test_an_edited_childs_outcome_never_reaches_the_algorithm(stage: Stage, name: str) -> None:
    change, codes = CHILDREN[name]
    with stage.evil.telling(0, r"/task/\d+$", of_runs(change)) as lie:
        job = stage.asking()
        job.wait(timeout_s=WAIT_S)
    assert lie.told
    with pytest.raises(JobFailed) as caught:
        job.results()
    assert caught.value.reason is Reason.EXIT_CODE
    (entry,) = job.logs()
    assert json.loads(entry.text)["code"] in codes.split(), entry.text


def test_a_childs_organization_is_what_the_plan_says(stage: Stage) -> None:
    """The hub's numbers exchange nothing: the results are the same, each under its own organization."""
    with stage.evil.telling(0, r"/task/\d+$", of_runs(relabelled)) as lie:
        assert stage.asking().result(timeout_s=WAIT_S) == sorted(stage.world.organizations)
    assert lie.told


def test_an_unreadable_answer_about_a_child_is_the_hubs_fault(stage: Stage) -> None:
    with stage.evil.telling(0, r"/task/\d+$", lambda _: Raw(b"[]")):
        job = stage.asking()
        job.wait(timeout_s=WAIT_S)
    with pytest.raises(VestalError):
        job.results()
    assert stage.asking().result(timeout_s=WAIT_S) == sorted(stage.world.organizations)
