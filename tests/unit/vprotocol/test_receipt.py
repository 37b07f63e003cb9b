import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vprotocol.world import (
    ALL,
    NOW,
    OTHER_IMAGE,
    A,
    B,
    payload_id,
    plan,
    plan_document,
    receipt,
)
from vprotocol import strict_json
from vprotocol.errors import ReceiptInvalid, SignatureInvalid
from vprotocol.paths import TaskPath
from vprotocol.plan import expected_root_run
from vprotocol.reasons import Reason
from vprotocol.receipt import OpenedInput, ReceiptOutput, SignedReceipt
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import RunName

PLAN = plan()
PART = expected_root_run(PLAN.plan, TaskPath("part"), B.fingerprint)
FINISH = expected_root_run(PLAN.plan, TaskPath("finish"), A.fingerprint)
INPUTS = tuple(
    OpenedInput(
        name="parts",
        producer=RunName(path="part[0]", organization=fingerprint),
        payload=payload_id(fingerprint),
        receipt=payload_id(f"receipt of {fingerprint}"),
    )
    for fingerprint in ALL
)
SIGNED = SignedReceipt.sign(receipt(PLAN, PART), B.node)


def part(**changes):
    return SignedReceipt.sign(receipt(PLAN, PART, **changes), B.node)


def finish(**changes):
    return SignedReceipt.sign(receipt(PLAN, FINISH, **{"inputs": INPUTS, **changes}), A.node)


def test_it_travels_and_comes_back_equal():
    assert SignedReceipt.from_wire(SIGNED.signed.to_wire()) == SIGNED


def test_an_honest_receipt_is_accepted():
    assert SIGNED.verify(B.node.public, PLAN.hash, PART) == SIGNED.receipt
    finish().verify(A.node.public, PLAN.hash, FINISH)
    assert SIGNED.receipt.output("output") == payload_id("output")
    assert SIGNED.receipt.output("absent") is None


@pytest.mark.parametrize("state", ["failed", "refused", "cancelled"])
def test_a_run_that_did_not_complete_may_have_opened_and_run_nothing(state):
    ended = finish(state=state, reason=Reason.POLICY, image=None, inputs=(), outputs=(), started_at=None)
    assert ended.verify(A.node.public, PLAN.hash, FINISH).state == state


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"plan": "0" * 64}, "about another plan"),
        ({"run": RunName(path="finish[0]", organization=B.fingerprint)}, "about another run"),
        ({"run": RunName(path="part[1]", organization=B.fingerprint)}, "about another run"),
        ({"run": RunName(path="part[0]", organization=A.fingerprint)}, "about another run"),
        ({"run": RunName(path="part[0]", organization=B.fingerprint, generation=1)}, "another generation"),
        ({"order": payload_id("another order")}, "another order"),
        ({"image": OTHER_IMAGE}, "another image"),
        ({"image": None}, "another image"),
        ({"outputs": ()}, "the outputs are not those"),
        ({"outputs": (ReceiptOutput(name="other", payload="0" * 64),)}, "the outputs are not those"),
        ({"inputs": INPUTS[:1]}, "inputs that the plan does not name"),
    ],
)
def test_a_receipt_about_something_else_is_refused(changes, says):
    with pytest.raises(ReceiptInvalid, match=says):
        part(**changes).verify(B.node.public, PLAN.hash, PART)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ((), "did not open all inputs"),
        (INPUTS[:2], "did not open all inputs"),
        ((*INPUTS[:2], INPUTS[1]), "does not name"),
        ((*INPUTS, INPUTS[0]), "does not name"),
        ((INPUTS[0].model_copy(update={"name": "other"}), *INPUTS[1:]), "does not name"),
        (
            (
                INPUTS[0].model_copy(update={"producer": RunName(path="finish[0]", organization=A.fingerprint)}),
                *INPUTS[1:],
            ),
            "does not name",
        ),
    ],
)
def test_exactly_the_inputs_of_the_plan_are_opened_once_each(inputs, says):
    with pytest.raises(ReceiptInvalid, match=says):
        finish(inputs=inputs).verify(A.node.public, PLAN.hash, FINISH)


