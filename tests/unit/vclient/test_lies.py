"""A lying hub and lying sites: nothing of a result is opened before every receipt was checked."""

import base64
import copy
import io
import json

import pytest

from tests.unit.vclient.federation import IMAGE, Fails, Federation, Site
from tests.unit.vclient.test_client import MEAN_ORDERS, mean_workflow, sum_up
from vclient import Client
from vclient.errors import CollaborationChanged, MemberNotReady, NewMember
from vclient.sealing import UserKey
from vclient.settings import ClientSettings, HubSettings
from vprotocol.envelope import inspect, seal_bytes
from vprotocol.errors import (
    HeadTooOld,
    IdentityChanged,
    JobCancelled,
    KeyLogInvalid,
    KeyLogRolledBack,
    KeyRevoked,
    KeyUnknown,
    OrganizationUnknown,
    PlanMismatch,
    ReceiptInvalid,
    SignatureInvalid,
    TrustError,
    WrongContext,
)
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.reasons import Reason
from vprotocol.receipt import Receipt, SignedReceipt
from vprotocol.signed import DocumentType, Signed


def lying_about_runs(federation: Federation, change) -> None:
    """`change` gets the list of runs of every job that leaves the hub, by path and organization name."""

    def lie(verb, path, body):
        if path.startswith("/job/") and body.get("runs"):
            body = copy.deepcopy(body)
            names = {site.fingerprint: site.name for site in federation.sites}
            change(body["runs"], {f"{run['path']} {names[run['fingerprint']]}": run for run in body["runs"]})
        return body

    federation.lie = lie


def resigned(federation: Federation, view, key: PrivateKey | None = None, **changes):
    """The run's receipt with other contents, signed by its own site (or another key)."""
    old = SignedReceipt.from_wire(view["receipt"]).receipt
    made = Receipt.model_validate({**old.model_dump(), **changes})
    node = key or federation.site(view["fingerprint"]).node
    return Signed.sign(DocumentType.RECEIPT, made.encode(), node).to_wire()


def about(view, **changes):
    old = SignedReceipt.from_wire(view["receipt"]).receipt.run
    return {**old.model_dump(), **changes}


# --- receipts --------------------------------------------------------------------------------------------------------
def drop_receipt(federation, runs, at):
    at["part[0] Beta"]["receipt"] = None


def flip_signature(federation, runs, at):
    receipt = at["part[0] Beta"]["receipt"]
    raw = bytearray(base64.b64decode(receipt["signature"]))
    raw[3] ^= 1
    receipt["signature"] = base64.b64encode(raw).decode()


def foreign_signer(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, PrivateKey.generate(KeyKind.NODE))


def signed_by_another_site(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, federation.sites[2].node)


def swapped_receipts(federation, runs, at):
    one, two = at["part[0] Beta"], at["part[0] Gamma"]
    one["receipt"], two["receipt"] = two["receipt"], one["receipt"]


def other_plan(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, plan="f" * 64)


def other_image(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, image="sha256:" + "9" * 64)


def other_order(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, order="9" * 64)


def other_generation(federation, runs, at):
    run = at["finish[0] Alpha"]
    run["receipt"] = resigned(federation, run, run=about(run, generation=1))


def other_path(federation, runs, at):
    run = at["part[0] Alpha"]
    run["receipt"] = at["finish[0] Alpha"]["receipt"]


def left_out_input(federation, runs, at):
    run = at["finish[0] Alpha"]
    inputs = SignedReceipt.from_wire(run["receipt"]).receipt.inputs
    run["receipt"] = resigned(federation, run, inputs=[one.model_dump() for one in inputs[:-1]])


def doubled_input(federation, runs, at):
    run = at["finish[0] Alpha"]
    inputs = SignedReceipt.from_wire(run["receipt"]).receipt.inputs
    run["receipt"] = resigned(federation, run, inputs=[one.model_dump() for one in (*inputs, inputs[0])])


def input_of_another_receipt(federation, runs, at):
    run = at["finish[0] Alpha"]
    inputs = [one.model_dump() for one in SignedReceipt.from_wire(run["receipt"]).receipt.inputs]
    inputs[0]["receipt"] = "9" * 64
    run["receipt"] = resigned(federation, run, inputs=inputs)


