"""Researcher, hub and nodes together: what goes in sealed comes out opened, and nobody else takes part."""

import base64
import json
import threading
from pathlib import Path

import pytest

from tests.federation import Federation, ask, order_of
from vclient.workflow import Workflow, gather, order
from vnode.executors.scripted import Sandbox
from vprotocol.errors import RunFailed
from vprotocol.reasons import Reason

WAIT_S = 30


def echo(sandbox: Sandbox) -> int:
    asked = order_of(sandbox)
    sandbox.write_output(json.dumps({"got": asked["kwargs"], "organization": me(sandbox)}).encode())
    return 0


def add_up(sandbox: Sandbox) -> int:
    """Adds the numbers of its input `parts`."""
    layout = sandbox.layout
    index = json.loads(sandbox.files[f"{layout.inputs_folder}/index.json"])
    assert index["parts"]["many"] is True
    values = [json.loads(sandbox.files[f"{layout.inputs_folder}/{item['file']}"]) for item in index["parts"]["items"]]
    sandbox.write_output(json.dumps({"sum": sum(values), "from": len(values)}).encode())
    return 0


def give(sandbox: Sandbox) -> int:
    sandbox.write_output(json.dumps(me(sandbox)).encode())
    return 0


def central(sandbox: Sandbox) -> int:
    """Asks every organization to `give`, and adds up."""
    _, page = ask(sandbox, "GET", "/organization")
    content = base64.b64encode(json.dumps({"method": "give", "args": [], "kwargs": {}}).encode()).decode()
    body = {"name": "ask", "organizations": [{"id": item["id"], "input": content} for item in page["data"]]}
    status, task = ask(sandbox, "POST", "/task", {**body, **order_of(sandbox)["kwargs"]})
    if status != 201:
        sandbox.log += json.dumps(task).encode()
        return 3
    while ask(sandbox, "GET", f"/task/{task['id']}/status")[1]["status"] in ("pending", "initializing", "active"):
        pass
    _, results = ask(sandbox, "GET", f"/result?task_id={task['id']}")
    values = [json.loads(base64.b64decode(item["result"])) for item in results["data"]]
    sandbox.write_output(json.dumps({"sum": sum(values)}).encode())
    return 0


def central_and_give(sandbox: Sandbox) -> int:
    return give(sandbox) if order_of(sandbox)["method"] == "give" else central(sandbox)


def fail(sandbox: Sandbox) -> int:
    sandbox.log += b"it broke \xff here"
    return 4


def me(sandbox: Sandbox) -> int:
    token = sandbox.files[sandbox.layout.token_file].decode().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["sub"]["organization_id"]


SCRIPT = {"echo": echo, "give": give, "add": add_up, "central": central_and_give, "fail": fail}


@pytest.fixture
def world(tmp_path: Path):
    with Federation(tmp_path, SCRIPT) as made:
        yield made


def test_an_order_goes_out_sealed_and_its_results_come_back_opened(world: Federation) -> None:
    job = world.client.run(world.image("echo"), "anything", kwargs={"secret": 17})
    job.wait(timeout_s=WAIT_S)
    results = job.results()
    assert len(results) == 3
    assert sorted(value["organization"] for value in results.values()) == world.organizations
    assert all(value["got"] == {"secret": 17} for value in results.values())


def test_outputs_flow_between_steps_without_the_initiator_reading_them(world: Federation) -> None:
    flow = Workflow("sum")
    part = flow.step("part", world.image("give"), on="all", data=("default",))
    flow.step("finish", world.image("add"), on="initiator", inputs={"parts": gather(part)})
    job = world.client.run(flow, orders={"part": order("give"), "finish": order("add")})
    job.wait(timeout_s=WAIT_S)
    assert job.result() == {"sum": sum(world.organizations), "from": 3}


def test_a_central_function_asks_others_through_the_proxy(world: Federation) -> None:
    job = world.client.run(world.image("central"), "central", on="initiator", delegate=True)
    job.wait(timeout_s=WAIT_S)
    assert job.result() == {"sum": sum(world.organizations)}


def test_what_the_plan_does_not_delegate_is_refused_with_a_sentence(world: Federation) -> None:
    job = world.client.run(world.image("central"), "central", on="initiator", delegate=False)
    with pytest.raises(RunFailed):
        job.wait(timeout_s=WAIT_S)
        job.result()
    assert any("delegate nothing" in entry.text for entry in job.logs())


def test_a_failure_tells_its_reason_to_all_and_its_log_to_the_initiator_only(world: Federation) -> None:
    job = world.client.run(world.image("fail"), "fail", on="initiator")
    with pytest.raises(RunFailed) as caught:
        job.wait(timeout_s=WAIT_S)
        job.result()
    assert Reason.EXIT_CODE.value in str(caught.value.fields) + str(caught.value)
    assert ["it broke \ufffd here"] == [entry.text for entry in job.logs()]
    database = (world.folder / "hub").rglob("*")
    assert all(b"it broke" not in path.read_bytes() for path in database if path.is_file())


def test_a_policy_refuses_before_anything_runs(tmp_path: Path) -> None:
    policy = {"trust": "first-contact", "images": ["other/*"]}
    with Federation(tmp_path, SCRIPT, size=1, node={"policy": policy}) as world:
        job = world.client.run(world.image("echo"), "anything")
        with pytest.raises(RunFailed):
            job.wait(timeout_s=WAIT_S)
            job.result()
        assert any("policy.images" in entry.text for entry in job.logs())
        assert world.executors[0].find({}) == []


def test_cancelling_reaches_the_sandbox(tmp_path: Path) -> None:
    started, killed = threading.Event(), threading.Event()

    def forever(sandbox: Sandbox) -> int:
        started.set()
        sandbox.killed.wait(WAIT_S)
        killed.set()
        return 0

    with Federation(tmp_path, {"forever": forever}, size=1) as world:
        job = world.client.run(world.image("forever"), "x")
        assert started.wait(WAIT_S)
        job.cancel()
        assert killed.wait(WAIT_S)


def test_many_jobs_run_beside_each_other(world: Federation) -> None:
    jobs = [world.client.run(world.image("echo"), "x", kwargs={"n": n}, on="initiator") for n in range(12)]
    for number, job in enumerate(jobs):
        job.wait(timeout_s=WAIT_S)
        assert job.result()["got"] == {"n": number}


def test_functions_that_ask_their_own_node_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    """As many central functions as there are places, each asking the node that it runs at."""
    with Federation(tmp_path, SCRIPT, size=1, node={"max_runs": 2}) as world:
        jobs = [world.client.run(world.image("central"), "central", on="initiator", delegate=True) for _ in range(5)]
        for job in jobs:
            job.wait(timeout_s=WAIT_S)
            assert job.result() == {"sum": world.organizations[0]}
