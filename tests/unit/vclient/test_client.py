"""From a question to its opened answer, against a federation whose cryptography is the real one."""

import os

import pytest
import requests

from tests.unit.vclient.federation import DIGEST, IMAGE, Fails, Federation, Outputs, Raw
from vclient import ImageRef, JobFailed, Workflow, gather, order
from vclient.errors import DigestMissing, MemberNotReady, NotEncrypted, NoUserKey, Undecodable
from vclient.settings import ClientSettings, CollaborationSettings, HubSettings
from vprotocol.errors import (
    BadMessage,
    DeadlineExceeded,
    JobCancelled,
    KeyUnknown,
    LoginFailed,
    NotAuthenticated,
    NotFound,
    Unreachable,
    UsageError,
)
from vprotocol.reasons import Reason
from vprotocol.states import RunState
from vruntime.clock import ManualClock

MIB = 2**20


def mean_workflow() -> Workflow:
    wf = Workflow("mean")
    part = wf.step("part", IMAGE, on="all", data=["default"])
    wf.step("finish", IMAGE, on="initiator", inputs={"total": gather(part)})
    return wf


MEAN_ORDERS = {"part": order("partial", column="age"), "finish": order("combine")}


def sum_up(asked):
    return sum(asked.inputs["total"]) if asked.inputs else len(asked.site.name)


# --- what comes back -------------------------------------------------------------------------------------------------
def test_one_step_at_all_members(federation, client):
    job = client.run(IMAGE, "average", kwargs={"column": "age"})
    assert job.results() == {
        "Alpha": {"site": "Alpha", "method": "average"},
        "Beta": {"site": "Beta", "method": "average"},
        "Gamma": {"site": "Gamma", "method": "average"},
    }
    assert job.state is RunState.COMPLETED


def test_two_steps_without_a_central_function(federation, client):
    federation.do = sum_up
    job = client.run(mean_workflow(), orders=MEAN_ORDERS)
    assert job.result() == len("Alpha") + len("Beta") + len("Gamma")


def test_each_organization_can_get_its_own_order(federation, client):
    federation.do = lambda asked: asked.order.kwargs["n"]
    orders = {"main": {"Alpha": order("m", n=1), "Beta": order("m", n=2), "Gamma": order("m", n=1)}}
    wf = Workflow("own orders")
    wf.step("main", IMAGE)
    job = client.run(wf, orders=orders)
    assert job.results() == {"Alpha": 1, "Beta": 2, "Gamma": 1}
    assert len(job.plan.plan.steps[0].orders) == 2  # equal ones are sealed once


def test_an_image_may_be_a_reference_with_a_mapping_or_a_lock_file(client, tmp_path):
    lock = tmp_path / "images.yaml"
    lock.write_text(f"registry.example.org/stats: {DIGEST}\n")
    name = "registry.example.org/stats"
    for image, options in (
        (ImageRef(name, DIGEST), {}),
        (name, {"images": {name: DIGEST}}),
        (name, {"images": lock}),
    ):
        assert client.run(image, "m", on="initiator", **options).result()["site"] == "Alpha"


def test_bytes_stay_bytes(federation, client):
    federation.do = lambda asked: b"\x00\x01\xff"
    assert client.run(IMAGE, "m", on=["Beta"]).result() == b"\x00\x01\xff"


def test_several_outputs_come_by_name(federation, client):
    wf = Workflow("several")
    wf.step("fit", IMAGE, on="initiator", final=["model", "report"])
    federation.do = lambda asked: Outputs({"model": [1, 2], "report": "fine"})
    job = client.run(wf, orders={"fit": order("fit")})
    assert job.results() == {"fit.model": {"Alpha": [1, 2]}, "fit.report": {"Alpha": "fine"}}
    assert job.result(output="model") == [1, 2]
    with pytest.raises(UsageError, match="several results"):
        job.result()
    with pytest.raises(NotFound, match="no such final output"):
        job.results(step="other")


def test_nan_comes_back(federation, client):
    federation.do = lambda asked: float("nan")
    assert client.run(IMAGE, "m", on="initiator").result() != 0


def test_a_job_can_be_taken_up_later_by_its_id(federation, client, connect):
    job = client.run(IMAGE, "m")
    later = connect(federation)
    again = later.job(job.id)
    assert again.plan.hash == job.plan.hash
    assert set(again.results()) == {"Alpha", "Beta", "Gamma"}
    assert [view.id for view in later.jobs()] == [job.id]


