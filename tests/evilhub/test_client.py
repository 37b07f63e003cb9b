"""The lying hub shows the researcher what was not signed: she gets an error that names it, and no value."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.evilhub.evil import WAIT_S, Raw
from tests.evilhub.stage import STRANGER, Stage, edited, flipped, forged, opened
from vclient.errors import JobFailed
from vclient.job import Job
from vprotocol.errors import JobCancelled, VestalError
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey

Runs = list[dict[str, Any]]
HEX = "ef" * 32


def exchange(name: str) -> Callable[[Runs], None]:
    def edit(runs: Runs) -> None:
        runs[0][name], runs[1][name] = runs[1][name], runs[0][name]

    return edit


def content(change: Callable[[bytes], bytes]) -> Callable[[Runs], None]:
    def edit(runs: Runs) -> None:
        payload = runs[0]["outputs"][0]["payload"]
        payload["inline"] = base64.b64encode(change(base64.b64decode(payload["inline"]))).decode()

    return edit


def bytes_exchanged(runs: Runs) -> None:
    one, other = (run["outputs"][0]["payload"] for run in runs[:2])
    one["inline"], other["inline"] = other["inline"], one["inline"]


def receipt(**changes: Any) -> Callable[[Runs], None]:
    return lambda runs: edited(runs[0]["receipt"], **changes)


RESULTS: dict[str, tuple[Callable[[Runs], Any], str]] = {
    "a run left out": (lambda r: r.pop(), "plan_mismatch"),
    "all runs left out": (lambda r: r.clear(), "plan_mismatch"),
    "a run twice": (lambda r: r.append(r[0]), "plan_mismatch"),
    "a run in another's place": (lambda r: r.__setitem__(1, r[0]), "plan_mismatch"),
    "a run of a stranger": (lambda r: r[0].update(fingerprint=HEX), "plan_mismatch"),
    "a run of a step that does not exist": (lambda r: r[0].update(path="other[0]"), "plan_mismatch"),
    "a run whose path is none": (lambda r: r[0].update(path="??"), "document_invalid"),
    "fingerprints exchanged": (exchange("fingerprint"), "key_unknown"),
    "receipts exchanged": (exchange("receipt"), "key_unknown"),
    "outputs exchanged": (exchange("outputs"), "receipt_invalid"),
    "bytes exchanged": (bytes_exchanged, "wrong_context"),
    "bytes truncated": (content(lambda b: b[:-1]), "damaged"),
    "bytes extended": (content(lambda b: b + b"\0"), "damaged"),
    "bytes flipped": (content(lambda b: b[:-600] + bytes([b[-600] ^ 8]) + b[-599:]), "damaged"),
    "signature of the bytes flipped": (
        content(lambda b: b[:-20] + bytes([b[-20] ^ 8]) + b[-19:]),
        "damaged",
    ),
    "no bytes at all": (content(lambda b: b""), "damaged"),
    "output's id": (lambda r: r[0]["outputs"][0]["payload"].update(id=HEX), "receipt_invalid"),
    "output's name": (lambda r: r[0]["outputs"][0].update(name="other"), "receipt_invalid"),
    "no output": (lambda r: r[0].update(outputs=[]), "receipt_invalid"),
    "completed without a receipt": (lambda r: r[0].update(receipt=None), "receipt_invalid"),
    "completed shown as failed": (lambda r: r[0].update(state="failed", reason="exit_code"), "receipt_invalid"),
    "receipt edited": (receipt(finished_at=1), "signature_invalid"),
    "receipt of another attempt": (
        lambda r: edited(r[0]["receipt"], run={**opened(r[0]["receipt"])["run"], "attempt": 2}),
        "signature_invalid",
    ),
    "receipt without its reason": (receipt(state="failed", outputs=[]), "receipt_invalid"),
    "receipt with a flipped signature": (
        lambda r: r[0]["receipt"].update(signature=flipped(r[0]["receipt"]["signature"])),
        "signature_invalid",
    ),
    "receipt forged under the node's key id": (lambda r: forged(r[0]["receipt"], finished_at=1), "signature_invalid"),
    "receipt of a stranger": (lambda r: forged(r[0]["receipt"], STRANGER, claim=False), "key_unknown"),
    "receipt that is none": (lambda r: r[0]["receipt"].update(body="e30="), "receipt_invalid"),
}


def shown(stage: Stage, job: Job, lie: Callable[[Any], Any], path: str = "/job/") -> VestalError:
    """What the researcher meets who looks at this job in a new process."""
    client = stage.newcomer()
    with stage.evil.telling(stage.evil.newest_party, path, lie) as told, pytest.raises(VestalError) as caught:
        client.job(job.id).results(timeout_s=WAIT_S)
    assert told.told, "the lie was not even heard"
    return caught.value


@pytest.fixture(scope="module")
def done(stage: Stage) -> Job:
    job = stage.both()
    assert sorted(job.results(timeout_s=WAIT_S).values()) == stage.world.organizations
    return job


@pytest.mark.parametrize("name", RESULTS)
def test_an_edited_result_is_not_believed(stage: Stage, done: Job, name: str) -> None:
    change, code = RESULTS[name]

    def lie(job: Any) -> None:
        change(job["runs"])

    error = shown(stage, done, lie)
    assert error.code == code, error


def test_control_without_a_lie_the_results_are_there(stage: Stage, done: Job) -> None:
    assert sorted(stage.newcomer().job(done.id).results().values()) == stage.world.organizations


def test_the_runs_of_another_job_are_not_taken_for_this_ones(stage: Stage, done: Job) -> None:
    other = stage.both()
    other.results(timeout_s=WAIT_S)
    client = stage.newcomer()
    kept: dict[str, Any] = {}
    with stage.evil.telling(stage.evil.newest_party, "/job/", lambda job: kept.update(job)):
        client.job(other.id)
    assert shown(stage, done, lambda job: job.update(runs=kept["runs"])).code in (
        "receipt_invalid",
        "signature_invalid",
    )
    assert shown(stage, done, lambda job: job.update(plan=kept["plan"])).code == "plan_mismatch"
    assert shown(stage, done, lambda _: kept).code == "plan_mismatch"


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (lambda job: job.update(plan=None), "plan_mismatch"),
        (lambda job: edited(job["plan"], name="another"), "signature_invalid"),
        (lambda job: job["plan"].update(signature=flipped(job["plan"]["signature"])), "signature_invalid"),
        (lambda job: job.update(id="0" * 32), "plan_mismatch"),
        (lambda job: job.update(runs="none"), "bad_message"),
        (lambda job: job.update(state="splendid"), "bad_message"),
        (lambda _: [1, 2], "bad_message"),
        (lambda _: Raw(b"<html>"), "unexpected_answer"),
        (lambda _: Raw(b"[" * 100_000), "unexpected_answer"),
        (lambda _: Raw(b'{"a":' * 900 + b"1" + b"}" * 900), "bad_message"),
        (lambda _: Raw(b" " * (65 * 2**20)), "unexpected_answer"),
    ],
    ids=[
        "no plan", "plan edited", "plan's signature", "another job's id", "runs no list", "no state", "a list",
        "a page", "nested for ever", "nested deeply", "larger than any answer",
    ],
)  # fmt: skip
def test_a_job_that_is_not_what_was_signed_is_not_believed(
    stage: Stage, done: Job, lie: Callable[[Any], Any], code: str
) -> None:
    error = shown(stage, done, lie)
    assert error.code == code, error


def test_a_failed_run_does_not_become_a_completed_one(stage: Stage) -> None:
    with stage.handing_over(0, lambda run: run["order"].update(inline=flipped(run["order"]["inline"]))):
        job = stage.single()
        job.wait(timeout_s=WAIT_S)
    with pytest.raises(JobFailed):
        job.results()
    assert shown(stage, job, lambda view: _completed(view)).code == "receipt_invalid"


def _completed(view: dict[str, Any]) -> None:
    view["state"] = "completed"
    for run in view["runs"]:
        run.update(state="completed", reason=None)


def test_a_job_that_is_called_cancelled_gives_no_values(stage: Stage, done: Job) -> None:
    def lie(view: Any) -> None:
        view["state"] = "cancelled"
        for run in view["runs"]:
            run.update(state="cancelled", reason="cancelled", receipt=None, outputs=[])

    assert isinstance(shown(stage, done, lie), JobCancelled)


# --- before anything is sealed --------------------------------------------------------------------------------------
def stranger_log(stage: Stage, like: KeyLog) -> KeyLog:
    """An identity of the hub's own making, under the same name."""
    root, organization, node = (
        PrivateKey.generate(kind) for kind in (KeyKind.ROOT, KeyKind.ORGANIZATION, KeyKind.NODE)
    )
    now = like.head_body.issued_at if like.head_body else 0
    log = KeyLog.create(root, like.name, now)
    for key in (organization, node):
        log = log.certify(root, key.public, "key", now, now + 10**8)
    return log.sign_head(node, now)


