import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vprotocol.world import ALL, IMAGE, NOW, A, B, C, payload_id, plan, plan_document
from vprotocol import strict_json
from vprotocol.errors import DocumentInvalid, PlanExpired, PlanInvalid, PlanMismatch, PlanTooLarge, SignatureInvalid
from vprotocol.paths import TaskPath
from vprotocol.plan import (
    CLOCK_SKEW_S,
    MAX_VALIDITY_S,
    ExpectedInput,
    ExpectedOutput,
    Limits,
    Party,
    Plan,
    Producer,
    SignedPlan,
    Supplement,
    SupplementTarget,
    expected_root_run,
    root_runs,
)
from vprotocol.signed import DocumentType, Signed

SIGNED = plan()


def changed(change):
    document = copy.deepcopy(plan_document())
    change(document)
    return document


def as_signed(document, key=A.user):
    """What somebody could sign who does not use our builder."""
    complete = json.loads(SIGNED.signed.body) | document
    return Signed.sign(DocumentType.PLAN, strict_json.canonical(complete), key)


def test_it_travels_and_comes_back_equal():
    read = SignedPlan.from_wire(SIGNED.signed.to_wire())
    assert read == SIGNED and read.hash == SIGNED.hash
    read.verify(A.user.public)


def test_the_hash_is_of_what_was_signed():
    assert plan(changed(lambda d: d.update(name="another"))).hash != SIGNED.hash
    assert plan().hash == SIGNED.hash


STRANGER = "ee" * 32


def _step(number, **fields):
    return lambda d: d["steps"][number].update(fields)


def _delegation(**fields):
    return lambda d: d["steps"][0]["delegation"].update(fields)


def _connection(**fields):
    return lambda d: d["connections"][0].update(fields)


