"""Submit, sync, start, result, read: the life of jobs over the real application."""

import pytest

from tests.integration.federation import Edge, Federation, Refused, Step, b64, delegation
from vprotocol.plan import Limits
from vprotocol.reasons import Reason
from vprotocol.receipt import SignedReceipt
from vprotocol.workflow.patterns import Pattern
from vruntime.clock import ManualClock


def states(federation: Federation, job_id: str) -> dict[tuple[str, int], str]:
    """(path, number of the organization) → state."""
    number = {organization.id: at for at, organization in enumerate(federation.organizations)}
    runs = federation.person().get(f"/job/{job_id}", include="runs")["runs"]
    return {(run["path"], number[run["organization_id"]]): run["state"] for run in runs}


def test_a_job_goes_from_submission_to_its_sealed_result(federation: Federation) -> None:
    draft = federation.simple()
    job = federation.submit(draft)
    assert job["state"] == "queued" and job["counts"] == {"queued": 1}
    node = federation.node()
    (assignment,) = node.claim()
    assert assignment["plan"] == draft.plan.signed.to_wire()
    assert assignment["order"]["inline"] == b64(draft.orders[0])
    assert federation.person().get(f"/job/{job['id']}")["state"] == "leased"
    node.start(assignment)
    node.start(assignment)  # saying it twice changes nothing
    assert federation.person().get(f"/job/{job['id']}")["state"] == "running"
    assert node.finish(assignment) == {"id": assignment["run"], "state": "completed", "superseded": False}
    done = federation.person().get(f"/job/{job['id']}", include="runs,payloads,plan")
    assert done["state"] == "completed" and done["finished_at"] is not None
    assert done["plan"] == draft.plan.signed.to_wire()
    (run,) = done["runs"]
    assert SignedReceipt.from_wire(run["receipt"]).receipt.state == "completed"
    assert run["outputs"][0]["payload"]["inline"]


def test_the_same_plan_again_gets_the_same_job(federation: Federation) -> None:
    draft = federation.simple()
    first = federation.person().raw("POST", "/job", json=draft.message())
    again = federation.person().raw("POST", "/job", json=draft.message())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["Location"] == f"/api/v1/job/{draft.plan.plan.job}"
    assert federation.person().get("/run")["total"] == 1


def test_gathered_outputs_reach_the_next_step_with_their_receipts(federation: Federation) -> None:
    steps = [Step("part", [0, 1, 2]), Step("finish", [0], final=("output",))]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")]))
    assert job["counts"] == {"queued": 3, "blocked": 1}
    for number in (2, 0, 1):
        node = federation.node(number)
        (assignment,) = node.claim()
        assert assignment["path"] == "part[0]"
        node.finish(assignment, content=b"%d" % number)
    node = federation.node(0)
    (assignment,) = node.claim()
    assert assignment["path"] == "finish[0]"
    assert [delivery["name"] for delivery in assignment["inputs"]] == ["total"] * 3
    fingerprints = [organization.fingerprint for organization in federation.organizations]
    assert [delivery["producer"]["organization"] for delivery in assignment["inputs"]] == fingerprints
    for delivery in assignment["inputs"]:
        receipt = SignedReceipt.from_wire(delivery["receipt"]).receipt
        assert receipt.output("output") == delivery["payload"]["id"]
        assert delivery["payload"]["inline"]
    node.finish(assignment)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "completed"


def test_a_failed_step_fails_the_job_and_skips_what_came_after(federation: Federation) -> None:
    steps = [Step("part", [0, 1]), Step("finish", [0], final=("output",))]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")]))
    node = federation.node(0)
    (assignment,) = node.claim()
    other = federation.node(1)
    (held,) = other.claim()
    assert node.finish(assignment, state="failed", reason=Reason.EXIT_CODE)["state"] == "failed"
    assert states(federation, job["id"]) == {
        ("part[0]", 0): "failed",
        ("part[0]", 1): "cancelled",
        ("finish[0]", 0): "skipped",
    }
    assert federation.person().get(f"/job/{job['id']}")["state"] == "failed"
    assert other.sync([held])["cancel"] == [held["run"]]
    skipped = federation.person().get("/run", state="skipped", job=job["id"])["data"]
    assert [run["reason"] for run in skipped] == ["upstream_failed"]


