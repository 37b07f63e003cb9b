"""The node believes the plan, not the hub: each edit of an assignment is refused for its own reason."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.vprotocol import world
from tests.unit.vprotocol.world import NOW, A, B, C
from vnode.checking import check, reason_for
from vprotocol.errors import KeyUnknown, OrganizationUnknown, TrustError, VestalError
from vprotocol.keys import KeyKind, PublicKey
from vprotocol.messages.sync import Assignment
from vprotocol.paths import TaskPath
from vprotocol.plan import Supplement, SupplementTarget, expected_root_run
from vprotocol.reasons import Reason
from vprotocol.receipt import SignedReceipt
from vprotocol.subtask import RunName
from vruntime.trust_store import TrustLevel

PLAN = world.plan()
PART, FINISH = TaskPath("part"), TaskPath("finish")


@dataclass
class KnownLog:
    log: Any
    level: TrustLevel = TrustLevel.VERIFIED


class Everybody:
    """A directory that knows the three organizations, but for those left out."""

    def __init__(self, *missing: str, at: int = NOW) -> None:
        self.missing, self.at = missing, at

    def known(self, fingerprint: str) -> KnownLog:
        if fingerprint in self.missing or fingerprint not in world.BY_FINGERPRINT:
            raise OrganizationUnknown()
        return KnownLog(world.BY_FINGERPRINT[fingerprint].log)

    def node_key(self, fingerprint: str, key_id: str) -> PublicKey:
        return self.known(fingerprint).log.certificate(key_id, KeyKind.NODE, self.at).key

    def user_key(self, fingerprint: str, key_id: str) -> PublicKey:
        return self.known(fingerprint).log.certificate(key_id, KeyKind.USER, self.at).key


def assignment(**changes: Any) -> Assignment:
    """B's run of the first step, as an honest hub hands it over."""
    run = expected_root_run(PLAN.plan, PART, B.fingerprint)
    document = {
        "run": 1,
        "task": 1,
        "job": PLAN.plan.job,
        "organization": B.fingerprint,
        "collaboration": 1,
        "encrypted": True,
        "path": "part[0]",
        "generation": 0,
        "attempt": 1,
        "lease_token": "t",
        "lease_s": 60.0,
        "plan": PLAN.signed.to_wire(),
        "order": {"id": run.order, "bytes_total": 10},
        **changes,
    }
    return Assignment.from_wire(document)


def delivery(producer: world.Organization, **changes: Any) -> dict[str, Any]:
    expected = expected_root_run(PLAN.plan, PART, producer.fingerprint)
    signed = SignedReceipt.sign(world.receipt(PLAN, expected, **changes.pop("receipt", {})), producer.node)
    output = signed.receipt.output("output")
    return {
        "name": "parts",
        "producer": {"path": "part[0]", "organization": producer.fingerprint, "generation": 0, "attempt": 1},
        "output": "output",
        "receipt": signed.signed.to_wire(),
        "payload": {"id": output or "0" * 64, "bytes_total": 10},
        **changes,
    }


def finishing(inputs: list[dict[str, Any]], **changes: Any) -> Assignment:
    run = expected_root_run(PLAN.plan, FINISH, A.fingerprint)
    order = {"id": run.order, "bytes_total": 10}
    return assignment(path="finish[0]", organization=A.fingerprint, order=order, inputs=inputs, **changes)


def subtask_assignment(**changes: Any) -> Assignment:
    statement = world.signed_subtask(PLAN)
    order = statement.subtask.order_for(B.fingerprint)
    given = {"path": str(statement.subtask.path), "statements": [statement.signed.to_wire()]}
    return assignment(**{**given, "order": {"id": order, "bytes_total": 10}, **changes})


def refusal(given: Assignment, own: str = B.fingerprint, directory: Any = None, at: int = NOW) -> Reason:
    with pytest.raises(VestalError) as caught:
        check(given, own, directory or Everybody(), at)
    assert isinstance(caught.value, TrustError)
    return reason_for(caught.value)


def test_an_honest_assignment_is_what_the_plan_says() -> None:
    checked = check(assignment(), B.fingerprint, Everybody(), NOW)
    assert checked.run == expected_root_run(PLAN.plan, PART, B.fingerprint)
    assert checked.weakest is TrustLevel.VERIFIED


def test_inputs_come_with_their_producers_receipts() -> None:
    checked = check(finishing([delivery(one) for one in (A, B, C)]), A.fingerprint, Everybody(), NOW)
    assert [upstream.producer.organization for upstream in checked.upstream] == world.ALL


def test_a_subtask_comes_with_the_statement_that_leads_to_it() -> None:
    checked = check(subtask_assignment(), B.fingerprint, Everybody(), NOW)
    assert checked.run.outputs[0].organizations == (A.fingerprint,)


OTHER_PLAN = world.plan({**world.plan_document(), "name": "another"})
FORGED = {**PLAN.signed.to_wire(), "body": OTHER_PLAN.signed.to_wire()["body"]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"job": "0c" * 16}, Reason.PLAN_MISMATCH),
        ({"organization": C.fingerprint}, Reason.PLAN_MISMATCH),
        ({"path": "finish[0]"}, Reason.PLAN_MISMATCH),
        ({"path": "part[1]"}, Reason.PLAN_MISMATCH),
        ({"path": "nothing[0]"}, Reason.PLAN_MISMATCH),
        ({"path": "part[0]#1.1@" + A.fingerprint[:16]}, Reason.PLAN_MISMATCH),
        ({"path": "part"}, Reason.PLAN_MISMATCH),
        ({"order": {"id": "f" * 64, "bytes_total": 1}}, Reason.PLAN_MISMATCH),
        ({"generation": 1}, Reason.PLAN_MISMATCH),
        ({"attempt": 99}, Reason.PLAN_MISMATCH),
        ({"plan": FORGED}, Reason.SIGNATURE),
        ({"plan": {**PLAN.signed.to_wire(), "key": C.user.id}}, Reason.PLAN_MISMATCH),
        ({"inputs": [delivery(A)]}, Reason.PLAN_MISMATCH),
    ],
)
def test_each_field_that_the_hub_changes_is_noticed(changes: dict[str, Any], reason: Reason) -> None:
    assert refusal(assignment(**changes)) is reason