ORDER = payload_id("an order")
NONE = {"from_step": "part", "from_output": "output", "to_step": "finish", "pattern": "none", "recipients": []}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(expires_at=NOW), "must expire after it was issued"),
        (lambda d: d.update(expires_at=NOW - 1), "must expire after it was issued"),
        (lambda d: d.update(expires_at=NOW + MAX_VALIDITY_S + 1), "within a year"),
        (lambda d: d["organizations"].append(d["organizations"][0]), "same id or too similar"),
        (lambda d: d["organizations"][1].update(id=1), "same id or too similar"),
        (lambda d: d["organizations"][1].update(fingerprint=ALL[0][:16] + "0" * 48), "same id or too similar"),
        (lambda d: d["steps"][1].update(name="part"), "two steps have the same name"),
        (_step(0, image="absent"), "names the image `absent`, which the plan does not list"),
        (_step(0, on=[*ALL, STRANGER]), "names an organization that the plan does not list"),
        (_step(0, on=[*ALL, ALL[0]]), "names an organization twice"),
        (_step(0, orders=[{"organizations": ALL[:2], "payload": ORDER}]), "exactly one order for each"),
        (_step(0, orders=[{"organizations": ALL, "payload": ORDER}] * 2), "exactly one order for each"),
        (_step(1, orders=[{"organizations": ALL, "payload": ORDER}]), "exactly one order for each"),
        (_step(1, needs=4), "needs 4 participants, and fewer feed it"),
        (_step(0, sequence="chain"), "`chain` is not supported"),
        (_delegation(images=["absent"]), "delegation of step `part` names the image `absent`"),
        (_delegation(organizations=[STRANGER]), "the delegation of step `part` names an organization that"),
        (_delegation(organizations=[ALL[0], ALL[0]]), "the delegation of step `part` names an organization twice"),
        (_connection(from_step="absent"), "names the step `absent`, which does not exist"),
        (_connection(to_step="absent"), "names the step `absent`, which does not exist"),
        (_connection(to_step="part"), "connected to itself"),
        (lambda d: d["connections"].append({**d["connections"][0]}), "two connections end in the input `parts`"),
        (
            lambda d: d["connections"].append({**NONE, "to_input": None, "from_step": "finish", "to_step": "part"}),
            "the connections form a cycle",
        ),
        (_connection(to_input=None), "an input is named by every pattern but `none`"),
        (_connection(pattern="none", recipients=[]), "an input is named by every pattern but `none`"),
        (_connection(recipients=[ALL[1]]), "the recipients are not those of the pattern `gather`"),
        (_connection(recipients=[]), "the recipients are not those of the pattern `gather`"),
        (_connection(recipients=ALL), "the recipients are not those of the pattern `gather`"),
        (_connection(pattern="broadcast"), "`broadcast` takes the output of one organization; 3 produce"),
        (
            lambda d: d["steps"][1].update(
                on=ALL[:2], orders=[{"organizations": ALL[:2], "payload": ORDER}], final=["output"]
            ),
            "`gather` brings everything to one organization; 2 consume",
        ),
        (lambda d: d.update(repeat=[{"steps": ["part"], "times": 2}]), "loops .* are not supported"),
        (_connection(pattern="ring"), "pattern"),
        (lambda d: d.update(version=2), "version"),
        (lambda d: d.update(suite=3), "suite"),
        (lambda d: d.update(surprise=1), "surprise"),
        (_step(0, surprise=1), "surprise"),
        (lambda d: d.update(job="0A" * 16), "job"),
        (lambda d: d.update(job="0a" * 15), "job"),
        (lambda d: d.update(steps=[]), "steps"),
        (lambda d: d.update(images={}), "images"),
        (lambda d: d.update(readers=[]), "readers"),
        (lambda d: d.update(organizations=[]), "organizations"),
        (lambda d: d.update(name=""), "name"),
        (lambda d: d.update(name="mean\x1b]0;owned\x07"), "control characters"),
        (lambda d: d["organizations"][0].update(name="\u202eA latipsoH"), "control characters"),
        (lambda d: d["organizations"][0].update(id=0), "id"),
        (lambda d: d["images"]["mean"].update(config_digest=IMAGE[:-1]), "config_digest"),
        (lambda d: d["images"]["mean"].update(config_digest=None), "config_digest"),
        (_step(0, on=[]), "on"),
        (_step(0, name="1part"), "a label begins with a letter"),
        (_step(0, limits={"time_s": 0}), "time_s"),
        (_step(0, limits={"memory_bytes": 1}), "memory_bytes"),
        (_step(0, fail="slowly"), "fail"),
        (_delegation(depth=9), "depth"),
        (_delegation(children=0), "children"),
        (lambda d: d.update(priority=10), "priority"),
    ],
)
def test_each_contradiction_has_its_sentence(change, says):
    document = changed(change)
    with pytest.raises(ValueError, match=says):
        Plan.model_validate(document)
    with pytest.raises(PlanInvalid, match=says):
        SignedPlan.read(as_signed(document))


@pytest.mark.parametrize(
    "body",
    [
        SIGNED.signed.body + b" ",
        b" " + SIGNED.signed.body,
        SIGNED.signed.body.replace(b'"version":1', b'"version":true'),
        SIGNED.signed.body.replace(b'"suite":2', b'"suite":2,"suite":2'),
        SIGNED.signed.body.replace(b'"suite":2', b'"suite":2.0'),
        SIGNED.signed.body.replace(b'"suite":2', b'"suite":true'),
        SIGNED.signed.body.replace(b'"priority":5', b'"priority":"5"'),
        SIGNED.signed.body.replace(b'"priority":5,', b""),
        SIGNED.signed.body.replace(b'"download":true', b'"download":1'),
        SIGNED.signed.body.replace(b"federated", b"\\u0066ederated"),
        b"",
        b"[]",
        b"null",
        b"\xff",
    ],
)
def test_any_other_spelling_is_refused_even_when_signed(body):
    assert body != SIGNED.signed.body
    with pytest.raises(PlanInvalid):
        SignedPlan.read(Signed.sign(DocumentType.PLAN, body, A.user))


