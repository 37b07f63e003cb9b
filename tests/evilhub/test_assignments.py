"""The lying hub hands a node an assignment that is not what was signed: the node refuses, and goes on working."""

import base64
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.evilhub.evil import WAIT_S, Raw
from tests.evilhub.stage import STRANGE_USER, Stage, edited, flipped, forged, opened
from vprotocol.errors import VestalError
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.plan import Supplement, SupplementTarget
from vprotocol.reasons import Reason
from vprotocol.signed import DocumentType, Signed
from vruntime.clock import SystemClock

Assignment = dict[str, Any]
Edit = Callable[[Assignment, Stage], None]
HEX = "ab" * 32


def put(*path: str | int, value: Any) -> Edit:
    def edit(run: Assignment, _stage: Stage) -> None:
        place: Any = run
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return edit


def do(change: Callable[[Assignment], Any]) -> Edit:
    return lambda run, _stage: change(run)


def from_before(*names: str) -> Edit:
    """Fields of the run of another job."""

    def edit(run: Assignment, stage: Stage) -> None:
        other = next(old for old in reversed(stage.evil.archive) if old["job"] != run["job"] and "order" in old)
        run.update({name: other[name] for name in names})

    return edit


def other_organization(stage: Stage) -> str:
    return stage.world.nodes[1].vault.fingerprint


def plan_text(change: Callable[[str], str]) -> Edit:
    def edit(run: Assignment, _stage: Stage) -> None:
        text = base64.b64decode(run["plan"]["body"]).decode()
        assert change(text) != text
        run["plan"]["body"] = base64.b64encode(change(text).encode()).decode()

    return edit


def order_bytes(change: Callable[[bytes], bytes]) -> Edit:
    def edit(run: Assignment, _stage: Stage) -> None:
        data = base64.b64decode(run["order"]["inline"])
        run["order"]["inline"] = base64.b64encode(change(data)).decode()

    return edit


def supplement(issuer: PrivateKey, **changes: Any) -> Edit:
    def edit(run: Assignment, _stage: Stage) -> None:
        run["generation"] = 1
        plan = opened(run["plan"])
        body = Supplement(
            kind="retry",
            plan=Signed.from_wire(run["plan"]).hash,
            generation=1,
            runs=(SupplementTarget(path=run["path"], organization=run["organization"]),),
            issued_at=plan["issued_at"],
            expires_at=plan["expires_at"],
        ).model_copy(update=changes)
        run["supplement"] = Signed.sign(DocumentType.SUPPLEMENT, body.encode(), issuer).to_wire()

    return edit


def statement_of(run: Assignment) -> dict[str, Any]:
    """Something that looks like a signed statement."""
    return {**run["plan"], "type": DocumentType.SUBTASK.value}


