"""The client against the real hub and real nodes with scripted executors, over WSGI without sockets."""

import json
import os
from pathlib import Path

import pytest

from tests.federation import Federation, order_of
from tests.hub_world import PASSWORD
from vclient import Client, JobFailed, Workflow, gather, order
from vclient.api import job as job_api
from vclient.errors import NewMember, NotEncrypted
from vnode.executors.scripted import Sandbox
from vprotocol.errors import AlreadyExists, JobCancelled, LoginFailed, NotFound
from vprotocol.messages.documents import SignedMessage
from vprotocol.messages.job import JobSubmit
from vprotocol.reasons import Reason
from vprotocol.states import RunState

WAIT_S = 60
MIB = 2**20


def echo(sandbox: Sandbox) -> int:
    sandbox.write_output(json.dumps(order_of(sandbox)).encode())
    return 0


def measure(sandbox: Sandbox) -> int:
    sandbox.write_output(json.dumps(len(order_of(sandbox)["args"][0])).encode())
    return 0


def large(sandbox: Sandbox) -> int:
    sandbox.write_output(b'"' + b"x" * (20 * MIB) + b'"')
    return 0


def fail(sandbox: Sandbox) -> int:
    sandbox.log += b"\x1b[31mit broke\xff"
    return 4


def forever(sandbox: Sandbox) -> int:
    sandbox.killed.wait(WAIT_S)
    return 0


def total(sandbox: Sandbox) -> int:
    index = json.loads(sandbox.files[f"{sandbox.layout.inputs_folder}/index.json"])
    files = [item["file"] for item in index["orders"]["items"]]
    asked = [json.loads(sandbox.files[f"{sandbox.layout.inputs_folder}/{file}"]) for file in files]
    sandbox.write_output(json.dumps(sum(one["kwargs"]["n"] for one in asked)).encode())
    return 0


SCRIPT = {"echo": echo, "measure": measure, "large": large, "fail": fail, "forever": forever, "total": total}


@pytest.fixture
def world(tmp_path: Path):
    with Federation(tmp_path, SCRIPT) as made:
        yield made


def test_a_small_job_costs_two_requests(world: Federation) -> None:
    session = world.session()
    client = Client("http://hub", folder=world.client.folder, session=session, first_contact=True)
    client.login("ada", PASSWORD)
    client.run(world.image("echo"), "warm up").results(timeout_s=WAIT_S)
    adapter = session.get_adapter("http://hub")
    before = len(adapter.seen)
    assert len(client.run(world.image("echo"), "m").results(timeout_s=WAIT_S)) == 3
    assert [(verb, path.split("/")[3]) for verb, path, _ in adapter.seen[before:]] == [("POST", "job"), ("GET", "job")]


def test_orders_by_organization_reach_only_their_own(world: Federation) -> None:
    wf = Workflow("orders")
    part = wf.step("part", world.image("echo"), data=["default"])
    wf.step("finish", world.image("total"), on="initiator", inputs={"orders": gather(part)})
    names = [view.name for view in world.client.organizations()]
    orders = {name: order("m", n=10**at) for at, name in enumerate(names)}
    job = world.client.run(wf, orders={"part": orders, "finish": order("total")})
    assert job.result(timeout_s=WAIT_S) == 111


def test_a_large_order_travels_as_a_payload(world: Federation) -> None:
    job = world.client.run(world.image("measure"), "m", ["x" * (9 * MIB)])
    assert set(job.results(timeout_s=WAIT_S).values()) == {9 * MIB}


def test_a_large_result_is_streamed_to_a_file(world: Federation, tmp_path: Path) -> None:
    job = world.client.run(world.image("large"), "m", on="initiator")
    job.wait(WAIT_S)
    seen: list[int] = []
    path = job.save(tmp_path / "large.json", progress=lambda done, total: seen.append(total))
    assert os.path.getsize(path) == 20 * MIB + 2
    assert len(set(seen)) == 1 and seen[0] > 20 * MIB


def test_progress_is_told_as_it_happens(world: Federation) -> None:
    states: list[RunState] = []
    job = world.client.run(world.image("echo"), "m")
    assert job.wait(WAIT_S, progress=lambda view: states.append(view.state)) is RunState.COMPLETED
    assert states[-1] is RunState.COMPLETED


def test_a_failure_comes_with_reason_and_log(world: Federation) -> None:
    job = world.client.run(world.image("fail"), "m", on="initiator")
    with pytest.raises(JobFailed) as caught:
        job.results(timeout_s=WAIT_S)
    assert caught.value.reason is Reason.EXIT_CODE
    assert caught.value.failures[0].signed
    assert [log.text for log in job.logs()] == ["\x1b[31mit broke\ufffd"]


def test_a_cancelled_job_ends(world: Federation) -> None:
    job = world.client.run(world.image("forever"), "m")
    job.cancel()
    with pytest.raises(JobCancelled):
        job.results(timeout_s=WAIT_S)


def test_a_job_is_taken_up_later_and_listed(world: Federation) -> None:
    job = world.client.run(world.image("echo"), "m", name="later", labels={"source": "1"})
    job.wait(WAIT_S)
    again = world.client.job(job.id)
    assert again.results() == job.results()
    assert [view.name for view in world.client.jobs(state="completed", label="source:1")] == ["later"]
    with pytest.raises(NotFound):
        world.client.job("0" * 32)


def test_a_colleague_sees_the_job_and_cannot_open_it(world: Federation) -> None:
    job = world.client.run(world.image("echo"), "m")
    job.wait(WAIT_S)
    colleague = world.researcher(1, "grace")
    seen = colleague.job(job.id)
    with pytest.raises(Exception, match="not sealed for this key") as caught:
        seen.results(timeout_s=WAIT_S)
    assert caught.value.code == "not_for_this_key"


def test_a_new_member_stays_out_until_it_is_accepted(world: Federation) -> None:
    careful = Client("http://hub", folder=world.client.folder, session=world.session(), first_contact=False)
    careful.login("ada", PASSWORD)
    with pytest.raises(NewMember) as caught:
        careful.run(world.image("echo"), "m")
    assert len(caught.value.fields["words"].split()) == 10
    for view in careful.organizations():
        careful.accept(view.id)
    assert len(careful.run(world.image("echo"), "m").results(timeout_s=WAIT_S)) == 3


def test_tokens_are_traded_and_end_with_the_log_out(world: Federation) -> None:
    client = Client("http://hub", folder=world.folder / "tokens", session=world.session())
    with pytest.raises(LoginFailed):
        client.login("ada", "wrong wrong wrong")
    client.login("ada", PASSWORD, remember=True)
    client._connection.tokens._pair["access_token"] = "vestal-access-expired"
    assert client.whoami().name == "ada"
    client.logout()
    assert not (client.folder / "tokens.json").exists()


def test_the_hub_alone_switches_no_encryption_off(tmp_path: Path) -> None:
    with Federation(tmp_path, SCRIPT, size=1, encrypted=False) as world, pytest.raises(NotEncrypted):
        world.client.run(world.image("echo"), "m")


def test_the_same_plan_is_one_job(world: Federation) -> None:
    job = world.client.run(world.image("echo"), "m")
    job.wait(WAIT_S)
    again = JobSubmit(plan=SignedMessage.from_wire(job.plan.signed.to_wire()))
    assert job_api.submit(world.client._connection.http, again).id == job.id
    other = job.plan.plan.model_copy(update={"name": "another"})
    forged = JobSubmit(plan=SignedMessage.from_wire(world.client.key.sign(other).signed.to_wire()))
    with pytest.raises(AlreadyExists):
        job_api.submit(world.client._connection.http, forged)