def test_a_plan_is_for_the_node_it_is_delivered_to() -> None:
    assert refusal(assignment(), own=C.fingerprint) is Reason.PLAN_MISMATCH


@pytest.mark.parametrize(("at", "reason"), [(NOW + 86_400, Reason.PLAN_EXPIRED), (NOW - 4000, Reason.PLAN_EXPIRED)])
def test_expiry_is_judged_at_acceptance(at: int, reason: Reason) -> None:
    assert refusal(assignment(), at=at) is reason


def test_an_organization_that_is_not_known_stops_the_run() -> None:
    assert refusal(assignment(), directory=Everybody(C.fingerprint)) is Reason.IDENTITY


def test_a_key_that_is_no_user_key_signs_no_plans() -> None:
    assert reason_for(KeyUnknown()) is Reason.SIGNATURE


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [delivery(A), delivery(B)],
        [delivery(A), delivery(B), delivery(C), delivery(C)],
        [delivery(A), delivery(B), delivery(C, name="other")],
        [delivery(A), delivery(B), delivery(C, payload={"id": "e" * 64, "bytes_total": 1})],
        [delivery(A), delivery(B), {**delivery(C), "receipt": delivery(B)["receipt"]}],
        [delivery(A), delivery(B), delivery(C, receipt={"plan": "d" * 64})],
        [delivery(A), delivery(B), delivery(C, receipt={"image": world.OTHER_IMAGE})],
        [delivery(A), delivery(B), delivery(C, receipt={"order": "d" * 64})],
        [
            delivery(A),
            delivery(B),
            delivery(C, receipt={"state": "failed", "reason": Reason.TIMEOUT, "outputs": (), "image": None}),
        ],
    ],
    ids=["none", "one less", "twice", "another name", "another payload", "another's receipt", "another plan",
         "another image", "another order", "failed"],
)  # fmt: skip
def test_inputs_that_the_producer_did_not_sign_are_refused(inputs: list[dict[str, Any]]) -> None:
    assert refusal(finishing(inputs), own=A.fingerprint) in (Reason.PLAN_MISMATCH, Reason.SIGNATURE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"statements": []}, Reason.PLAN_MISMATCH),
        ({"statements": [world.signed_subtask(OTHER_PLAN).signed.to_wire()]}, Reason.PLAN_MISMATCH),
        ({"statements": [world.signed_subtask(PLAN, counter=11).signed.to_wire()]}, Reason.DELEGATION),
        ({"statements": [world.signed_subtask(PLAN, image="other").signed.to_wire()]}, Reason.DELEGATION),
        ({"statements": [world.signed_subtask(PLAN, data=("more",)).signed.to_wire()]}, Reason.DELEGATION),
        ({"statements": [world.signed_subtask(PLAN, issued_at=NOW + 7200).signed.to_wire()]}, Reason.DELEGATION),
        ({"statements": [world.signed_subtask(PLAN, recipients=(C.fingerprint,)).signed.to_wire()]},
         Reason.PLAN_MISMATCH),
        ({"path": "part[0]#1.2@" + A.fingerprint[:16]}, Reason.PLAN_MISMATCH),
        ({"generation": 1}, Reason.PLAN_MISMATCH),
        ({"order": {"id": world.payload_id("order of Registry C"), "bytes_total": 1}}, Reason.PLAN_MISMATCH),
    ],
)  # fmt: skip
def test_a_subtask_beyond_its_delegation_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert refusal(subtask_assignment(**changes)) is reason


def test_a_statement_of_another_organization_s_node_is_no_statement() -> None:
    subtask = world.subtask(PLAN)
    forged = world.SignedSubtask.sign(subtask, B.node)
    assert refusal(subtask_assignment(statements=[forged.signed.to_wire()])) is Reason.SIGNATURE


def supplement(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "plan": PLAN.hash,
        "kind": "retry",
        "runs": (SupplementTarget(path="part[0]", organization=B.fingerprint),),
        "generation": 1,
        "issued_at": NOW,
        "expires_at": NOW + 3600,
    }
    signer = changes.pop("signer", A.user)
    return Supplement.sign(Supplement(**{**fields, **changes}), signer).to_wire()


def test_again_on_purpose_needs_the_initiator_s_signature() -> None:
    given = assignment(generation=1, supplement=supplement())
    assert check(given, B.fingerprint, Everybody(), NOW).name == RunName(
        path="part[0]", organization=B.fingerprint, generation=1, attempt=1
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"generation": 2}, Reason.PLAN_MISMATCH),
        ({"plan": "d" * 64}, Reason.PLAN_MISMATCH),
        ({"runs": (SupplementTarget(path="part[0]", organization=C.fingerprint),)}, Reason.PLAN_MISMATCH),
        ({"expires_at": NOW - 1}, Reason.PLAN_EXPIRED),
        ({"signer": B.user}, Reason.SIGNATURE),
    ],
)
def test_a_supplement_is_as_strict_as_the_plan(changes: dict[str, Any], reason: Reason) -> None:
    assert refusal(assignment(generation=1, supplement=supplement(**changes))) is reason
