"""The container contract as the algorithm tools see it: paths, bodies, statuses, errors with `msg`."""

import base64
import json

import pytest

from proxy.app import create_app
from proxy.desk import Caller, ChildRun, ChildTask, SubtaskRequest
from vprotocol.errors import DelegationExceeded, NotAuthenticated, NotFound, SignatureInvalid, Unreachable
from vprotocol.plan import PlanOrganization
from vprotocol.states import RunState

MEMBERS = tuple(PlanOrganization(fingerprint=f"{n:064x}", id=n, name=f"hospital {n}") for n in (1, 2, 3))
CALLER = Caller("key", MEMBERS[0], MEMBERS, 7, 5, 40, 41, "stats", ("default",))
TOKEN = {"Authorization": "Bearer right"}


class Gate:
    def admit(self, token: str, address: str | None) -> Caller:
        if token != "right":
            raise NotAuthenticated("this token is not valid here, or its run has ended")
        return CALLER


class Desk:
    """Remembers what was asked; answers with one child of two runs."""

    def __init__(self) -> None:
        self.asked: list[SubtaskRequest] = []
        self.percent: list[int] = []
        self.waits: list[float] = []
        self.error: Exception | None = None
        runs = (
            ChildRun(100, 2, RunState.COMPLETED, 1.0, 2.0, b'{"n": 1}'),
            ChildRun(101, 3, RunState.FAILED, 1.0, 2.0),
        )
        self.child = ChildTask(50, "ask", "stats", RunState.FAILED, runs)

    def create(self, caller: Caller, request: SubtaskRequest) -> ChildTask:
        if self.error:
            raise self.error
        self.asked.append(request)
        return self.child

    def task(self, caller: Caller, task_id: int, wait_s: float) -> ChildTask:
        self.waits.append(wait_s)
        if task_id != 50:
            raise NotFound(f"task {task_id} is not one of this algorithm's own children")
        return self.child

    def results(self, caller: Caller, task_id: int) -> ChildTask:
        return self.task(caller, task_id, 0)

    def children(self, caller: Caller) -> list[int]:
        return [50]

    def progress(self, caller: Caller, percent: int) -> None:
        self.percent.append(percent)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def client(desk: Desk):
    return create_app(Gate(), desk).test_client()


def order(method: str = "partial") -> str:
    return base64.b64encode(json.dumps({"method": method, "args": [], "kwargs": {}}).encode()).decode()


def task(**changes) -> dict:
    return {"image": "stats", "name": "x", "organizations": [{"id": 2, "input": order()}], **changes}


@pytest.mark.parametrize("path", ["/organization", "/task/50", "/result?task_id=50", "/run?task_id=50", "/study"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}])
def test_nothing_is_told_without_the_run_s_own_token(client, path, header) -> None:
    answer = client.get(path, headers=header)
    assert answer.status_code == 401 and answer.json["msg"]


def test_members_come_from_the_plan_on_one_page(client) -> None:
    answer = client.get("/organization?collaboration_id=7&page=1", headers=TOKEN).json
    assert [item["id"] for item in answer["data"]] == [1, 2, 3]
    assert "next" not in answer["links"]


def test_a_task_is_created_with_its_orders_and_labels(client, desk) -> None:
    body = task(databases=[{"label": "default"}, {"label": "second"}])
    answer = client.post("/task", json=body, headers={**TOKEN, "Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json["id"]) == (201, 50)
    asked = desk.asked[0]
    assert (asked.request_id, asked.labels, asked.image) == ("k1", ("default", "second"), "stats")
    assert json.loads(asked.orders[0][1])["method"] == "partial"


def test_without_labels_a_subtask_uses_its_parent_s(client, desk) -> None:
    client.post("/task", json=task(databases=[]), headers=TOKEN)
    assert desk.asked[0].labels is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ([], "object"),
        ({}, "organizations"),
        (task(organizations=[]), "organizations"),
        (task(organizations=[{"id": "2", "input": order()}]), "integer"),
        (task(organizations=[{"id": True, "input": order()}]), "integer"),
        (task(organizations=[{"id": 2, "input": "***"}]), "base64"),
        (task(image=3), "image"),
        (task(databases="default"), "databases"),
        (task(databases=[{"name": "x"}]), "label"),
    ],
)
def test_a_malformed_task_names_its_fault(client, desk, body, word) -> None:
    answer = client.post("/task", json=body, headers=TOKEN)
    assert answer.status_code == 400 and word in answer.json["msg"]
    assert not desk.asked