def own_log(stage: Stage, number: int) -> KeyLog:
    return stage.world.nodes[number].vault.identity


def listed(stage: Stage, change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Any], None]:
    def edit(page: Any) -> None:
        if isinstance(page, dict) and isinstance(page.get("data"), list):
            change(page["data"])

    return edit


def renamed(items: list[dict[str, Any]]) -> None:
    if len(items) > 1:
        items[0]["name"], items[1]["name"] = items[1]["name"], items[0]["name"]


def renumbered(items: list[dict[str, Any]]) -> None:
    if len(items) > 1:
        items[0]["fingerprint"], items[1]["fingerprint"] = items[1]["fingerprint"], items[0]["fingerprint"]


def with_stranger(stage: Stage) -> Callable[[list[dict[str, Any]]], None]:
    def edit(items: list[dict[str, Any]]) -> None:
        if len(items) > 1:
            items.append({**items[1], "id": 99, "name": "hospital 3", "fingerprint": HEX})

    return edit


def head_of(log: KeyLog, **changes: Any) -> dict[str, Any]:
    wire = log.to_wire()
    if wire["head"]:
        edited(wire["head"], **changes)
    return wire


LISTS: dict[str, tuple[str, Callable[[Stage], Callable[[Any], Any]], str]] = {
    "a member added": ("/organization$", lambda s: listed(s, with_stranger(s)), "new_member key_log_invalid not_found"),
    "names of members exchanged": ("/organization$", lambda s: listed(s, renamed), "identity_changed"),
    "numbers of members exchanged": ("/organization$", lambda s: listed(s, renumbered), "identity_changed"),
    "a member's fingerprint": (
        "/organization$",
        lambda s: listed(s, lambda items: items[-1].update(fingerprint=HEX)),
        "new_member identity_changed organization_unknown",
    ),
    "encryption switched off": (
        "/collaboration$",
        lambda s: listed(s, lambda items: items[0].update(encrypted=False)),
        "not_encrypted",
    ),
    "another collaboration under this number": (
        "/collaboration$",
        lambda s: listed(s, lambda items: items[0].update(name="0f" * 16)),
        "collaboration_changed",
    ),
    "the collaboration under another title": (
        "/collaboration$",
        lambda s: listed(s, lambda items: items[0].update(display_name="something harmless")),
        "collaboration_changed",
    ),
    "organizations: no list": ("/organization$", lambda s: lambda _: {"data": 3}, "bad_message"),
    "organizations: null": ("/organization$", lambda s: lambda _: Raw(b"null"), "bad_message unexpected_answer"),
}


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_sealed_after_a_false_list(stage: Stage, tmp_path: Path, done: Job, name: str) -> None:
    path, lie, codes = LISTS[name]
    client = stage.newcomer(tmp_path / "ada")
    ran, party = stage.executions(), stage.evil.newest_party
    client._connection.members._first_contact = False  # she accepts new members by hand
    calls = len(stage.evil.seen)
    with stage.evil.telling(party, path, lie(stage)) as told, pytest.raises(VestalError) as caught:
        stage.both(client)
    assert told.told and caught.value.code in codes.split(), caught.value
    assert stage.executions() == ran
    assert (party, "POST", "/api/v1/job") not in stage.evil.seen[calls:]


