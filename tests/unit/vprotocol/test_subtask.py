import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vprotocol.world import (
    NOW,
    OTHER_IMAGE,
    A,
    B,
    C,
    node_key,
    payload_id,
    plan,
    plan_document,
    signed_subtask,
    subtask,
)
from vprotocol import strict_json
from vprotocol.errors import DelegationExceeded, DocumentInvalid, KeyUnknown, PlanMismatch, SignatureInvalid, TrustError
from vprotocol.paths import TaskPath
from vprotocol.plan import CLOCK_SKEW_S, ExpectedOutput, Limits, Party
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import RunName, SignedSubtask, SubtaskTarget, expected_run

PLAN = plan()
FIRST = signed_subtask(PLAN)
PATH = FIRST.subtask.path


def expected(statements=(FIRST,), path=None, at=B, now=NOW, **options):
    path = path or (statements[-1].subtask.path if statements else TaskPath("part"))
    return expected_run(PLAN, path, at.fingerprint, statements, node_key=node_key, now=now, **options)


def second(**changes):
    """B's run of the first subtask asks C."""
    target = (SubtaskTarget(organization=C.fingerprint, order=payload_id("second order")),)
    fields = {"targets": target, "parent": RunName(path=str(PATH), organization=B.fingerprint), **changes}
    return signed_subtask(PLAN, at=B, recipients=fields.pop("recipients", (B.fingerprint,)), **fields)


def test_it_travels_and_comes_back_equal():
    assert SignedSubtask.from_wire(FIRST.signed.to_wire()) == FIRST


def test_a_subtask_is_what_its_statement_says():
    run = expected(generation=0)
    assert str(run.path) == f"part[0]#1.1@{A.fingerprint[:16]}"
    assert run.order == payload_id("order of Hospital B")
    assert run.order_sender == Party(organization=A.fingerprint, key=A.node.id)
    assert run.outputs == (ExpectedOutput("output", (A.fingerprint,), ()),)
    assert run.log_readers == PLAN.plan.readers, "logs are for the initiator, never for the parent's organization"
    assert run.image == PLAN.plan.images["mean"]
    assert run.delegation is not None, "two levels are allowed"


def test_a_subtask_of_a_subtask():
    run = expected((FIRST, second()), at=C)
    assert run.path == PATH.child(B.fingerprint, 1, 1)
    assert run.outputs[0].organizations == (B.fingerprint,)
    assert run.delegation is None, "and not a third"


def test_a_run_of_the_plan_itself_needs_no_statement():
    assert expected(()).path == TaskPath("part")


@pytest.mark.parametrize(
    ("statements", "path", "at", "says"),
    [
        ((), PATH, B, "needs 1 subtask statements, 0 came"),
        ((FIRST,), TaskPath("part"), B, "needs 0 subtask statements, 1 came"),
        ((FIRST, FIRST), PATH, B, "needs 1 subtask statements, 2 came"),
        ((FIRST,), PATH, A, "does not run at this organization"),
        ((FIRST,), TaskPath("part").child(A.fingerprint, 1, 2), B, "not to part"),
        ((FIRST,), TaskPath("part").child(A.fingerprint, 2, 1), B, "not to part"),
        ((FIRST,), TaskPath("part").child(C.fingerprint, 1, 1), B, "not to part"),
        ((FIRST,), TaskPath("finish").child(A.fingerprint, 1, 1), B, "names another parent"),
        ((FIRST,), TaskPath("part", 1).child(A.fingerprint, 1, 1), B, "no iteration"),
        ((FIRST, FIRST), PATH.child(A.fingerprint, 1, 1), B, "does not run at this organization"),
        ((second(), FIRST), PATH.child(B.fingerprint, 1, 1), C, "names another parent"),
        (
            (FIRST, second(parent=RunName(path=str(PATH), organization=B.fingerprint, generation=1))),
            PATH.child(B.fingerprint, 1, 1),
            C,
            "different generations",
        ),
        ((signed_subtask(plan({**plan_document(), "name": "another"})),), PATH, B, "about another plan"),
        ((signed_subtask(PLAN, recipients=(A.fingerprint, B.fingerprint)),), PATH, B, "nobody else"),
        ((signed_subtask(PLAN, recipients=(B.fingerprint,)),), PATH, B, "nobody else"),
        ((signed_subtask(PLAN, recipients=()),), PATH, B, "nobody else"),
        ((signed_subtask(PLAN, TaskPath("absent")),), PATH, B, "names another parent"),
    ],
)
def test_a_chain_that_does_not_lead_there_is_refused(statements, path, at, says):
    with pytest.raises(PlanMismatch, match=says):
        expected(statements, path, at)


def test_a_parent_that_the_plan_does_not_run_there_is_refused():
    finish = signed_subtask(PLAN, TaskPath("finish"), at=B)
    with pytest.raises(PlanMismatch, match="does not run at this organization"):
        expected((finish,), finish.subtask.path)