def test_a_body_that_is_not_json_is_a_400(client) -> None:
    answer = client.post("/task", data=b"\xff{", headers=TOKEN)
    assert answer.status_code == 400 and "JSON" in answer.json["msg"]


def test_a_status_is_held_and_spoken_in_the_tools_words(client, desk) -> None:
    assert client.get("/task/50/status", headers=TOKEN).json == {"status": "failed"}
    assert desk.waits[0] > 10


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_a_word_that_the_tools_know(client, desk, state) -> None:
    known = {"pending", "initializing", "active", "completed", "failed", "killed by user", "not allowed"}
    desk.child = ChildTask(50, "ask", "stats", state, ())
    assert client.get("/task/50/status", headers=TOKEN).json["status"] in known


def test_results_are_one_page_newest_run_first_and_null_where_there_is_none(client) -> None:
    answer = client.get("/result?task_id=50", headers=TOKEN).json
    assert [item["id"] for item in answer["data"]] == [101, 100]
    assert answer["data"][0]["result"] is None
    assert base64.b64decode(answer["data"][1]["result"]) == b'{"n": 1}'
    assert answer["data"][1]["organization_id"] == 2
    assert all(item["blob_storage_used"] is False for item in answer["data"])


def test_a_single_result_and_run_are_found_by_the_run_s_number(client) -> None:
    assert client.get("/result/100", headers=TOKEN).json["run"]["id"] == 100
    assert client.get("/run/101", headers=TOKEN).json["status"] == "failed"
    assert client.get("/result/999", headers=TOKEN).status_code == 404


def test_another_s_task_does_not_exist(client) -> None:
    assert client.get("/task/51", headers=TOKEN).status_code == 404
    assert client.get("/result?task_id=51", headers=TOKEN).status_code == 404
    assert client.get("/result", headers=TOKEN).status_code == 400


@pytest.mark.parametrize("path", ["/collaboration/8", "/node/6", "/organization/4"])
def test_what_is_not_the_caller_s_does_not_exist(client, path) -> None:
    assert client.get(path, headers=TOKEN).status_code == 404


def test_what_is_the_caller_s_is_answered(client) -> None:
    assert client.get("/collaboration/7", headers=TOKEN).json["id"] == 7
    assert client.get("/node/5", headers=TOKEN).json["id"] == 5
    assert client.get("/blobstream/status", headers=TOKEN).json == {"blob_store_enabled": False}
    assert client.get("/vpn/algorithm/addresses", headers=TOKEN).json == {"addresses": []}
    assert client.get("/version").json["version"] and client.get("/health").json["status"] == "ok"


@pytest.mark.parametrize(
    ("error", "status"),
    [(DelegationExceeded("too deep"), 403), (Unreachable(), 503), (SignatureInvalid(), 502), (ValueError("x"), 500)],
)
def test_true_status_codes_and_messages_pass_through(client, desk, error, status) -> None:
    desk.error = error
    answer = client.post("/task", json=task(), headers=TOKEN)
    assert answer.status_code == status and answer.json["msg"]
    if status == 500:
        assert "x" not in answer.json["msg"].split()


@pytest.mark.parametrize(("body", "status"), [({"percent": 40.5}, 200), ({"percent": 101}, 400), ({"p": 1}, 400)])
def test_progress_is_a_percentage(client, desk, body, status) -> None:
    assert client.put("/progress", json=body, headers=TOKEN).status_code == status
    assert desk.percent == ([40] if status == 200 else [])


@pytest.mark.parametrize("path", ["/user", "/collaboration", "/job", "/api/organization", "/static/x", "/token"])
def test_nothing_beyond_the_contract_exists(client, path) -> None:
    answer = client.get(path, headers=TOKEN)
    assert answer.status_code == 404 and answer.json["msg"]