def input_of_another_attempt(federation, runs, at):
    run = at["finish[0] Alpha"]
    inputs = [one.model_dump() for one in SignedReceipt.from_wire(run["receipt"]).receipt.inputs]
    inputs[0]["producer"]["attempt"] = 2
    run["receipt"] = resigned(federation, run, inputs=inputs)


def other_input_payload(federation, runs, at):
    run = at["finish[0] Alpha"]
    inputs = [one.model_dump() for one in SignedReceipt.from_wire(run["receipt"]).receipt.inputs]
    inputs[0]["payload"], inputs[1]["payload"] = inputs[1]["payload"], inputs[0]["payload"]
    run["receipt"] = resigned(federation, run, inputs=inputs)


def upstream_called_failed(federation, runs, at):
    """The producer is said to have failed, and its output was used all the same."""
    at["part[0] Beta"].update(state="failed", reason="exit_code", receipt=None, outputs=[])


def failure_called_completed(federation, runs, at):
    run = at["part[0] Beta"]
    run["receipt"] = resigned(federation, run, state="failed", reason=Reason.EXIT_CODE, outputs=())


def completion_called_failed(federation, runs, at):
    at["finish[0] Alpha"].update(state="failed", reason="exit_code")


def other_output(federation, runs, at):
    at["finish[0] Alpha"]["outputs"][0]["payload"] = at["part[0] Beta"]["outputs"][0]["payload"]


def hidden_output(federation, runs, at):
    at["finish[0] Alpha"]["outputs"] = []


def hidden_run(federation, runs, at):
    runs.remove(at["part[0] Gamma"])


def doubled_run(federation, runs, at):
    runs.append(copy.deepcopy(at["part[0] Gamma"]))


def invented_run(federation, runs, at):
    runs.append({**copy.deepcopy(at["part[0] Gamma"]), "path": "extra[0]"})


def run_of_a_stranger(federation, runs, at):
    at["part[0] Gamma"]["fingerprint"] = "9" * 64