LOGS: dict[str, tuple[Callable[[Stage], Callable[[Any], Any]], str]] = {
    "another identity": (lambda s: lambda _: stranger_log(s, own_log(s, 1)).to_wire(), "organization_unknown"),
    "another organization's": (lambda s: lambda _: own_log(s, 0).to_wire(), "organization_unknown"),
    "rolled back": (
        lambda s: lambda log: {"entries": log["entries"][:-1], "head": None},
        "key_log_rolled_back key_log_invalid",
    ),
    "only its first entry": (
        lambda s: lambda log: {"entries": log["entries"][:1], "head": None},
        "key_log_rolled_back",
    ),
    "head moved into the future": (
        lambda s: lambda log: _head(log, issued_at=2**33),
        "signature_invalid key_log_invalid",
    ),
    "head signed by a stranger": (lambda s: lambda log: _forged_head(log), "signature_invalid key_log_invalid"),
    "an entry edited": (lambda s: lambda log: _entry(log), "signature_invalid key_log_invalid"),
    "entries reordered": (
        lambda s: lambda log: log.update(entries=log["entries"][::-1]),
        "key_log_invalid document_invalid",
    ),
    "an entry twice": (lambda s: lambda log: log["entries"].append(log["entries"][-1]), "key_log_invalid"),
    "an entry left out": (lambda s: lambda log: log["entries"].pop(1), "key_log_invalid"),
    "a stranger's key certified by himself": (
        lambda s: lambda log: _certified(log),
        "key_log_invalid signature_invalid",
    ),
    "no log": (lambda s: lambda _: Raw(b"{}"), "key_log_invalid"),
    "null": (lambda s: lambda _: Raw(b"null"), "key_log_invalid"),
    "entries no list": (lambda s: lambda log: log.update(entries=7), "key_log_invalid"),
    "entries of numbers": (lambda s: lambda log: log.update(entries=[1, 2]), "key_log_invalid document_invalid"),
}


