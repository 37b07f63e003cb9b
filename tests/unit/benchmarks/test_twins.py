"""The messages of the hub bench are those that the programs send: signed, sealed, readable for whom they are meant."""

import base64
import json
import time

import pytest

from benchmarks.twins import OUTCOME, Twin, result_of
from vprotocol.envelope import Context, PayloadKind, Suite, open_bytes
from vprotocol.messages.job import JobSubmit
from vprotocol.messages.run import RunResult
from vprotocol.plan import SignedPlan, root_runs
from vprotocol.receipt import SignedReceipt
from vprotocol.signed import DocumentType


@pytest.fixture
def twins():
    now = int(time.time())
    return Twin.new(1, "A", now), Twin.new(2, "B", now), now


def test_a_job_is_signed_for_one_run_at_its_target(twins):
    a, b, now = twins
    message = JobSubmit.from_wire(json.loads(a.job("ab" * 16, b, now)))
    plan = SignedPlan.from_wire(message.plan.to_wire())
    plan.verify(a.user.public)
    ((step, _, organization),) = root_runs(plan.plan)
    assert (step.name, organization) == ("mean", b.log.fingerprint)


def test_two_jobs_are_two(twins):
    a, b, now = twins
    assert a.job("ab" * 16, b, now) != a.job("ab" * 16, b, now)


def test_a_result_holds_an_outcome_that_its_reader_opens(twins):
    a, b, now = twins
    job = json.loads(a.job("ab" * 16, b, now))
    plan = SignedPlan.from_wire(job["plan"])
    place = {"path": "mean[0]", "organization": b.log.fingerprint, "generation": 0, "attempt": 1}
    assignment = {**place, "plan": job["plan"], "order": {"id": "ef" * 32}, "lease_token": "token"}
    message = RunResult.from_wire(json.loads(result_of(assignment, b.node, a.user.public, now)))
    SignedReceipt.from_wire(message.receipt.to_wire()).signed.check(DocumentType.RECEIPT, b.node.public)
    context = Context(suite=Suite.XWING, kind=PayloadKind.OUTCOME, plan=plan.hash, sender=b.node.id, **place)
    sealed = base64.b64decode(message.payloads[0])
    assert open_bytes(sealed, reader=a.user, sender=b.node.public, expected=context) == OUTCOME