S, M, D, I = Reason.SIGNATURE, Reason.PLAN_MISMATCH, Reason.DAMAGED, Reason.IDENTITY  # noqa: E741
ATTACKS: dict[str, tuple[Edit, Reason]] = {
    # the plan
    "plan: a limit widened": (plan_text(lambda t: t.replace('"attempts":', '"attempts":1', 1)), S),
    "plan: another name": (do(lambda r: edited(r["plan"], name="another")), S),
    "plan: re-signed by a stranger under the issuer's key id": (
        do(lambda r: forged(r["plan"], STRANGE_USER, name="another")),
        S,
    ),
    "plan: re-signed by a stranger under his own key id": (
        do(lambda r: forged(r["plan"], STRANGE_USER, claim=False, name="another")),
        M,
    ),
    "plan: signature flipped": (do(lambda r: r["plan"].update(signature=flipped(r["plan"]["signature"]))), S),
    "plan: said to be a receipt": (put("plan", "type", value=DocumentType.RECEIPT.value), M),
    "plan: of no known type": (put("plan", "type", value="vestal/plan/v9"), M),
    "plan: not JSON": (put("plan", "body", value=base64.b64encode(b"{").decode()), M),
    "plan: a key twice": (plan_text(lambda t: t[:-1] + ',"version":1}'), M),
    "plan: an unknown field": (do(lambda r: edited(r["plan"], surprise=1)), M),
    "plan: of another job": (from_before("plan"), M),
    "plan and order: of another job": (from_before("plan", "order"), M),
    # which run
    "job: another": (put("job", value="0f" * 16), M),
    "path: another step": (put("path", value="other[0]"), M),
    "path: another iteration": (put("path", value="main[1]"), M),
    "path: no path": (put("path", value="../../etc/passwd"), M),
    "path: a subtask that nobody asked for": (put("path", value=f"main[0]#1.1@{'ab' * 8}"), M),
    "organization: the other one": (lambda r, s: r.update(organization=other_organization(s)), M),
    "organization: nobody": (put("organization", value="../nobody"), M),
    "generation: again without a supplement": (put("generation", value=1), M),
    "generation: below zero": (put("generation", value=-1), M),
    "generation: supplement of a stranger": (supplement(STRANGE_USER), S),
    "generation: supplement signed by the hub's own key": (supplement(PrivateKey.generate(KeyKind.USER)), S),
    "attempt: none": (put("attempt", value=0), M),
    "attempt: below zero": (put("attempt", value=-3), M),
    "attempt: beyond the plan's": (put("attempt", value=10**5), M),
    "attempt: beyond all numbers": (put("attempt", value=10**30), M),
    "statements: one invented": (do(lambda r: r.update(statements=[statement_of(r)])), M),
    "inputs: one invented": (
        do(
            lambda r: r.update(
                inputs=[
                    {
                        "name": "parts",
                        "producer": {
                            "path": "main[0]",
                            "organization": r["organization"],
                            "generation": 0,
                            "attempt": 1,
                        },
                        "output": "output",
                        "receipt": r["plan"],
                        "payload": r["order"],
                    }
                ]
            )
        ),
        M,
    ),
    # the order
    "order: of another run": (from_before("order"), M),
    "order: another id": (put("order", "id", value=HEX), M),
    "order: another run's bytes under this id": (
        lambda r, s: r["order"].update(inline=_other_order(r, s)),
        M,
    ),
    "order: last byte flipped": (order_bytes(lambda b: b[:-1] + bytes([b[-1] ^ 1])), D),
    "order: first byte flipped": (order_bytes(lambda b: bytes([b[0] ^ 1]) + b[1:]), D),
    "order: a byte in its middle flipped": (
        order_bytes(lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :]),
        D,
    ),
    "order: truncated": (order_bytes(lambda b: b[:-7]), D),
    "order: extended": (order_bytes(lambda b: b + b"\0"), D),
    "order: empty": (order_bytes(lambda b: b""), D),
    "order: noise": (order_bytes(lambda b: os.urandom(len(b))), D),
    "order: larger than any": (do(lambda r: r["order"].update(inline=None, bytes_total=2**50)), D),
    "order: not there": (do(lambda r: r["order"].update(inline=None)), Reason.UPSTREAM_UNAVAILABLE),
}