@settings(max_examples=300)
@given(st.integers(0, 2**31), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    data = bytearray(SIGNED.signed.body)
    data[position % len(data)] ^= change
    with pytest.raises((PlanInvalid, SignatureInvalid)):
        SignedPlan.read(Signed(DocumentType.PLAN, bytes(data), A.user.id, SIGNED.signed.signature)).verify(
            A.user.public
        )


@given(st.integers(0, len(SIGNED.signed.body) - 1))
def test_any_truncation_is_refused(length):
    with pytest.raises(PlanInvalid):
        SignedPlan.read(Signed.sign(DocumentType.PLAN, SIGNED.signed.body[:length], A.user))


def test_only_the_issuer_signs_a_plan():
    with pytest.raises(PlanInvalid, match="another issuer"):
        SignedPlan.sign(SIGNED.plan, B.user)
    with pytest.raises(PlanInvalid, match="another key than its issuer's"):
        SignedPlan.read(Signed.sign(DocumentType.PLAN, SIGNED.signed.body, B.user))
    with pytest.raises(SignatureInvalid):
        SIGNED.verify(B.user.public)
    forged = Signed(DocumentType.PLAN, SIGNED.signed.body, A.user.id, bytes(64))
    with pytest.raises(SignatureInvalid):
        SignedPlan.read(forged).verify(A.user.public)


@pytest.mark.parametrize("kind", sorted(set(DocumentType) - {DocumentType.PLAN}))
def test_no_other_document_is_read_as_a_plan(kind):
    with pytest.raises(PlanInvalid, match="a plan is needed"):
        SignedPlan.read(Signed.sign(kind, SIGNED.signed.body, A.user))


def test_a_plan_beyond_256_kib_is_refused():
    document = changed(lambda d: d.update(labels={f"label{n}": "x" * 1000 for n in range(300)}))
    with pytest.raises(PlanTooLarge, match="262144 are allowed"):
        SignedPlan.sign(Plan.model_validate(document), A.user)
    with pytest.raises(PlanTooLarge, match="262144 are allowed"):
        SignedPlan.read(as_signed(document))


def test_wire_that_is_no_signed_document_is_refused():
    with pytest.raises(DocumentInvalid):
        SignedPlan.from_wire({"type": [], "body": "", "key": "", "signature": ""})


@pytest.mark.parametrize("now", [NOW - CLOCK_SKEW_S - 1, NOW + 86_400, NOW + 10**9])
def test_a_plan_is_valid_for_its_time(now):
    for good in (NOW - CLOCK_SKEW_S, NOW, NOW + 86_399):
        SIGNED.plan.check_time(good)
    with pytest.raises(PlanExpired):
        SIGNED.plan.check_time(now)


# --- what the plan says about its runs -------------------------------------------------------------------------------
def test_the_run_of_a_step_with_inputs():
    run = expected_root_run(SIGNED.plan, TaskPath("finish"), A.fingerprint)
    assert run.order == payload_id("order of finish")
    assert run.order_sender == Party(organization=A.fingerprint, key=A.user.id)
    producers = tuple(Producer(TaskPath("part"), fingerprint, "output") for fingerprint in ALL)
    assert run.inputs == (ExpectedInput("parts", True, producers),)
    assert run.outputs == (ExpectedOutput("output", (), SIGNED.plan.readers),)
    assert run.after == tuple((TaskPath("part"), fingerprint) for fingerprint in ALL)
    assert run.delegation is None and not run.optional and run.image.config_digest == IMAGE


def test_the_run_of_a_step_without_inputs():
    run = expected_root_run(SIGNED.plan, TaskPath("part"), C.fingerprint)
    assert (run.inputs, run.after, run.data) == ((), (), ("default",))
    assert run.outputs == (ExpectedOutput("output", (A.fingerprint,), ()),)
    assert run.delegation == SIGNED.plan.steps[0].delegation
    assert run.log_readers == SIGNED.plan.readers


def test_a_final_output_that_is_also_fed_onward_is_sealed_for_both():
    run = expected_root_run(plan(changed(_step(0, final=["output", "extra"]))).plan, TaskPath("part"), B.fingerprint)
    assert run.outputs == (
        ExpectedOutput("output", (A.fingerprint,), SIGNED.plan.readers),
        ExpectedOutput("extra", (), SIGNED.plan.readers),
    )


def test_an_order_without_data_makes_no_input_and_no_output():
    document = changed(lambda d: d.update(connections=[{**NONE, "to_input": None}]))
    run = expected_root_run(plan(document).plan, TaskPath("finish"), A.fingerprint)
    assert run.inputs == () and len(run.after) == 3
    assert expected_root_run(plan(document).plan, TaskPath("part"), A.fingerprint).outputs == ()


def test_every_run_that_the_plan_asks_for_has_an_expectation():
    runs = root_runs(SIGNED.plan)
    assert [(str(path), organization) for _, path, organization in runs] == [
        *(("part[0]", fingerprint) for fingerprint in ALL),
        ("finish[0]", A.fingerprint),
    ]
    for step, path, organization in runs:
        run = expected_root_run(SIGNED.plan, path, organization)
        assert (run.path, run.organization, run.data) == (path, organization, step.data)


@pytest.mark.parametrize(
    ("path", "organization", "says"),
    [
        (TaskPath("absent"), A.fingerprint, "no step"),
        (TaskPath("part", 1), A.fingerprint, "no iteration"),
        (TaskPath("finish"), B.fingerprint, "does not run at this organization"),
        (TaskPath("part"), STRANGER, "does not run at this organization"),
        (TaskPath("part").child(A.fingerprint, 1, 1), B.fingerprint, "no step"),
    ],
)
def test_the_plan_knows_no_other_runs(path, organization, says):
    with pytest.raises(PlanMismatch, match=says):
        expected_root_run(SIGNED.plan, path, organization)


@pytest.mark.parametrize("name", list(Limits.model_fields))
def test_one_wider_limit_is_wider(name):
    limits = Limits()
    wider = limits.model_copy(update={name: getattr(limits, name) + 1})
    assert limits.within(limits) and limits.within(wider) and not wider.within(limits)


# --- again on purpose ------------------------------------------------------------------------------------------------
def supplement(**changes):
    fields = {
        "plan": SIGNED.hash,
        "kind": "retry",
        "runs": (SupplementTarget(path="part[0]", organization=B.fingerprint),),
        "generation": 1,
        "issued_at": NOW,
        "expires_at": NOW + 60,
    }
    return Supplement(**{**fields, **changes})


def test_the_initiator_signs_again():
    signed = Supplement.sign(supplement(), A.user)
    assert Supplement.verify(signed, SIGNED, A.user.public) == supplement()


def test_a_supplement_of_another_plan_or_person_is_refused():
    with pytest.raises(PlanMismatch, match="another plan"):
        Supplement.verify(Supplement.sign(supplement(plan="0" * 64), A.user), SIGNED, A.user.public)
    with pytest.raises(PlanMismatch):
        Supplement.verify(Supplement.sign(supplement(), B.user), SIGNED, B.user.public)
    with pytest.raises(SignatureInvalid):
        Supplement.verify(Supplement.sign(supplement(), B.user), SIGNED, A.user.public)
    with pytest.raises(SignatureInvalid, match="is needed"):
        Supplement.verify(SIGNED.signed, SIGNED, A.user.public)


@pytest.mark.parametrize(
    "change", [{"generation": 0}, {"kind": "again"}, {"runs": []}, {"more": 1}, {"version": 2}, {"version": True}]
)
def test_a_malformed_supplement_is_refused(change):
    body = {**json.loads(supplement().encode()), **change}
    signed = Signed.sign(DocumentType.SUPPLEMENT, strict_json.canonical(body), A.user)
    with pytest.raises(PlanInvalid):
        Supplement.verify(signed, SIGNED, A.user.public)