def test_with_continue_the_other_parts_go_on(federation: Federation) -> None:
    steps = [
        Step("part", [0, 1], fail="continue"),
        Step("finish", [0], fail="continue", final=("output",)),
    ]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")]))
    node, other = federation.node(0), federation.node(1)
    node.finish(node.claim()[0], state="refused", reason=Reason.POLICY)
    assert states(federation, job["id"])["part[0]", 1] == "queued"
    other.finish(other.claim()[0])
    found = states(federation, job["id"])
    assert (found["part[0]", 1], found["finish[0]", 0]) == ("completed", "skipped")
    assert federation.person().get(f"/job/{job['id']}")["state"] == "refused"


def test_a_quorum_goes_on_without_the_one_that_failed(federation: Federation) -> None:
    steps = [Step("part", [0, 1, 2]), Step("finish", [0], needs=2, final=("output",))]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")]))
    for number, state in ((0, "completed"), (1, "failed"), (2, "completed")):
        node = federation.node(number)
        reason = None if state == "completed" else Reason.EXIT_CODE
        node.finish(node.claim()[0], state=state, reason=reason)
    node = federation.node(0)
    (assignment,) = node.claim()
    assert len(assignment["inputs"]) == 2
    node.finish(assignment)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "completed"


def test_a_quorum_out_of_reach_ends_the_job(federation: Federation) -> None:
    steps = [Step("part", [0, 1, 2]), Step("finish", [0], needs=2, final=("output",))]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")]))
    for number in (0, 1):
        node = federation.node(number)
        node.finish(node.claim()[0], state="failed", reason=Reason.EXIT_CODE)
    found = federation.person().get(f"/job/{job['id']}")
    assert found["state"] in ("cancelled", "skipped") and found["finished_at"] is not None
    assert states(federation, job["id"])["finish[0]", 0] == "skipped"


def test_order_without_data(federation: Federation) -> None:
    steps = [Step("first", [0], final=("output",)), Step("second", [1], final=("output",))]
    edge = Edge("first", "second", Pattern.NONE)
    federation.submit(federation.draft(steps, [edge]))
    later = federation.node(1)
    assert later.claim() == []
    node = federation.node(0)
    node.finish(node.claim()[0])
    (assignment,) = later.claim()
    assert assignment["inputs"] == []


def test_a_transient_refusal_is_tried_again_after_a_while(federation: Federation, clock: ManualClock) -> None:
    job = federation.submit(federation.simple())
    node = federation.node()
    (assignment,) = node.claim()
    message = node.result(assignment, state="refused", reason=Reason.REFUSED_NOW)
    path = f"/run/{assignment['run']}/result"
    assert node.post(path, message) == {"id": assignment["run"], "state": "queued", "superseded": False}
    assert node.post(path, message)["state"] == "queued"  # the same again is answered the same
    assert node.claim() == []
    clock.advance(1.5)
    (again,) = node.claim()
    assert (again["run"], again["attempt"]) == (assignment["run"], 2)
    assert again["lease_token"] != assignment["lease_token"]
    node.finish(again)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "completed"


def test_a_held_sync_wakes_when_the_back_off_is_over(federation: Federation) -> None:
    federation.submit(federation.simple())
    node = federation.node()
    (assignment,) = node.claim()
    node.finish(assignment, state="refused", reason=Reason.REFUSED_NOW)
    (again,) = node.claim(wait_s=20.0)  # the clock moves by itself: exactly to the moment that is waited for
    assert again["attempt"] == 2