def test_the_generation_is_that_of_the_statements():
    again = signed_subtask(PLAN, parent=RunName(path="part[0]", organization=A.fingerprint, generation=3))
    assert expected((again,), generation=3).path == again.subtask.path
    with pytest.raises(PlanMismatch, match="generation"):
        expected((again,), generation=0)
    with pytest.raises(PlanMismatch, match="generation"):
        expected(generation=1)


def test_without_keys_nothing_is_believed():
    with pytest.raises(PlanMismatch, match="cannot be checked"):
        expected_run(PLAN, PATH, B.fingerprint, (FIRST,))


@pytest.mark.parametrize("key", [B.node, A.user, A.root])
def test_only_a_node_of_the_parents_organization_signs(key):
    with pytest.raises(KeyUnknown):
        expected((SignedSubtask.sign(FIRST.subtask, key),))


def test_a_forged_signature_is_refused():
    forged = SignedSubtask(FIRST.subtask, Signed(FIRST.signed.type, FIRST.signed.body, A.node.id, bytes(64)))
    with pytest.raises(SignatureInvalid):
        expected((forged,))


def _target(*organizations):
    return tuple(SubtaskTarget(organization=o.fingerprint, order=payload_id(o.name)) for o in organizations)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "other"}, "does not let this step delegate the image `other`"),
        ({"image": "absent"}, "does not let this step delegate the image `absent`"),
        ({"targets": (SubtaskTarget(organization="ee" * 32, order="00" * 32),)}, "ask a stranger"),
        ({"targets": _target(B, B)}, "asks an organization once"),
        ({"data": ("default", "secret")}, "does not let subtasks use"),
        ({"counter": 11}, "allows 10 subtasks a parent attempt"),
        ({"limits": Limits(time_s=3601)}, "wider than the plan allows"),
        ({"limits": Limits(attempts=4)}, "wider than the plan allows"),
        ({"issued_at": NOW + 3601}, "the time .* is over"),
    ],
)
def test_delegation_has_limits(changes, says):
    statement = signed_subtask(PLAN, **changes)
    with pytest.raises(DelegationExceeded, match=says):
        expected((statement,))


def test_delegation_to_an_organization_that_is_in_the_plan_but_not_allowed():
    document = plan_document()
    document["steps"][0]["delegation"]["organizations"] = [B.fingerprint]
    narrow = plan(document)
    statement = signed_subtask(narrow)
    with pytest.raises(DelegationExceeded, match="ask Registry C"):
        expected_run(narrow, statement.subtask.path, B.fingerprint, (statement,), node_key=node_key, now=NOW)


def test_a_step_without_delegation_delegates_nothing():
    statement = signed_subtask(PLAN, TaskPath("finish"))
    with pytest.raises(DelegationExceeded, match="nothing"):
        expected((statement,))


def test_a_third_level_is_too_deep():
    two = second()
    three = signed_subtask(PLAN, two.subtask.path, at=C, targets=_target(B), recipients=(C.fingerprint,))
    with pytest.raises(DelegationExceeded, match="nothing"):
        expected((FIRST, two, three))


def test_an_old_statement_is_refused_when_it_is_accepted_late():
    expected(now=NOW + 3600 + CLOCK_SKEW_S)
    with pytest.raises(DelegationExceeded, match="is over"):
        expected(now=NOW + 3601 + CLOCK_SKEW_S)


GOOD = json.loads(FIRST.signed.body)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"more": 1},
        {"plan": "x"},
        {"counter": 0},
        {"counter": True},
        {"targets": []},
        {"targets": [{"organization": B.fingerprint}]},
        {"parent": {**GOOD["parent"], "path": "part"}},
        {"parent": {**GOOD["parent"], "attempt": 0}},
        {"parent": {**GOOD["parent"], "attempt": 1_000_000}},
        {"parent": {**GOOD["parent"], "generation": -1}},
        {"image": "a b"},
        {"limits": {}},
        {"recipients": "everybody"},
        {"issued_at": "now"},
    ],
)
def test_a_malformed_statement_is_refused(change):
    signed = Signed.sign(DocumentType.SUBTASK, strict_json.canonical({**GOOD, **change}), A.node)
    with pytest.raises(DocumentInvalid):
        SignedSubtask.read(signed)


@pytest.mark.parametrize("kind", sorted(set(DocumentType) - {DocumentType.SUBTASK}))
def test_no_other_document_is_read_as_a_subtask(kind):
    with pytest.raises(DocumentInvalid, match="is needed"):
        SignedSubtask.read(Signed.sign(kind, FIRST.signed.body, A.node))


@settings(max_examples=200)
@given(st.integers(0, 2**31), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    data = bytearray(FIRST.signed.body)
    data[position % len(data)] ^= change
    changed = Signed(DocumentType.SUBTASK, bytes(data), A.node.id, FIRST.signed.signature)
    with pytest.raises(TrustError):
        statement = SignedSubtask.read(changed)
        expected((statement,), PATH)


def test_the_same_image_under_another_name_is_another_image():
    assert subtask(PLAN).image == "mean" and PLAN.plan.images["other"].config_digest == OTHER_IMAGE