def _head(log: dict[str, Any], **changes: Any) -> None:
    edited(log["head"], **changes)


def _forged_head(log: dict[str, Any]) -> None:
    forged(log["head"], issued_at=opened(log["head"])["issued_at"] + 1)


def _entry(log: dict[str, Any]) -> None:
    edited(log["entries"][1], subject="somebody else")


def _certified(log: dict[str, Any]) -> None:
    entry = dict(log["entries"][-1])
    forged(entry, subject="the hub")
    log["entries"].append(entry)


@pytest.mark.parametrize("name", LOGS)
def test_nothing_is_sealed_for_a_false_identity(stage: Stage, tmp_path: Path, done: Job, name: str) -> None:
    lie, codes = LOGS[name]
    client = stage.newcomer(tmp_path / "ada")
    party, calls = stage.evil.newest_party, len(stage.evil.seen)
    number = stage.world.organizations[1]
    path = f"/organization/{number}/public_key$"
    with stage.evil.telling(party, path, lie(stage)) as told, pytest.raises(VestalError) as caught:
        stage.both(client)
    assert told.told and caught.value.code in codes.split(), (caught.value.code, caught.value)
    assert (party, "POST", "/api/v1/job") not in stage.evil.seen[calls:]


@pytest.mark.parametrize("name", LOGS)
def test_a_node_believes_no_false_identity_either(stage: Stage, name: str) -> None:
    """Two answers to two parties: the researcher sees the truth, the node does not."""
    lie, _ = LOGS[name]
    stage.both().results(timeout_s=WAIT_S)
    directory = stage.world.nodes[0].runner.t.directory
    directory._asked_at.clear()  # as after a minute
    heard, ran = len(stage.decisions), stage.ran.get("give", 0)
    path = f"/organization/{stage.world.organizations[1]}/public_key$"
    with stage.evil.telling(0, path, lie(stage)) as told:
        job = stage.both()
        reason = stage.await_refusal(0, heard)
        assert reason == "identity", reason
        assert stage.ran.get("give", 0) <= ran + 1  # at the other, which was told the truth
    assert told.told
    job.wait(timeout_s=WAIT_S)
    directory._asked_at.clear()
    assert sorted(stage.both().results(timeout_s=WAIT_S).values()) == stage.world.organizations


def test_a_node_that_demands_compared_words_runs_nothing_for_those_it_only_saw(tmp_path: Path) -> None:
    stage = Stage(tmp_path, node={"policy": {"trust": "verified"}})
    try:
        job = stage.both()
        assert stage.await_refusal(0, 0) == "identity"
        job.wait(timeout_s=WAIT_S)
        assert stage.executions() == 0
        for node in stage.world.nodes:
            for known in node.trust.all():
                node.trust.mark_verified(known.fingerprint)
        assert sorted(stage.both().results(timeout_s=WAIT_S).values()) == stage.world.organizations
    finally:
        stage.close()


def test_a_node_does_not_start_under_an_identity_that_is_not_its_own(fresh: Stage) -> None:
    fresh.world.nodes[0].stop()
    stranger = stranger_log(fresh, own_log(fresh, 0)).to_wire()
    with (
        fresh.evil.telling(None, f"/organization/{fresh.world.organizations[0]}/public_key$", lambda _: stranger),
        pytest.raises(VestalError) as caught,
    ):
        fresh.world.restart(0)
    assert caught.value.code == "identity_changed"
    fresh.world.restart(0)
    assert fresh.single(a=1).result(timeout_s=WAIT_S) == {"a": 1}