def test_transient_reasons_end_the_run_when_no_attempt_is_left(federation: Federation) -> None:
    step = Step("mean", [0], limits=Limits(attempts=1), final=("output",))
    job = federation.submit(federation.draft([step]))
    node = federation.node()
    assert node.finish(node.claim()[0], state="failed", reason=Reason.UPSTREAM_UNAVAILABLE)["state"] == "failed"
    assert federation.person().get(f"/job/{job['id']}")["state"] == "failed"


def test_cancel_reaches_the_node_and_the_job_ends(federation: Federation) -> None:
    job = federation.submit(federation.simple([0, 1]))
    node = federation.node()
    (assignment,) = node.claim()
    answer = federation.person().call("PATCH", f"/job/{job['id']}", {"cancel": True})
    assert answer["state"] == "cancelled" and answer["counts"] == {"cancelled": 2}
    told = node.sync([assignment], jobs=[job["id"]])
    assert told["cancel"] == [assignment["run"]] and told["ended_jobs"] == [job["id"]]
    assert node.finish(assignment)["superseded"] is True
    assert federation.node(1).claim() == []
    again = federation.person().call("PATCH", f"/job/{job['id']}", {"cancel": True})
    assert again["finished_at"] == answer["finished_at"]


def test_deleting_a_job_removes_its_payloads_and_keeps_digests(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    node = federation.node()
    (assignment,) = node.claim()
    node.finish(assignment, content=bytes(100_000))  # large: uploaded as a file
    person = federation.person()
    (run,) = person.get(f"/job/{job['id']}", include="runs")["runs"]
    output = run["outputs"][0]["payload"]["id"]
    assert person.raw("GET", f"/payload/{output}").status_code == 200
    assert federation.hub.payloads.path(output).exists()
    assert person.raw("DELETE", f"/job/{job['id']}").status_code == 204
    assert not federation.hub.payloads.path(output).exists()
    for payload in (output, assignment["order"]["id"]):
        with pytest.raises(Refused) as refused:
            person.get(f"/payload/{payload}")
        assert refused.value.code == "payload_deleted"
    (kept,) = person.get(f"/job/{job['id']}", include="runs")["runs"]
    assert kept["outputs"][0]["payload"]["id"] == output and kept["receipt"] is not None
    assert person.raw("DELETE", f"/job/{job['id']}").status_code == 204


# --- subtasks --------------------------------------------------------------------------------------------------------
def central(federation: Federation, **limits: int) -> dict:
    step = Step("central", [0], final=("output",), delegation=delegation(federation, **limits))
    return federation.submit(federation.draft([step]))


def test_a_running_algorithm_asks_the_others(federation: Federation) -> None:
    job = central(federation)
    parent_node = federation.node(0)
    (parent,) = parent_node.claim()
    parent_node.start(parent)
    message = parent_node.subtask(parent, federation, [0, 1, 2])
    task = parent_node.post("/task", message)
    assert task["path"].startswith("central[0]#1.1@") and len(task["runs"]) == 3
    assert parent_node.raw("POST", "/task", json=message).status_code == 200  # the same statement: the same task
    for number in range(3):
        node = federation.node(number)
        held = [parent] if number == 0 else []
        (child,) = node.claim(leases=held)
        assert child["statements"] == [message["statement"]] and child["path"] == task["path"]
        node.finish(child, content=b"%d" % number)
    done = parent_node.get(f"/task/{task['id']}", include="runs,payloads", wait=20)
    assert done["state"] == "completed"
    assert all(run["outputs"][0]["payload"]["inline"] for run in done["runs"])
    parent_node.finish(parent)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "completed"


def test_a_failed_subtask_is_the_algorithms_business(federation: Federation) -> None:
    job = central(federation)
    parent_node = federation.node(0)
    (parent,) = parent_node.claim()
    task = parent_node.post("/task", parent_node.subtask(parent, federation, [1]))
    node = federation.node(1)
    node.finish(node.claim()[0], state="failed", reason=Reason.EXIT_CODE)
    assert parent_node.get(f"/task/{task['id']}", wait=20)["state"] == "failed"
    parent_node.finish(parent)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "completed"


def test_when_the_parent_ends_its_unfinished_children_are_cancelled(federation: Federation) -> None:
    central(federation, depth=2)
    parent_node = federation.node(0)
    (parent,) = parent_node.claim()
    parent_node.post("/task", parent_node.subtask(parent, federation, [1]))
    node = federation.node(1)
    (child,) = node.claim()
    grandchild = node.post("/task", node.subtask(child, federation, [2]))
    parent_node.finish(parent)
    assert node.sync([child])["cancel"] == [child["run"]]
    run = federation.person().get(f"/task/{grandchild['id']}", include="runs")["runs"][0]
    assert (run["state"], run["reason"]) == ("cancelled", "parent_ended")


def test_children_of_a_lost_attempt_are_cancelled(federation: Federation, clock: ManualClock) -> None:
    central(federation)
    parent_node = federation.node(0)
    (parent,) = parent_node.claim()
    task = parent_node.post("/task", parent_node.subtask(parent, federation, [1]))
    clock.advance(61)
    assert federation.person().get(f"/task/{task['id']}")["state"] == "cancelled"
    with pytest.raises(Refused) as refused:
        parent_node.post("/task", parent_node.subtask(parent, federation, [1], counter=2))
    assert refused.value.code == "lease_invalid"


# --- reading ---------------------------------------------------------------------------------------------------------
def test_lists_are_filtered_by_state_label_name_and_collaboration(federation: Federation) -> None:
    first = federation.submit(federation.simple(labels={"source": "ITM123"}))
    federation.submit(federation.simple(on=[1], labels={"source": "XYZ"}, name="other"))
    node = federation.node(0)
    node.finish(node.claim()[0])
    person = federation.person()

    def ids(**query: str) -> list[str]:
        return [job["id"] for job in person.get("/job", **query)["data"]]

    assert ids(state="completed") == [first["id"]]
    assert ids(label="source:ITM*") == [first["id"]]
    assert ids(name="mean*") == [first["id"]]
    assert len(ids(collaboration=str(federation.collaboration_id))) == 2
    assert ids(state="failed,running") == []
    assert person.get("/task", job=first["id"])["total"] == 1
    assert person.get("/run", organization=federation.organizations[1].id)["total"] == 1


def test_the_state_filter_agrees_with_the_state_shown(federation: Federation) -> None:
    jobs = [federation.submit(federation.simple([0, 1])) for _ in range(4)]
    zero, one = federation.node(0), federation.node(1)
    mine = {assignment["job"]: assignment for assignment in zero.claim()}
    theirs = {assignment["job"]: assignment for assignment in one.claim(want=2)}
    zero.finish(mine[jobs[0]["id"]])
    one.finish(theirs[jobs[0]["id"]])
    zero.finish(mine[jobs[2]["id"]])
    zero.start(mine[jobs[1]["id"]])
    person = federation.person()
    for state in ("blocked", "queued", "leased", "running", "completed", "failed", "cancelled"):
        for job in person.get("/job", state=state)["data"]:
            assert job["state"] == state
        for task in person.get("/task", state=state)["data"]:
            assert task["state"] == state
    assert {job["state"] for job in person.get("/job")["data"]} == {"completed", "running", "leased"}


def test_a_queued_run_says_why_nobody_can_take_it(federation: Federation, clock: ManualClock) -> None:
    step = Step("mean", [0], tags=("gpu",), final=("output",))
    federation.submit(federation.draft([step]))
    person, node = federation.person(), federation.node()
    assert person.get("/run")["data"][0]["note"] == "unroutable: no node of the organization carries gpu"
    assert node.claim() == []
    (assignment,) = node.claim(tags=["big", "gpu"])
    node.finish(assignment)
    federation.submit(federation.draft([step]))
    assert person.get("/run", state="queued")["data"][0]["note"] is None
    clock.advance(100)
    assert "online" in person.get("/run", state="queued")["data"][0]["note"]


def test_a_run_that_nobody_took_fails_at_the_plans_deadline(federation: Federation, clock: ManualClock) -> None:
    steps = [Step("part", [0, 1]), Step("finish", [0], final=("output",))]
    job = federation.submit(federation.draft(steps, [Edge("part", "finish")], expires_s=100))
    clock.advance(101)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "failed"
    run = federation.person().get("/run", state="failed")["data"][0]
    assert run["reason"] == "unroutable"


def test_a_held_read_answers_when_the_version_has_grown(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    person = federation.person()
    unchanged = person.get(f"/job/{job['id']}", wait=5, since=person.get(f"/job/{job['id']}")["version"])
    node = federation.node()
    node.claim()
    grown = person.get(f"/job/{job['id']}", wait=5, since=unchanged["version"])
    assert grown["version"] > unchanged["version"] and grown["state"] == "leased"


def test_priority_goes_first_and_subtasks_before_steps(federation: Federation) -> None:
    normal = federation.submit(federation.simple([1]))
    urgent = federation.submit(federation.simple([1], priority=9))
    asking = central(federation)
    parent_node = federation.node(0)
    (parent,) = parent_node.claim()
    parent_node.post("/task", parent_node.subtask(parent, federation, [1]))
    order = [assignment["job"] for assignment in federation.node(1).claim()]
    assert order == [asking["id"], urgent["id"], normal["id"]]


def test_jobs_take_turns(federation: Federation) -> None:
    large, small = central(federation), central(federation)
    parent_node = federation.node(0)
    parents = {parent["job"]: parent for parent in parent_node.claim()}
    for counter in (1, 2, 3):
        parent_node.post("/task", parent_node.subtask(parents[large["id"]], federation, [1], counter=counter))
    parent_node.post("/task", parent_node.subtask(parents[small["id"]], federation, [1]))
    order = [assignment["job"] for assignment in federation.node(1).claim()]
    assert order == [large["id"], small["id"], large["id"], large["id"]]


def test_events_tell_the_story_in_order(federation: Federation) -> None:
    person = federation.person()
    job = federation.submit(federation.simple())
    node = federation.node()
    (assignment,) = node.claim()
    node.start(assignment)
    node.finish(assignment)
    found = person.get("/event", since=0)["data"]
    mine = [event["kind"] for event in found if event["job_id"] == job["id"]]
    assert mine == [
        "job.created",
        "run.queued",
        "run.leased",
        "run.running",
        "run.completed",
        "task.completed",
        "job.completed",
    ]
    assert "node.online" in [event["kind"] for event in found]
    assert [event["id"] for event in found] == sorted(event["id"] for event in found)
    last = found[-1]["id"]
    assert person.get("/event", since=last, wait=1)["data"] == []


def test_events_stream_on_after_the_last_one_seen(federation: Federation) -> None:
    federation.submit(federation.simple())
    person = federation.person()
    first = person.get("/event", since=0)["data"][0]["id"]
    answer = person.raw(
        "GET", "/event", headers={"Accept": "text/event-stream", "Last-Event-ID": str(first)}, stream=True
    )
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = answer.iter_lines(chunk_size=1)
    seen = [next(lines).decode() for _ in range(4)]
    assert seen[:2] == ["retry: 1000", ""] and seen[2] == f"id: {first + 1}" and seen[3] == "event: run.queued"
    answer.close()


def test_a_node_that_stays_away_goes_offline_in_the_events(federation: Federation, clock: ManualClock) -> None:
    federation.node().sync()
    clock.advance(61)
    federation.node(1).sync()
    kinds = [(event["kind"], event["node_id"]) for event in federation.person().get("/event")["data"]]
    assert ("node.offline", federation.node_ids[0]) in kinds