def test_waiting_tells_what_happens(client):
    seen = []
    state = client.run(IMAGE, "m").wait(progress=lambda view: seen.append(view.state))
    assert state is RunState.COMPLETED
    assert seen == [RunState.COMPLETED]


def test_small_jobs_cost_two_requests(federation, client):
    client.run(IMAGE, "warm up").results()
    federation.requests.clear()
    client.run(IMAGE, "average").results()
    assert [verb for verb, _ in federation.requests] == ["POST", "GET"]


def test_nothing_that_is_asked_or_answered_is_sent_in_the_clear(federation, client):
    federation.do = lambda asked: {"answer": "topsecretresult"}
    job = client.run(IMAGE, "topsecretmethod", ["topsecretargument"], {"topsecretname": 1})
    job.results()
    assert federation.seen("stats")  # the control: what is visible is found
    assert not federation.seen("topsecret")


# --- large things ----------------------------------------------------------------------------------------------------
def test_a_large_order_is_uploaded_before(federation, client):
    federation.do = lambda asked: len(asked.order.args[0])
    job = client.run(IMAGE, "count", ["x" * (9 * MIB)])
    assert job.results() == {"Alpha": 9 * MIB, "Beta": 9 * MIB, "Gamma": 9 * MIB}
    assert sum(1 for verb, path in federation.requests if verb == "PUT" and "/segment/" in path) == 2


def test_a_result_is_streamed_to_a_file(federation, client, tmp_path):
    content = os.urandom(9 * MIB)
    federation.do = lambda asked: content
    job = client.run(IMAGE, "m", on=["Beta", "Gamma"])
    seen = []
    path = job.save(tmp_path / "model.bin", organization="Gamma", progress=lambda done, total: seen.append(done))
    assert path.read_bytes() == content
    assert seen[-1] > 9 * MIB and seen == sorted(seen)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["laptop", "model.bin"]  # nothing half-done stays
    assert path.stat().st_mode & 0o077 == 0


def test_saving_needs_one_output_and_a_file(client, tmp_path):
    job = client.run(IMAGE, "m")
    with pytest.raises(UsageError, match="several outputs"):
        job.save(tmp_path / "x")
    with pytest.raises(UsageError, match="takes no part"):
        job.save(tmp_path / "x", organization="Delta")
    with pytest.raises(UsageError, match="not the name of a file"):
        job.save(tmp_path / "nowhere" / "x", organization="Beta")
    assert not (tmp_path / "x").exists()