def _other_order(run: Assignment, stage: Stage) -> str:
    return next(
        old["order"]["inline"]
        for old in reversed(stage.evil.archive)
        if old["order"].get("inline") and old["job"] != run["job"]
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_an_edited_assignment_is_refused(stage: Stage, name: str) -> None:
    edit, reason = ATTACKS[name]
    if len(stage.evil.archive) < 1:
        stage.single().results(timeout_s=WAIT_S)  # something to take from
    ran, heard = stage.executions(), len(stage.decisions)
    hidden = stage.evil.telling(0, "/payload/", lambda _: Raw(b'{"error":{"code":"not_found"}}', "404 Not Found"))
    with hidden, stage.handing_over(0, lambda run: edit(run, stage)):
        job = stage.single(name=name)
        assert stage.await_refusal(0, heard) == reason.value
        assert stage.executions() == ran and stage.world.executors[0].find({}) == []
    job.cancel()
    assert stage.single(honest=name).result(timeout_s=WAIT_S) == {"honest": name}


def test_control_without_a_lie_the_same_run_succeeds(stage: Stage) -> None:
    ran = stage.executions()
    with stage.handing_over(0, lambda run: None):
        assert stage.single(a=1).result(timeout_s=WAIT_S) == {"a": 1}
    assert stage.executions() == ran + 1


@pytest.mark.parametrize(
    "edit",
    [
        put("encrypted", value=False),
        put("collaboration", value=77),
        put("task", value=4711),
        put("lease_s", value=1e300),
        put("lease_s", value=-5.0),
        put("surprise", value={"a": 1}),
    ],
    ids=["encrypted", "collaboration", "task", "lease_s huge", "lease_s negative", "an unknown field"],
)
def test_what_the_node_does_not_believe_anyway_changes_nothing(stage: Stage, edit: Edit) -> None:
    with stage.handing_over(0, lambda run: edit(run, stage)):
        job = stage.single(secret="never in the clear")
        assert job.result(timeout_s=WAIT_S) == {"secret": "never in the clear"}
    stored = [path.read_bytes() for path in (stage.world.folder / "hub").rglob("*") if path.is_file()]
    assert not any(b"never in the clear" in data for data in stored)


def test_the_run_of_one_organization_is_refused_by_anothers_node(stage: Stage) -> None:
    stage.single(x=1).results(timeout_s=WAIT_S)
    stolen = stage.evil.archive[-1]
    ran, heard = stage.executions(), len(stage.decisions)

    def lie(answer: Any) -> None:
        answer["runs"] = [{**stolen, "run": 9000}]

    with stage.evil.telling(1, "/node/sync$", once(lie)):
        job = stage.both()  # wakes the node
        assert stage.await_refusal(1, heard) == M.value
    job.results(timeout_s=WAIT_S)
    assert stage.executions() == ran + 2


def once(lie: Callable[[Any], None]) -> Callable[[Any], None]:
    told: list[bool] = []

    def edit(answer: Any) -> None:
        if isinstance(answer, dict) and "settings" in answer and not told:
            told.append(True)
            lie(answer)

    return edit


def wake(stage: Stage, node: int) -> None:
    """Let the node ask now instead of when its held request ends."""
    stage.world.nodes[node].poller._begin_turn()


@pytest.mark.parametrize("number", ["the same number", "another number"])
def test_a_run_that_has_ended_is_not_executed_again(stage: Stage, number: str) -> None:
    stage.single(x=2).results(timeout_s=WAIT_S)
    again = dict(stage.evil.archive[-1])
    if number == "another number":
        again["run"] = 9100
    for thread in [*stage.world.nodes[0]._running]:
        thread.join(WAIT_S)  # while a lease is held, the same number again is no news
    ran, heard = stage.executions(), len(stage.decisions)
    with stage.evil.telling(0, "/node/sync$", once(lambda answer: answer.update(runs=[again]))):
        wake(stage, 0)
        assert stage.await_refusal(0, heard) == Reason.REPLAYED.value
    assert stage.executions() == ran
    assert stage.single(y=1).result(timeout_s=WAIT_S) == {"y": 1}


def test_a_run_is_not_executed_again_after_the_nodes_restart(fresh: Stage) -> None:
    fresh.single(x=3).results(timeout_s=WAIT_S)
    again = fresh.evil.archive[-1]
    fresh.world.nodes[0].stop()
    fresh.world.restart(0)
    fresh.witness(0)
    ran, heard = fresh.executions(), len(fresh.decisions)
    node = fresh.evil.newest_party
    with fresh.evil.telling(node, "/node/sync$", once(lambda answer: answer.update(runs=[again]))):
        wake(fresh, 0)
        assert fresh.await_refusal(0, heard) == Reason.REPLAYED.value
    assert fresh.executions() == ran
    assert fresh.single(y=1).result(timeout_s=WAIT_S) == {"y": 1}


def test_a_hub_that_takes_no_result_gets_no_second_execution(stage: Stage) -> None:
    """The result is held back; meanwhile the run comes again under another number: the held result goes out."""
    away = stage.evil.telling(0, "/run/.*/result$", lambda _: Raw(b"{}", "500 Internal Server Error"))
    ran, calls = stage.executions(), len(stage.evil.seen)
    with away:
        job = stage.single(x=4)
        stage.evil.await_call(lambda call: call[0] == 0 and call[2].endswith("/result"), calls)
        again, calls = dict(stage.evil.archive[-1]), len(stage.evil.seen)
        again["run"] = 9200
        with stage.evil.telling(0, "/node/sync$", once(lambda answer: answer.update(runs=[again]))):
            wake(stage, 0)
            stage.evil.await_call(lambda call: call[0] == 0 and call[2].endswith("/result"), calls)
    stage.world.nodes[0]._deliver_waiting()
    assert job.result(timeout_s=WAIT_S) == {"x": 4}
    assert stage.executions() == ran + 1


def test_the_same_run_under_many_numbers_at_once_is_executed_once(stage: Stage) -> None:
    ran = stage.executions()

    def lie(answer: Any) -> None:
        answer["runs"] = [
            {**run, "run": run["run"] + more} for run in answer["runs"] for more in (0, *range(9300, 9340))
        ]

    with stage.evil.telling(0, "/node/sync$", once_with_runs(lie)):
        stage.single(x=5).wait(timeout_s=WAIT_S)  # its own number may be among those that came too late
    for thread in [*stage.world.nodes[0]._running]:
        thread.join(WAIT_S)
    assert stage.executions() == ran + 1
    assert stage.single(y=2).result(timeout_s=WAIT_S) == {"y": 2}


def once_with_runs(lie: Callable[[Any], None]) -> Callable[[Any], None]:
    told: list[bool] = []

    def edit(answer: Any) -> None:
        if answer.get("runs") and not told:
            told.append(True)
            lie(answer)

    return edit


def test_a_plan_that_has_expired_is_refused(fresh: Stage) -> None:
    class Later(SystemClock):
        def now(self) -> float:
            return super().now() + 3 * 86_400

    runner = fresh.world.nodes[0].runner
    honest = runner.t
    runner.t = dataclasses.replace(honest, clock=Later())
    job = fresh.single(x=6)
    assert fresh.await_refusal(0, 0) == Reason.PLAN_EXPIRED.value
    job.wait(timeout_s=WAIT_S)
    assert fresh.executions() == 0
    runner.t = honest
    assert fresh.single(y=3).result(timeout_s=WAIT_S) == {"y": 3}


def test_cancelling_what_is_not_there_harms_nobody(stage: Stage) -> None:
    with stage.evil.telling(0, "/node/sync$", once(lambda answer: answer.update(cancel=[1, 77, 2**31 - 1]))):
        wake(stage, 0)
        assert stage.single(z=1).result(timeout_s=WAIT_S) == {"z": 1}


def test_saying_that_a_job_has_ended_while_it_runs_removes_nothing_of_it(stage: Stage) -> None:
    def lie(answer: Any) -> None:
        if isinstance(answer, dict) and answer.get("runs"):
            answer["ended_jobs"] = [run["job"] for run in answer["runs"]]

    with stage.evil.telling(0, "/node/sync$", lie):
        assert stage.single(z=2).result(timeout_s=WAIT_S) == {"z": 2}


def test_a_hub_that_cancels_ends_a_run_and_cannot_make_it_look_completed(fresh: Stage) -> None:
    job = fresh.world.client.run(fresh.world.image("wait"), "m", on="initiator")
    fresh.until(lambda: fresh.ran.get("wait"))
    run = fresh.evil.archive[-1]["run"]
    with fresh.evil.telling(0, "/node/sync$", once(lambda answer: answer.update(cancel=[run]))):
        wake(fresh, 0)
        job.wait(timeout_s=WAIT_S)
    with pytest.raises(VestalError) as caught:
        job.results()
    assert caught.value.code == "job_cancelled"
    assert (0, "cancelled", {"reason": "cancelled"}) in fresh.decisions
