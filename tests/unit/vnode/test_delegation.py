"""What an algorithm may ask of others, and what it hears of them: by plan and receipts, never by the hub's word."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.desk import Caller, SubtaskRequest
from tests.unit.vnode.twins import Everybody, NodeTwin, assignment, coded
from tests.unit.vprotocol import world
from tests.unit.vprotocol.world import NOW, A, B, C
from vnode.delegation import DelegationDesk
from vnode.journal import Entry
from vnode.runner import key_of
from vprotocol import places
from vprotocol.envelope import PayloadKind, Suite, seal
from vprotocol.errors import DelegationExceeded, NotFound, Unavailable, Unreachable, VestalError
from vprotocol.messages.task import SubtaskSubmit, TaskView
from vprotocol.plan import SignedPlan
from vprotocol.receipt import ReceiptOutput, SignedReceipt
from vprotocol.signed import Signed
from vprotocol.states import RunState
from vprotocol.subtask import RunName, SignedSubtask, expected_run

ASKED = (B, C)
ORDER = b'{"method": "part", "args": [], "kwargs": {}}'


class Hub:
    """Takes subtasks, and shows what `runs` holds; `refuse` is raised once instead, before or after it was taken."""

    def __init__(self) -> None:
        self.submitted: list[SubtaskSubmit] = []
        self.runs: list[dict[str, Any]] = []
        self.refuse: Exception | None = None
        self.during: Callable[[], None] = lambda: None

    def submit_subtask(self, submit: SubtaskSubmit, large: Any) -> TaskView:
        self.submitted.append(submit)
        self.during()
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error
        return self.view(100 + len(self.submitted))

    def task(self, task: int, **_: Any) -> TaskView:
        return self.view(task)

    def view(self, task: int) -> TaskView:
        relation = {"id": 1, "link": "/x", "methods": []}
        return TaskView.from_wire(
            {
                "id": task, "self": "/x", "job": relation, "path": "?", "step": "main", "name": "n", "image": "i",
                "parent_run": None, "state": "completed", "created_at": 0.0, "job_id": "0a" * 16, "runs": self.runs,
            }
        )  # fmt: skip

    def fetch(self, ref: Any, sink: Any, limit_bytes: int) -> None:
        from vruntime.transfer import fetch

        fetch(None, ref, sink, limit_bytes=limit_bytes)  # type: ignore[arg-type]

    @property
    def counters(self) -> list[int]:
        return [SignedSubtask.from_wire(one.statement.to_wire()).subtask.counter for one in self.submitted]


class Desk:
    def __init__(self, folder: Path) -> None:
        self.node = NodeTwin(folder, lambda sandbox: 0)
        self.hub, self.given = Hub(), assignment()
        self.plan = SignedPlan.from_wire(self.given.plan.to_wire())
        self.entry = self._accepted()
        plan = self.plan.plan
        own = plan.organization(A.fingerprint)
        assert own is not None
        self.caller = Caller(self.entry.key, own, plan.organizations, 1, 1, 5, 1, "algorithm", ("default",))
        self.node.leases.take(self.given)
        self.desk = DelegationDesk(
            settings=self.node.settings,
            hub=self.hub,  # type: ignore[arg-type]
            vault=self.node.vault,
            directory=Everybody(),  # type: ignore[arg-type]
            journal=self.node.journal,
            leases=self.node.leases,
            clock=self.node.clock,
            workspace=self.node.tools.workspace,
            made_room=lambda: None,
        )

    def _accepted(self) -> Entry:
        key = key_of(self.given)
        return self.node.journal.accept(key, self.given, "s", "00" * 32, NOW + 10, self.plan.plan.expires_at)

    def ask(self, request: str = "r1", to: tuple[int, ...] = (2, 3), **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "image": None,
            "name": "ask",
            "orders": [(number, ORDER) for number in to],
            "labels": None,
            "request_id": request,
        }
        return self.desk.create(self.caller, SubtaskRequest(**{**fields, **changes}))

    def answered(self) -> int:
        """Ask, and let both answer; the task."""
        task = self.ask().id
        statement = SignedSubtask.from_wire(self.hub.submitted[-1].statement.to_wire())
        self.hub.runs = [self._run(number, statement, one) for number, one in enumerate(ASKED, start=2)]
        return task

    def _run(self, number: int, statement: SignedSubtask, who: world.Organization) -> dict[str, Any]:
        path = statement.subtask.path
        name = RunName(path=str(path), organization=who.fingerprint)
        sink, content = io.BytesIO(), json.dumps(who.name).encode()
        context = places.produced(PayloadKind.OUTCOME, name, self.plan.hash, who.node.id, Suite.XWING)
        sealed = seal(io.BytesIO(content), sink, context, [A.organization.public], who.node)
        expected = expected_run(
            self.plan, path, who.fingerprint, [statement], node_key=world.node_key, now=statement.subtask.issued_at
        )
        outputs = (ReceiptOutput(name="output", payload=sealed.id),)
        receipt = world.receipt(self.plan, expected, outputs=outputs)
        relation = {"id": 1, "link": "/x", "methods": []}
        inline = base64.b64encode(sink.getvalue()).decode()
        payload = {"id": sealed.id, "bytes_total": len(sink.getvalue()), "inline": inline}
        return {
            "id": 50 + number, "self": "/x", "job": relation, "job_id": "0a" * 16, "task": relation, "task_id": 1,
            "organization": relation, "organization_id": number, "fingerprint": who.fingerprint, "path": str(path),
            "state": "completed", "reason": None, "note": None, "generation": 0, "attempt": 1, "progress": None,
            "node": None, "queued_at": None, "started_at": None, "finished_at": None, "log": None,
            "receipt": SignedReceipt.sign(receipt, who.node).signed.to_wire(),
            "outputs": [{"name": "output", "payload": payload}],
        }  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- asking ---------------------------------------------------------------------------------------------------------
def test_the_same_request_again_is_the_same_task(desk: Desk) -> None:
    first = desk.ask("r1")
    assert desk.ask("r1").id == first.id
    assert desk.ask("r2").id != first.id
    assert desk.hub.counters == [1, 2]
    assert desk.desk.children(desk.caller) == [101, 102]


def test_the_same_request_at_the_same_moment_is_sent_once(desk: Desk) -> None:
    met: list[str] = []

    def again() -> None:
        try:
            desk.ask("r1")
        except Unavailable as error:
            met.append(error.code)

    desk.hub.during = again
    desk.ask("r1")
    assert met == ["unavailable"] and len(desk.hub.submitted) == 1


@pytest.mark.parametrize("code", ["delegation_exceeded", "bad_request", "lease_invalid", "forbidden", "plan_mismatch"])
def test_a_counter_that_the_hub_refused_is_used_again(desk: Desk, code: str) -> None:
    desk.hub.refuse = coded(code)
    with pytest.raises(VestalError):
        desk.ask("r1")
    desk.ask("r1")
    assert desk.hub.counters == [1, 1]


@pytest.mark.parametrize("error", [Unreachable(), coded("already_exists"), coded("internal_error"), OSError()])
def test_a_counter_that_the_hub_may_have_is_not_used_again(desk: Desk, error: Exception) -> None:
    desk.hub.refuse = error
    with pytest.raises(type(error)):
        desk.ask("r1")
    desk.ask("r1")
    assert desk.hub.counters == [1, 2]


def test_after_a_kill_while_it_was_sent_the_counter_is_not_used_again(desk: Desk) -> None:
    reserved = desk.node.journal.reserve_subtask(desk.entry.key, "r1")
    desk.node.journal.sending_subtask(desk.entry.key, reserved.counter)
    desk.ask("r1")
    assert desk.hub.counters == [2]


def test_what_is_refused_before_it_is_sent_uses_no_counter(desk: Desk) -> None:
    for wrong in ({"image": "other"}, {"to": (9,)}, {"labels": ("secret",)}, {"orders": [(2, b"[]")]}):
        with pytest.raises(VestalError):
            desk.ask("r1", **wrong)
    desk.ask("r2")
    assert desk.hub.counters == [1]


def test_more_children_than_the_plan_allows_are_refused(desk: Desk) -> None:
    for number in range(3):
        desk.ask(f"r{number}")
    with pytest.raises(DelegationExceeded, match="3 subtasks"):
        desk.ask("r9")


def test_a_run_that_has_ended_asks_nothing(desk: Desk) -> None:
    desk.node.leases.drop(1)
    with pytest.raises(NotFound):
        desk.ask()
    assert desk.hub.submitted == []


def test_only_own_children_are_looked_at(desk: Desk) -> None:
    desk.ask()
    for look in (lambda: desk.desk.task(desk.caller, 7, 0), lambda: desk.desk.results(desk.caller, 7)):
        with pytest.raises(NotFound):
            look()


# --- what the hub shows ---------------------------------------------------------------------------------------------
def test_outcomes_are_opened_under_their_organizations(desk: Desk) -> None:
    found = desk.desk.results(desk.caller, desk.answered())
    assert {run.organization_id: json.loads(run.result or b"") for run in found.runs} == {2: B.name, 3: C.name}


def test_the_hubs_numbers_exchange_nobody(desk: Desk) -> None:
    task = desk.answered()
    for run in desk.hub.runs:
        run["organization_id"] = 5 - run["organization_id"]
    found = desk.desk.results(desk.caller, task)
    assert {run.organization_id: json.loads(run.result or b"") for run in found.runs} == {2: B.name, 3: C.name}


def exchange(name: str) -> Callable[[list[dict[str, Any]]], None]:
    def edit(runs: list[dict[str, Any]]) -> None:
        runs[0][name], runs[1][name] = runs[1][name], runs[0][name]

    return edit


def flipped(runs: list[dict[str, Any]]) -> None:
    payload = runs[0]["outputs"][0]["payload"]
    data = bytearray(base64.b64decode(payload["inline"]))
    data[len(data) // 2] ^= 1
    payload["inline"] = base64.b64encode(bytes(data)).decode()


def as_failed(runs: list[dict[str, Any]]) -> None:
    """A's node signed that it failed; the hub says it completed."""
    signed = Signed.from_wire(runs[0]["receipt"])
    body = SignedReceipt.read(signed).receipt.model_copy(update={"state": "failed", "reason": "lost", "outputs": ()})
    runs[0]["receipt"] = SignedReceipt.sign(body, B.node).signed.to_wire()


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (lambda runs: runs.pop() and None, "plan_mismatch"),
        (lambda runs: runs.append(runs[0]), "plan_mismatch"),
        (lambda runs: runs.__setitem__(1, runs[0]), "plan_mismatch"),
        (lambda runs: runs[0].update(fingerprint="ab" * 32), "plan_mismatch"),
        (lambda runs: runs[0].update(path="main[0]"), "plan_mismatch"),
        (lambda runs: runs[0].update(receipt=None), "receipt_invalid"),
        (exchange("receipt"), "key_unknown"),
        (exchange("outputs"), "receipt_invalid"),
        (as_failed, "receipt_invalid"),
        (flipped, "damaged"),
        (lambda runs: runs[0]["outputs"][0]["payload"].update(bytes_total=2**40), "too_large"),
    ],
)
def test_what_was_not_signed_does_not_reach_the_algorithm(desk: Desk, lie: Callable[[Any], Any], code: str) -> None:
    task = desk.answered()
    lie(desk.hub.runs)
    with pytest.raises(VestalError) as caught:
        desk.desk.results(desk.caller, task)
    assert caught.value.code == code


def test_a_child_that_failed_has_no_outcome(desk: Desk) -> None:
    task = desk.answered()
    desk.hub.runs[0].update(state="failed", reason="lost", receipt=None, outputs=[])
    found = desk.desk.results(desk.caller, task)
    assert [(run.state, run.result is None) for run in found.runs] == [
        (RunState.FAILED, True),
        (RunState.COMPLETED, False),
    ]