def test_a_broken_download_leaves_no_file(federation, client, tmp_path):
    federation.do = lambda asked: os.urandom(MIB)
    job = client.run(IMAGE, "m", on=["Beta"])
    job.wait()
    federation.lie = lambda verb, path, body: body[:-100] if path.startswith("/payload") else body
    with pytest.raises(Exception, match="cut short|damaged|trailer|bytes"):
        job.save(tmp_path / "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["laptop"]


# --- failures --------------------------------------------------------------------------------------------------------
def beta_fails(asked):
    if asked.site.name == "Beta":
        raise Fails(Reason.EXIT_CODE)
    return sum_up(asked)


def test_a_failure_names_place_reason_and_remedy_and_keeps_the_rest(federation, client):
    federation.do = beta_fails
    job = client.run(IMAGE, "m")
    with pytest.raises(JobFailed, match=r"main\[0\] at Beta failed: The algorithm ended with an error") as caught:
        job.results()
    error = caught.value
    assert (error.organization, error.reason) == ("Beta", Reason.EXIT_CODE)
    assert error.hint == "Its log is sealed for you: read it."
    assert error.partial == {"Alpha": 5, "Gamma": 5}
    assert error.failures[0].signed
    assert job.results(partial=True) == {"Alpha": 5, "Gamma": 5}
    assert [one.organization for one in job.results(partial=True).failures] == ["Beta"]


def test_the_failure_that_explains_the_others_comes_first(federation, client):
    federation.do = beta_fails
    with pytest.raises(JobFailed, match=r"part\[0\] at Beta failed") as caught:
        client.run(mean_workflow(), orders=MEAN_ORDERS).result()
    assert {one.path for one in caught.value.failures} == {"part[0]", "finish[0]"}


def test_a_quorum_goes_on_without_those_who_failed(federation, client):
    federation.do = beta_fails
    wf = Workflow("quorum")
    part = wf.step("part", IMAGE, fail="continue")
    wf.step("finish", IMAGE, on="initiator", inputs={"total": gather(part)}, needs=2)
    results = client.run(wf, orders=MEAN_ORDERS).results()
    assert results == {"Alpha": 10}
    assert [one.organization for one in results.failures] == ["Beta"]


def test_logs_of_failed_runs_are_opened_whatever_bytes_they_hold(federation, client):
    federation.do = beta_fails
    job = client.run(IMAGE, "m")
    job.wait()
    (log,) = job.logs()
    assert (log.organization, log.text) == ("Beta", "something went wrong\x1b[2J\ufffd")
    assert len(job.logs(everything=True)) == 3


def test_a_cancelled_job_says_so(federation, client):
    federation.never_ends = True
    job = client.run(IMAGE, "m")
    assert job.cancel().state is RunState.CANCELLED
    with pytest.raises(JobCancelled):
        job.results()


def test_waiting_ends_at_its_deadline_and_the_job_goes_on(federation, connect):
    clock = ManualClock(now=federation.now)
    federation.never_ends = True
    federation.lie = lambda verb, path, body: (clock.advance(10), body)[1] if path.startswith("/job/") else body
    job = connect(federation, clock=clock).run(IMAGE, "m")
    with pytest.raises(DeadlineExceeded, match="has not ended within 25 seconds"):
        job.wait(timeout_s=25)
    federation.never_ends = False
    assert job.wait() is RunState.COMPLETED


def test_an_outcome_that_is_not_the_json_it_says_is_named(federation, client):
    federation.do = lambda asked: Raw(b"{", "application/json")
    with pytest.raises(Undecodable, match=r"main\.output of Alpha says it is JSON"):
        client.run(IMAGE, "m", on="initiator").result()


# --- who may ask -----------------------------------------------------------------------------------------------------
def test_a_wrong_password_is_named_and_nothing_is_kept(federation, connect):
    client = connect(federation, login=False)
    with pytest.raises(LoginFailed):
        client.login("ada", lambda: "wrong", remember=True)
    assert not (client.folder / "tokens.json").exists()
    with pytest.raises(NotAuthenticated):
        client.collaborations()


def test_remembered_tokens_serve_the_next_program(federation, connect):
    client = connect(federation, login=False)
    client.login("ada", "correct horse battery", remember=True)
    tokens = client.folder / "tokens.json"
    assert tokens.stat().st_mode & 0o777 == 0o600
    assert "correct horse" not in tokens.read_text()
    assert connect(federation, login=False).whoami().name == "ada"
    client.logout()
    assert not tokens.exists()
    with pytest.raises(NotAuthenticated):
        client.whoami()


def test_an_expired_token_is_traded_once_for_everybody_who_shares_the_file(federation, connect):
    one, two = connect(federation, login=False), connect(federation, login=False)
    one.login("ada", "correct horse battery", remember=True)
    assert two.whoami().name == "ada"
    federation.access = "expired"
    assert len(one.collaborations()) == 1  # trades the pair
    assert len(two.collaborations()) == 1  # finds the new pair in the file
    assert [path for _, path in federation.requests].count("/token/refresh") == 1


def test_without_a_key_nothing_is_submitted(federation, connect):
    client = connect(federation, key=False)
    with pytest.raises(NoUserKey, match="no user key"):
        client.run(IMAGE, "m")
    assert not federation.jobs


def test_a_key_that_the_organization_has_not_certified_is_refused_before_sealing(federation, connect):
    client = connect(federation, key=False)
    key = client.new_key("ada's second laptop")
    with pytest.raises(KeyUnknown, match="not certified"):
        client.run(IMAGE, "m")
    assert not federation.jobs
    request = client.key_request("ada")
    assert request.key.id == key.id
    federation.home.certify(request.key, request.subject, federation.now)
    federation.user = client.key._private  # the pretend sites seal for it from now on
    assert client.run(IMAGE, "m").results()


def test_a_hub_alone_cannot_switch_encryption_off(connect):
    federation = Federation(encrypted=False)
    with pytest.raises(NotEncrypted):
        connect(federation).run(IMAGE, "m")
    assert not federation.jobs


def test_an_open_collaboration_works_where_the_clients_own_file_allows_it(connect):
    federation = Federation(encrypted=False)
    settings = ClientSettings(
        hub=HubSettings(url="http://hub"), collaborations={"c0" * 16: CollaborationSettings(min_suite=0)}
    )
    job = connect(federation, settings=settings).run(IMAGE, "openmethod")
    assert len(job.results()) == 3
    assert federation.seen("openmethod")


# --- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda c: c.run("stats", "m"), DigestMissing, "without its digest"),
        (lambda c: c.run(IMAGE), UsageError, "which method"),
        (lambda c: c.run(IMAGE, "m", onn="all"), UsageError, "no option `onn`"),
        (lambda c: c.run(IMAGE, "m", collaboration="Heart"), NotFound, "no collaboration Heart"),
        (lambda c: c.run(IMAGE, "m", on="Delta"), UsageError, "Delta is not an accepted member"),
        (lambda c: c.run(IMAGE, "m", valid_for="soon"), UsageError, "not a time"),
        (lambda c: c.run(IMAGE, "m", valid_for="400d"), Exception, "within a year"),
        (lambda c: c.run(IMAGE, "m", kwargs={"a": {1}}), BadMessage, "cannot be sent"),
        (lambda c: c.run(IMAGE, "m", orders={}), UsageError, "orders belong to a workflow"),
        (lambda c: c.run(mean_workflow()), UsageError, "needs its orders"),
        (lambda c: c.run(mean_workflow(), "m"), UsageError, "`method` belongs to a step"),
        (lambda c: c.run(mean_workflow(), orders=MEAN_ORDERS, timeout=1), UsageError, "`timeout` belongs to a step"),
        (lambda c: c.run(IMAGE, "m", outputs={"x": ["y"]}), Exception, "no step `x`"),
        (lambda c: c.run(IMAGE, "m", priority=11), Exception, "priority|less than"),
        (lambda c: c.job("0" * 32), NotFound, "There is no job"),
        (lambda c: c.accept("Delta"), NotFound, "no organization Delta"),
        (lambda c: c.verify("Delta"), NotFound, "not exactly one accepted"),
    ],
)
def test_bad_input_ends_in_its_own_error_before_anything_is_sent(federation, client, call, error, says):
    with pytest.raises(error, match=says):
        call(client)
    assert not federation.jobs


