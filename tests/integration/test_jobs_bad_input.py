"""Every wrong submission, subtask and result ends in its own clear error, and changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.federation import Draft, Federation, NodeTwin, Refused, Step, b64, delegation, plan_of
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.plan import Limits, Party, PlanOrganization, SignedPlan
from vprotocol.receipt import ReceiptOutput
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import RunName


@pytest.fixture
def database_url() -> None:
    """SQLite: what is refused never comes near the database."""


# --- submissions -----------------------------------------------------------------------------------------------------
def _stranger(f: Federation) -> PlanOrganization:
    return PlanOrganization(fingerprint="f" * 64, id=999, name="Nobody")


def _renumbered(f: Federation) -> tuple[PlanOrganization, ...]:
    first, second, third = f.organizations
    numbers = (second.id, first.id, third.id)
    return tuple(
        PlanOrganization(fingerprint=o.fingerprint, id=number, name=o.name)
        for o, number in zip(f.organizations, numbers, strict=True)
    )


def _listed(f: Federation) -> tuple[PlanOrganization, ...]:
    return tuple(PlanOrganization(fingerprint=o.fingerprint, id=o.id, name=o.name) for o in f.organizations)


def _changed_body(draft: Draft) -> dict[str, Any]:
    message = draft.message()
    signed = draft.plan.signed
    body = signed.body.replace(b"mean age", b"mean wage")
    changed = Signed(signed.type, body, signed.key, signed.signature)
    return {**message, "plan": changed.to_wire()}


def _floats(draft: Draft) -> dict[str, Any]:
    signed = draft.plan.signed
    body = signed.body.replace(b'"priority":5', b'"priority":5.0')
    return {**draft.message(), "plan": Signed(signed.type, body, signed.key, signed.signature).to_wire()}


def _of_another_type(f: Federation, draft: Draft) -> dict[str, Any]:
    signed = Signed.sign(DocumentType.RECEIPT, draft.plan.signed.body, f.organizations[0].user_key)
    return {**draft.message(), "plan": signed.to_wire()}


def _by_a_strange_key(f: Federation) -> dict[str, Any]:
    draft, key = f.simple(), PrivateKey.generate(KeyKind.USER)
    party = Party(organization=f.organizations[0].fingerprint, key=key.id)
    plan = draft.plan.plan.model_copy(update={"issuer": party})
    return Draft(SignedPlan.sign(plan, key), draft.orders).message()


def _cyclic(f: Federation) -> dict[str, Any]:
    draft = f.simple()
    body = draft.plan.signed.body
    edge = b'{"from_output":"o","from_step":"mean","pattern":"none","recipients":[],"to_input":null,"to_step":"mean"}'
    body = body.replace(b'"connections":[]', b'"connections":[' + edge + b"]")
    return {**draft.message(), "plan": Signed.sign(DocumentType.PLAN, body, f.organizations[0].user_key).to_wire()}


SUBMISSIONS: dict[str, tuple[Callable[[Federation], dict[str, Any]], str, str]] = {
    "not a plan": (lambda f: {"plan": {"type": "x"}}, "bad_message", "body"),
    "another document": (lambda f: _of_another_type(f, f.simple()), "plan_invalid", "a plan is needed"),
    "changed after signing": (lambda f: _changed_body(f.simple()), "signature_invalid", "signature"),
    "a float in it": (lambda f: _floats(f.simple()), "plan_invalid", "not an integer"),
    "a cycle": (_cyclic, "plan_invalid", "connected to itself"),
    "an uncertified key": (_by_a_strange_key, "key_unknown", "not certified"),
    "the issuer of another organization": (lambda f: f.simple(by=1).message(), "forbidden", "not of your organization"),
    "another collaboration": (lambda f: f.simple(collaboration="0" * 32).message(), "not_found", "no collaboration"),
    "a stranger among the organizations": (
        lambda f: f.simple(organizations=(*_listed(f), _stranger(f))).message(),
        "not_found",
        "Nobody is not in this collaboration",
    ),
    "numbers that belong to others": (
        lambda f: f.simple(organizations=_renumbered(f)).message(),
        "plan_invalid",
        "here it is",
    ),
    "expired": (lambda f: f.simple(issued_at=1, expires_at=2).message(), "plan_expired", "expired"),
    "from the future": (
        lambda f: f.simple(issued_at=int(f.hub.now()) + 9000, expires_at=int(f.hub.now()) + 9999).message(),
        "plan_expired",
        "future",
    ),
    "readable in an encrypted collaboration": (lambda f: f.simple(suite=0).message(), "suite_refused", "encrypted"),
    "without its order": (lambda f: {**f.simple().message(), "orders": []}, "bad_request", "step `mean`"),
    "with a strange order": (
        lambda f: {**(d := f.simple()).message(), "orders": [b64(o) for o in (*d.orders, *f.simple().orders)]},
        "bad_request",
        "does not name",
    ),
    "with a damaged order": (
        lambda f: {**(d := f.simple()).message(), "orders": [b64(d.orders[0][:-9] + b"x" + d.orders[0][-8:])]},
        "damaged",
        "",
    ),
    "with an order cut short": (
        lambda f: {**(d := f.simple()).message(), "orders": [b64(d.orders[0][:-1])]},
        "damaged",
        "",
    ),
    "with an order too large for a message": (
        lambda f: {**f.simple().message(), "orders": [b64(bytes(70_000))]},
        "too_large",
        "65536",
    ),
    "with an order that is not base64": (lambda f: {**f.simple().message(), "orders": ["A"]}, "bad_message", "base64"),
}


@pytest.mark.parametrize("case", SUBMISSIONS)
def test_a_wrong_submission_is_refused_by_name(federation: Federation, case: str) -> None:
    make, code, words = SUBMISSIONS[case]
    with pytest.raises(Refused) as refused:
        federation.person().post("/job", make(federation))
    assert refused.value.code == code, str(refused.value)
    assert words in refused.value.message
    assert federation.person().get("/job")["total"] == 0


def test_another_plan_under_the_same_job_id_is_refused(federation: Federation) -> None:
    first = federation.simple()
    federation.submit(first)
    with pytest.raises(Refused) as refused:
        federation.submit(federation.simple(job=first.plan.plan.job))
    assert (refused.value.status, refused.value.code) == (409, "already_exists")


# --- results ---------------------------------------------------------------------------------------------------------
Spoil = Callable[[NodeTwin, dict[str, Any]], dict[str, Any]]


def _with(**changes: Any) -> Spoil:
    return lambda node, a: {**node.result(a), "receipt": node.receipt(a, **changes).signed.to_wire()}


def _about(**changes: Any) -> Spoil:
    def spoil(node: NodeTwin, a: dict[str, Any]) -> dict[str, Any]:
        run = {name: a[name] for name in ("path", "organization", "generation", "attempt")}
        return node.result(a, run=RunName(**{**run, **changes}))

    return spoil


def _by_another_node(node: NodeTwin, a: dict[str, Any]) -> dict[str, Any]:
    message, real = node.result(a), node.organization.node_key
    node.organization.node_key = PrivateKey.generate(KeyKind.NODE)
    try:
        return {**message, "receipt": node.result(a)["receipt"]}
    finally:
        node.organization.node_key = real


def _changed_receipt(node: NodeTwin, a: dict[str, Any]) -> dict[str, Any]:
    message = node.result(a)
    signed = Signed.from_wire(message["receipt"])
    body = signed.body.replace(b"scripted", b"strictly")
    return {**message, "receipt": Signed(signed.type, body, signed.key, signed.signature).to_wire()}


RESULTS: dict[str, tuple[Spoil, str, str]] = {
    "an unknown token": (lambda n, a: {**n.result(a), "lease_token": "guess"}, "lease_invalid", "token"),
    "another plan": (lambda n, a: n.result(a, plan="0" * 64), "receipt_invalid", "another plan"),
    "another path": (_about(path="other[0]"), "receipt_invalid", "path"),
    "another organization": (_about(organization="0" * 64), "receipt_invalid", "organization"),
    "another generation": (_about(generation=1), "receipt_invalid", "generation"),
    "another attempt": (_about(attempt=2), "receipt_invalid", "attempt"),
    "another order": (lambda n, a: n.result(a, order="0" * 64), "receipt_invalid", "order"),
    "outputs the plan does not name": (lambda n, a: n.result(a, outputs=("other",)), "receipt_invalid", "outputs"),
    "no outputs": (lambda n, a: n.result(a, outputs=()), "receipt_invalid", "outputs"),
    "an output that is not here": (
        _with(outputs=(ReceiptOutput(name="output", payload="0" * 64),)),
        "bad_request",
        "does not name",
    ),
    "an output that was not sent": (lambda n, a: {**n.result(a), "payloads": []}, "bad_request", "not here"),
    "an uncertified key": (_by_another_node, "key_unknown", "not certified"),
    "a changed receipt": (_changed_receipt, "signature_invalid", "signature"),
    "no receipt": (lambda n, a: {"lease_token": a["lease_token"]}, "bad_message", "receipt"),
    "a plan as receipt": (lambda n, a: {**n.result(a), "receipt": a["plan"]}, "receipt_invalid", "needed"),
    "a reason that nobody knows": (
        lambda n, a: {
            **n.result(a),
            "receipt": Signed.sign(DocumentType.RECEIPT, b'{"reason":"bored"}', n.organization.node_key).to_wire(),
        },
        "receipt_invalid",
        "reason",
    ),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_wrong_result_is_refused_by_name_and_the_right_one_still_counts(federation: Federation, case: str) -> None:
    spoil, code, words = RESULTS[case]
    federation.submit(federation.simple())
    node = federation.node()
    (assignment,) = node.claim()
    with pytest.raises(Refused) as refused:
        node.post(f"/run/{assignment['run']}/result", spoil(node, assignment))
    assert refused.value.code == code, str(refused.value)
    assert words in refused.value.message
    assert node.finish(assignment)["superseded"] is False


def test_a_token_of_another_run_is_refused(federation: Federation) -> None:
    federation.submit(federation.simple())
    federation.submit(federation.simple())
    node = federation.node()
    one, two = node.claim()
    with pytest.raises(Refused) as refused:
        node.post(f"/run/{one['run']}/result", {**node.result(one), "lease_token": two["lease_token"]})
    assert refused.value.code == "lease_invalid"


# --- subtasks --------------------------------------------------------------------------------------------------------
SUBTASKS: dict[str, tuple[dict[str, Any], list[int], str, str]] = {
    "another plan": ({"plan": "0" * 64}, [1], "plan_mismatch", "another plan"),
    "too many": ({"counter": 3}, [1], "delegation_exceeded", "2 subtasks"),
    "an organization that may not be asked": ({}, [2], "delegation_exceeded", "to ask hospital-2"),
    "an image that may not run": ({"image": "other"}, [1], "delegation_exceeded", "image `other`"),
    "wider limits": ({"limits": Limits(time_s=86_400)}, [1], "delegation_exceeded", "limits"),
    "data": ({"data": ("secret",)}, [1], "delegation_exceeded", "data sources"),
    "other recipients": ({"recipients": ("f" * 64,)}, [1], "plan_mismatch", "nobody else"),
}


@pytest.mark.parametrize("case", SUBTASKS)
def test_a_subtask_beyond_the_plan_is_refused_at_once(federation: Federation, case: str) -> None:
    changes, on, code, words = SUBTASKS[case]
    node, parent = _central(federation)
    if case == "an organization that may not be asked":
        words = "does not let this step ask hospital-2"
    with pytest.raises(Refused) as refused:
        node.post("/task", node.subtask(parent, federation, on, **changes))
    assert refused.value.code == code, str(refused.value)
    assert words in refused.value.message
    assert federation.person().get("/task")["total"] == 1


@pytest.mark.parametrize("field", ["path", "organization", "generation", "attempt"])
def test_a_subtask_of_another_parent_is_refused(federation: Federation, field: str) -> None:
    node, parent = _central(federation)
    run = {name: parent[name] for name in ("path", "organization", "generation", "attempt")}
    other = {"path": "central[1]", "organization": "f" * 64, "generation": 1, "attempt": 2}[field]
    message = node.subtask(parent, federation, [1], parent=RunName(**{**run, field: other}))
    with pytest.raises(Refused) as refused:
        node.post("/task", message)
    assert refused.value.code == "plan_mismatch" and field in refused.value.message


def test_a_subtask_needs_the_lease_of_its_parent(federation: Federation) -> None:
    node, parent = _central(federation)
    message = {**node.subtask(parent, federation, [1]), "lease_token": "guess"}
    with pytest.raises(Refused) as refused:
        node.post("/task", message)
    assert refused.value.code == "lease_invalid"


def test_another_subtask_under_the_same_counter_is_refused(federation: Federation) -> None:
    node, parent = _central(federation)
    node.post("/task", node.subtask(parent, federation, [1]))
    with pytest.raises(Refused) as refused:
        node.post("/task", node.subtask(parent, federation, [1]))
    assert refused.value.code == "already_exists"


def test_a_step_without_delegation_asks_nobody(federation: Federation) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (parent,) = node.claim()
    with pytest.raises(Refused) as refused:
        node.post("/task", node.subtask(parent, federation, [1]))
    assert refused.value.code == "delegation_exceeded"


def _central(federation: Federation) -> tuple[NodeTwin, dict[str, Any]]:
    allowed = delegation(federation, children=2)
    two = allowed.model_copy(update={"organizations": allowed.organizations[:2]})
    federation.submit(federation.draft([Step("central", [0], final=("output",), delegation=two)]))
    node = federation.node()
    (parent,) = node.claim()
    assert plan_of(parent).plan.steps[0].delegation == two
    return node, parent


# --- syncs and queries -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({}, "bad_message", "session"),
        ({"session": "short"}, "bad_message", "session"),
        ({"session": "12345678", "want": -1}, "bad_message", "want"),
        ({"session": "12345678", "leases": [{"run": 1}]}, "bad_message", "token"),
        ({"session": "12345678", "accepts": {"tags": [str(n) for n in range(11)]}}, "bad_request", "tags"),
    ],
)
def test_a_wrong_sync_is_refused(federation: Federation, message: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        federation.node().post("/node/sync", message)
    assert refused.value.code == code
    assert words in f"{refused.value.message} {refused.value.fields}"


@pytest.mark.parametrize(
    "path",
    [
        "/job?state=happy",
        "/job?label=source",
        "/job?wait=1",
        "/task?job=1",
        "/run?organization=x",
        "/event?since=-1",
        "/event?wait=soon",
        "/event?limit=0",
        "/event?kind=x",
    ],
)
def test_a_wrong_query_names_its_parameter(federation: Federation, path: str) -> None:
    with pytest.raises(Refused) as refused:
        federation.person().get(path)
    assert refused.value.code == "bad_request"
    assert path.split("?")[1].split("=")[0] in refused.value.message


@pytest.mark.parametrize("query", ["wait=x", "include=secrets", "since=1.5", "colour=red"])
def test_a_wrong_query_of_a_job_names_its_parameter(federation: Federation, query: str) -> None:
    job = federation.submit(federation.simple())
    with pytest.raises(Refused) as refused:
        federation.person().get(f"/job/{job['id']}?{query}")
    assert query.split("=")[0] in refused.value.message


def test_a_cancellation_cannot_be_taken_back(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    with pytest.raises(Refused) as refused:
        federation.person().call("PATCH", f"/job/{job['id']}", {"cancel": False})
    assert refused.value.code == "bad_request"


def test_a_custom_event_carries_a_sealed_body(federation: Federation) -> None:
    order = federation.simple().orders[0]
    for body, code in (("AA==", "damaged"), (b64(order), "bad_request")):
        with pytest.raises(Refused) as refused:
            federation.person().post(
                "/event", {"kind": "custom.x", "collaboration_id": federation.collaboration_id, "body": body}
            )
        assert refused.value.code == code