def test_a_quorum_is_counted():
    document = plan_document()
    document["steps"][1]["needs"] = 2
    quorum = plan(document)
    run = expected_root_run(quorum.plan, TaskPath("finish"), A.fingerprint)
    for participants in (None, 0, 1):
        short = SignedReceipt.sign(receipt(quorum, run, inputs=INPUTS[:2], participants=participants), A.node)
        with pytest.raises(ReceiptInvalid, match="fewer participants"):
            short.verify(A.node.public, quorum.hash, run)
    SignedReceipt.sign(receipt(quorum, run, inputs=INPUTS[:2], participants=2), A.node).verify(
        A.node.public, quorum.hash, run
    )


def test_only_the_node_signs():
    with pytest.raises(SignatureInvalid):
        SIGNED.verify(A.node.public, PLAN.hash, PART)
    forged = SignedReceipt(SIGNED.receipt, Signed(SIGNED.signed.type, SIGNED.signed.body, B.node.id, bytes(64)))
    with pytest.raises(SignatureInvalid):
        forged.verify(B.node.public, PLAN.hash, PART)


def test_another_generation_is_expected_by_name():
    again = part(run=RunName(path="part[0]", organization=B.fingerprint, generation=1))
    assert again.verify(B.node.public, PLAN.hash, PART, generation=1)
    with pytest.raises(ReceiptInvalid, match="generation"):
        SIGNED.verify(B.node.public, PLAN.hash, PART, generation=1)


GOOD = json.loads(SIGNED.signed.body)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"state": "running"}, "state"),
        ({"state": "failed"}, "has a reason"),
        ({"reason": "policy"}, "has a reason"),
        ({"reason": "because"}, "reason"),
        ({"state": "failed", "reason": "policy"}, "only a completed run has outputs"),
        ({"outputs": GOOD["outputs"] * 2}, "named twice"),
        ({"version": 2}, "version"),
        ({"version": True}, "one form"),
        ({"more": 1}, "more"),
        ({"image": "sha256:xyz"}, "image"),
        ({"executor": "docker\x1b[0m"}, "control characters"),
        ({"participants": -1}, "participants"),
        ({"go_on": 1}, "go_on"),
        ({"profile": "none"}, "profile"),
        ({"run": {**GOOD["run"], "path": "part"}}, "task path"),
        ({"finished_at": None}, "finished_at"),
    ],
)
def test_a_malformed_receipt_is_refused(change, says):
    signed = Signed.sign(DocumentType.RECEIPT, strict_json.canonical({**GOOD, **change}), B.node)
    with pytest.raises(ReceiptInvalid, match=says):
        SignedReceipt.read(signed)


@pytest.mark.parametrize("wire", [None, [], {}, {**SIGNED.signed.to_wire(), "type": []}])
def test_malformed_wire_is_refused(wire):
    with pytest.raises(ReceiptInvalid):
        SignedReceipt.from_wire(wire)


@pytest.mark.parametrize("kind", sorted(set(DocumentType) - {DocumentType.RECEIPT}))
def test_no_other_document_is_read_as_a_receipt(kind):
    with pytest.raises(ReceiptInvalid, match="is needed"):
        SignedReceipt.read(Signed.sign(kind, SIGNED.signed.body, B.node))


@settings(max_examples=200)
@given(st.integers(0, 2**31), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    data = bytearray(SIGNED.signed.body)
    data[position % len(data)] ^= change
    changed = Signed(DocumentType.RECEIPT, bytes(data), B.node.id, SIGNED.signed.signature)
    with pytest.raises((ReceiptInvalid, SignatureInvalid)):
        SignedReceipt.read(changed).verify(B.node.public, PLAN.hash, PART)


def test_times_stand_in_it():
    assert (SIGNED.receipt.started_at, SIGNED.receipt.finished_at) == (NOW, NOW + 5)