def test_a_dry_run_seals_and_sends_nothing(federation, client):
    (step,) = client.explain(IMAGE, on=["Beta"], delegate=True)
    assert (step.organizations, step.may_ask) == (("Beta",), ("Alpha", "Beta", "Gamma"))
    assert {verb for verb, path in federation.requests if not path.startswith("/token")} == {"GET"}


def test_what_has_changed_at_the_hub_is_found_when_it_matters(federation, connect):
    clock = ManualClock(now=federation.now)
    client = connect(federation, clock=clock)
    gamma = federation.sites[2]

    def unborn(verb, path, body):
        if path == "/organization":
            body["data"] = [
                {**item, "fingerprint": None} if item["id"] == gamma.number else item for item in body["data"]
            ]
        return body

    federation.lie = unborn
    with pytest.raises(MemberNotReady):
        client.run(IMAGE, "m")
    clock.advance(2)
    federation.lie = lambda verb, path, body: body  # its node has started
    assert len(client.run(IMAGE, "m").results()) == 3


def test_waiting_survives_a_hub_that_is_upgraded(federation, connect):
    clock = ManualClock(now=federation.now)
    job = connect(federation, clock=clock).run(IMAGE, "m")
    answer = federation.adapter.send
    back_at_s = clock.monotonic() + 120

    def away(request, *args, **options):
        if clock.monotonic() < back_at_s:
            raise requests.ConnectionError("away")
        return answer(request, *args, **options)

    federation.adapter.send = away
    assert job.wait() is RunState.COMPLETED


def test_waiting_for_a_hub_that_stays_away_ends(federation, connect):
    clock = ManualClock(now=federation.now)
    job = connect(federation, clock=clock).run(IMAGE, "m")

    def away(*args, **options):
        raise requests.ConnectionError("away")

    federation.adapter.send = away
    with pytest.raises(Unreachable):
        job.wait()
    assert clock.monotonic() <= 300


def test_a_colleague_without_a_key_sees_how_a_job_goes(federation, client, connect):
    job = client.run(IMAGE, "m")
    seen = connect(federation, name="colleague", key=False).job(job.id)
    assert seen.wait() is RunState.COMPLETED
    with pytest.raises(NoUserKey):
        seen.results()