LIES = {
    drop_receipt: ReceiptInvalid,
    flip_signature: SignatureInvalid,
    foreign_signer: KeyUnknown,
    signed_by_another_site: KeyUnknown,
    swapped_receipts: KeyUnknown,
    other_plan: ReceiptInvalid,
    other_image: ReceiptInvalid,
    other_order: ReceiptInvalid,
    other_generation: ReceiptInvalid,
    other_path: ReceiptInvalid,
    left_out_input: ReceiptInvalid,
    doubled_input: ReceiptInvalid,
    input_of_another_receipt: ReceiptInvalid,
    input_of_another_attempt: ReceiptInvalid,
    other_input_payload: ReceiptInvalid,
    upstream_called_failed: ReceiptInvalid,
    failure_called_completed: ReceiptInvalid,
    completion_called_failed: ReceiptInvalid,
    other_output: ReceiptInvalid,
    hidden_output: ReceiptInvalid,
    hidden_run: PlanMismatch,
    doubled_run: PlanMismatch,
    invented_run: PlanMismatch,
    run_of_a_stranger: PlanMismatch,
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_about_runs_is_refused_before_anything_is_opened(federation, client: Client, monkeypatch, lie):
    federation.do = sum_up
    job = client.run(mean_workflow(), orders=MEAN_ORDERS)
    opened = []
    lying_about_runs(federation, lambda runs, at: lie(federation, runs, at))
    with monkeypatch.context() as watched:
        watched.setattr(UserKey, "open", lambda *args, **options: opened.append(args))
        with pytest.raises(LIES[lie]):
            job.results()
    assert not opened
    federation.lie = lambda verb, path, body: body
    job.status()
    assert job.result() == 14  # the control: without the lie it is fine


def test_an_outcome_of_another_job_is_refused(federation, client):
    """The site reuses what it sealed for another plan: right sender, right reader, wrong place."""
    first = client.run(IMAGE, "m", on=["Beta"])
    first.wait()
    second = client.run(IMAGE, "m", on=["Beta"])

    def redirect(runs, at):
        if runs[0]["job_id"] == second.id:
            old = federation.jobs[first.id].runs[0]
            ref = {**old["outputs"][0]["payload"]}
            ref["inline"] = base64.b64encode(federation.payloads[ref["id"]]).decode()
            runs[0]["outputs"][0]["payload"] = ref
            outputs = [{"name": "output", "payload": ref["id"]}]
            runs[0]["receipt"] = resigned(federation, runs[0], outputs=outputs)

    lying_about_runs(federation, redirect)
    with pytest.raises(WrongContext):
        second.results()


def test_other_bytes_under_the_promised_id_are_refused(federation, client):
    job = client.run(IMAGE, "m", on=["Beta"])

    def swap(runs, at):
        ref = runs[0]["outputs"][0]["payload"]
        data = federation.payloads[ref["id"]]
        forged, _ = seal_bytes(b'"forged"', _context_of(data), [federation.user.public], federation.sites[1].node)
        ref["inline"] = base64.b64encode(forged).decode()

    lying_about_runs(federation, swap)
    with pytest.raises(WrongContext, match="not the payload that was promised"):
        job.results()


def _context_of(data: bytes):
    return inspect(io.BytesIO(data)).header.context


def test_a_weaker_suite_than_the_plans_is_refused(federation, client):
    job = client.run(IMAGE, "m", on=["Beta"])
    job_at_hub = federation.jobs[job.id]
    weaker = job_at_hub.plan.plan.model_copy(update={"suite": 0})
    job_at_hub.plan = type(job_at_hub.plan)(weaker, job_at_hub.plan.signed)  # the site seals with suite 0
    with pytest.raises(TrustError, match="suite 0"):
        job.results()


def test_a_cancellation_is_only_the_hubs_word(federation, client):
    job = client.run(IMAGE, "m", on=["Beta"])
    lying_about_runs(
        federation, lambda runs, at: runs[0].update(state="cancelled", reason="cancelled", receipt=None, outputs=[])
    )
    with pytest.raises(JobCancelled):
        job.results()
    assert [one.signed for one in job.failures()] == [False]


def test_a_log_is_opened_only_as_its_node_signed_it(federation, client):
    def fails(asked):
        raise Fails(Reason.EXIT_CODE)

    federation.do = fails
    job = client.run(IMAGE, "m")

    def swap(runs, at):
        runs[0]["log"], runs[1]["log"] = runs[1]["log"], runs[0]["log"]

    lying_about_runs(federation, swap)
    job.wait()
    with pytest.raises(ReceiptInvalid, match="another log"):
        job.logs()


# --- plans -----------------------------------------------------------------------------------------------------------
def test_another_plan_under_the_jobs_id_is_refused(federation, client):
    one, two = client.run(IMAGE, "m"), client.run(IMAGE, "m", on=["Beta"])
    federation.jobs[one.id] = federation.jobs[two.id]
    with pytest.raises(PlanMismatch, match="another job"):
        client.job(one.id)


def test_a_plan_that_nobody_signed_is_refused(federation, client):
    job = client.run(IMAGE, "m")

    def forge(verb, path, body):
        if path == f"/job/{job.id}" and body.get("plan"):
            raw = bytearray(base64.b64decode(body["plan"]["signature"]))
            raw[0] ^= 1
            body["plan"]["signature"] = base64.b64encode(raw).decode()
        return body

    federation.lie = forge
    with pytest.raises(SignatureInvalid):
        client.job(job.id)


# --- members ---------------------------------------------------------------------------------------------------------
def join(federation: Federation, name: str = "Mallory", number: int = 66) -> Site:
    site = Site.new(number, name, federation.now)
    federation.sites.append(site)
    return site


def test_a_new_member_never_joins_silently(federation, connect):
    client = connect(federation, first_contact=False)
    with pytest.raises(NewMember, match="Alpha was not accepted here. Its words: ") as caught:
        client.run(IMAGE, "m")
    assert len(caught.value.fields["words"].split()) == 10
    for name in federation.names:
        assert client.accept(name).trust == "unverified"
    assert len(client.run(IMAGE, "m").results()) == 3

    join(federation)
    later = connect(federation, first_contact=False)
    with pytest.raises(NewMember, match="Mallory"):
        later.run(IMAGE, "m")
    assert len(federation.jobs) == 1
    # Whoever is named explicitly was accepted; the newcomer does not stand in the way.
    assert set(later.run(IMAGE, "m", on=["Beta", "Gamma"]).results()) == {"Beta", "Gamma"}
    assert [view.trust for view in later.organizations("Stroke")] == ["unverified"] * 3 + ["new"]


def test_an_organization_accepted_elsewhere_is_new_in_another_collaboration(federation, connect):
    client = connect(federation, first_contact=False)
    for name in federation.names:
        client.accept(name)
    federation.collaboration.update(id=2, name="c1" * 16, display_name="Heart")
    later = connect(federation, first_contact=False)
    with pytest.raises(NewMember):
        later.run(IMAGE, "m", collaboration="Heart")


def test_a_member_without_identity_is_named(federation, client):
    def unborn(verb, path, body):
        if path == "/organization":
            for item in body["data"]:
                if item["name"] == "Gamma":
                    item["fingerprint"] = None
        return body

    federation.lie = unborn
    with pytest.raises(MemberNotReady, match="Gamma has not published"):
        client.run(IMAGE, "m")


def test_a_swapped_identity_stops_everything(federation, client, connect):
    client.run(IMAGE, "m").results()
    federation.sites[1] = Site.new(federation.sites[1].number, "Beta", federation.now)
    with pytest.raises(IdentityChanged):
        connect(federation).run(IMAGE, "m")
    assert len(federation.jobs) == 1


def test_an_identity_that_differs_from_the_list_is_refused(federation, connect):
    other = Site.new(11, "Beta", federation.now)

    def swap(verb, path, body):
        return other.log.to_wire() if path == "/organization/11/public_key" else body

    federation.lie = swap
    with pytest.raises(IdentityChanged, match="lists Beta with one identity and shows another"):
        connect(federation).run(IMAGE, "m")


def test_a_shortened_key_log_is_refused(federation, client, connect):
    client.run(IMAGE, "m").results()
    site = federation.sites[1]
    short = type(site.log).verify(site.log.entries[:2])
    site.log = short.sign_head(site.root, federation.now)
    with pytest.raises(KeyLogRolledBack):
        connect(federation).run(IMAGE, "m")


def test_a_damaged_key_log_is_refused(federation, connect):
    def damage(verb, path, body):
        if path.endswith("/public_key"):
            body = copy.deepcopy(body)
            body["entries"] = [body["entries"][0], *body["entries"][2:]]
        return body

    federation.lie = damage
    with pytest.raises(KeyLogInvalid):
        connect(federation).run(IMAGE, "m")


def test_a_revoked_node_key_proves_nothing_any_more(federation, client, connect):
    job = client.run(IMAGE, "m", on=["Beta"])
    job.wait()
    site = federation.sites[1]
    site.log = site.log.revoke(site.root, site.node.id, federation.now).sign_head(site.root, federation.now)
    with pytest.raises(KeyRevoked):
        connect(federation).job(job.id).results()


def test_a_stale_key_log_is_not_believed(federation, connect):
    site = federation.sites[1]
    site.log = Site.new(11, "Beta", federation.now - 8 * 86_400).log
    with pytest.raises(HeadTooOld):
        connect(federation).run(IMAGE, "m")


def test_verified_organizations_can_be_demanded(federation, connect):
    settings = ClientSettings(hub=HubSettings(url="http://hub"), trust="verified")
    client = connect(federation, settings=settings)
    with pytest.raises(OrganizationUnknown, match="have not been compared"):
        client.run(IMAGE, "m")
    for name in federation.names:
        client.accept(name)
        client.verify(name)
    assert len(client.run(IMAGE, "m").results()) == 3


def test_a_collaboration_is_not_exchanged_for_another(federation, client, connect):
    client.run(IMAGE, "m")
    federation.collaboration["name"] = "c9" * 16
    with pytest.raises(CollaborationChanged, match="another collaboration as number 1"):
        connect(federation).run(IMAGE, "m", collaboration="Stroke")
    federation.collaboration.update(name="c0" * 16, display_name="Renamed")
    with pytest.raises(CollaborationChanged, match="is now called Renamed"):
        connect(federation).run(IMAGE, "m")
    assert connect(federation).run(IMAGE, "m", collaboration="c0" * 16)  # named exactly: the new title is accepted
    assert connect(federation).run(IMAGE, "m", collaboration="Renamed")


def test_a_forgotten_organization_is_new_again(federation, client, connect):
    client.run(IMAGE, "m")
    client.forget("Beta")
    later = connect(federation, first_contact=False)
    with pytest.raises(NewMember, match="Beta"):
        later.run(IMAGE, "m")


def test_what_the_client_keeps_is_private_and_holds_no_secret_but_the_key(federation, client):
    client.run(IMAGE, "m").results()
    for path in client.folder.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
    known = json.loads((client.folder / "members.json").read_text())
    assert len(known["collaborations"]["c0" * 16]["members"]) == 3
