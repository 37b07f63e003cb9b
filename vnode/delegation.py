"""What a running algorithm asks of other organizations: signed, sealed and sent by its node, within its plan.

The `Desk` of the proxy. An algorithm reaches its own children only; their outcomes are opened here, and only here.
"""

import io
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proxy.desk import Caller, ChildRun, ChildTask, SubtaskRequest
from vnode.checking import Checked, check
from vnode.config import NodeSettings
from vnode.journal import Journal, SubtaskEntry
from vnode.leases import Leases
from vnode.reporter import Hub, LargeOrder
from vnode.vault import Vault
from vprotocol.envelope import Sealed, Suite
from vprotocol.errors import (
    BadRequest,
    DelegationExceeded,
    Forbidden,
    LeaseInvalid,
    NotFound,
    PlanMismatch,
    ReceiptInvalid,
    TooLarge,
    TrustError,
    Unavailable,
)
from vprotocol.ids import Fingerprint
from vprotocol.messages.run import RunView
from vprotocol.messages.task import SubtaskSubmit, TaskView
from vprotocol.paths import TaskPath
from vprotocol.plan import Delegation, Limits, Plan
from vprotocol.receipt import SignedReceipt
from vprotocol.states import FINAL, RunState
from vprotocol.subtask import (
    OUTPUT,
    SignedSubtask,
    Subtask,
    SubtaskTarget,
    check_delegation,
    expected_run,
)
from vruntime import transfer
from vruntime.clock import Clock
from vruntime.directory import Directory

LARGEST_RESULT_BYTES = 512 * 2**20  # of a child's outcomes, as they travel to the algorithm in one JSON answer
# Nothing was sent, or the hub has refused it.
_REFUSALS = (BadRequest, TrustError, Forbidden, NotFound, LeaseInvalid)


class DelegationDesk:
    """Thread-safe; all that must last is in the journal."""

    def __init__(
        self,
        settings: NodeSettings,
        hub: Hub,
        vault: Vault,
        directory: Directory,
        journal: Journal,
        leases: Leases,
        clock: Clock,
        workspace: Path,
        made_room: Callable[[], None],
    ) -> None:
        """:param made_room: told when a run begins to wait for others, and leaves its place to them."""
        self._settings, self._hub, self._vault, self._directory = settings, hub, vault, directory
        self._journal, self._leases, self._clock, self._workspace = journal, leases, clock, workspace
        self._made_room = made_room
        self._lock = threading.Lock()
        self._asking: set[tuple[str, str]] = set()

    # --- asking -------------------------------------------------------------------------------------------------
    def create(self, caller: Caller, request: SubtaskRequest) -> ChildTask:
        """Sign and send a subtask. The same request id again gives the same task.

        :raises DelegationExceeded: the plan does not allow it; the sentence says what.
        """
        checked = self._parent(caller)
        with self._alone(caller, request):
            reserved = self._reserved(caller, request)
            if reserved.task is not None:
                return self.task(caller, reserved.task, 0)
            view = self._sent(caller, checked, request, reserved.counter)
        self._leases.asked(caller.run_id, view.id)
        self._made_room()
        return _child(caller, view, request.name)

    @contextmanager
    def _alone(self, caller: Caller, request: SubtaskRequest) -> Iterator[None]:
        """The same request twice at the same moment must not become two subtasks.

        :raises Unavailable: the first is still being sent.
        """
        asking = (caller.key, request.request_id)
        with self._lock:
            if asking in self._asking:
                raise Unavailable("this very request is being sent")
            self._asking.add(asking)
        try:
            yield
        finally:
            with self._lock:
                self._asking.discard(asking)

    def _reserved(self, caller: Caller, request: SubtaskRequest) -> SubtaskEntry:
        reserved = self._journal.reserve_subtask(caller.key, request.request_id)
        if reserved.task is None and reserved.sent:
            # The process died before the hub's answer was written down: perhaps the hub has a task of that counter.
            self._journal.give_up_subtask(caller.key, reserved.counter)
            reserved = self._journal.reserve_subtask(caller.key, request.request_id)
        return reserved

    def _sent(self, caller: Caller, checked: Checked, request: SubtaskRequest, counter: int) -> TaskView:
        """A counter is used again only if the hub certainly has no task of it: it names the task."""
        try:
            with tempfile.TemporaryDirectory(dir=self._workspace) as folder:
                submit, large, statement = self._signed(caller, checked, request, counter, Path(folder))
                self._journal.sending_subtask(caller.key, counter)
                view = self._hub.submit_subtask(submit, large)
        except _REFUSALS:
            self._journal.release_subtask(caller.key, counter)
            raise
        except BaseException:
            self._journal.give_up_subtask(caller.key, counter)
            raise
        self._journal.record_subtask(caller.key, counter, view.id, statement.signed.to_wire())
        return view

    def _signed(
        self, caller: Caller, checked: Checked, request: SubtaskRequest, counter: int, folder: Path
    ) -> tuple[SubtaskSubmit, list[LargeOrder], SignedSubtask]:
        plan = checked.plan.plan
        delegation = checked.run.delegation
        if delegation is None:
            raise DelegationExceeded("the plan lets this step delegate nothing")
        targets = [(self._target(plan, number), content) for number, content in request.orders]
        path = checked.run.path.child(checked.run.organization, checked.name.attempt, counter)
        draft = Subtask(
            plan=checked.plan.hash,
            parent=checked.name,
            counter=counter,
            image=self._image(plan, delegation, request.image or caller.image),
            targets=tuple(SubtaskTarget(organization=fp, order="0" * 64) for fp, _ in targets),
            data=caller.labels if request.labels is None else request.labels,
            limits=_narrower(checked.run.limits, delegation.limits),
            recipients=(checked.run.organization,),
            issued_at=int(self._clock.now()),
        )
        check_delegation(plan, draft, delegation, int(self._clock.now()))
        orders = self._seal_orders(checked, path, targets, folder)
        ids = {fingerprint: sealed.id for fingerprints, sealed, _ in orders for fingerprint in fingerprints}
        statement = self._vault.sign_subtask(
            draft.model_copy(
                update={"targets": tuple(SubtaskTarget(organization=fp, order=ids[fp]) for fp, _ in targets)}
            )
        )
        lease = self._leases.get(caller.run_id)
        if lease is None:
            raise NotFound("the run that asks has ended")
        small = [path_ for _, sealed, path_ in orders if transfer.is_small(sealed.parts)]
        large: list[LargeOrder] = [
            (path_, s.parts, s.leaves) for _, s, path_ in orders if not transfer.is_small(s.parts)
        ]
        submit = SubtaskSubmit.from_wire(
            {
                "parent_run": caller.run_id,
                "lease_token": checked.assignment.lease_token,
                "statement": statement.signed.to_wire(),
                "orders": [transfer.b64(path_.read_bytes()) for path_ in small],
            }
        )
        return submit, large, statement

    def _seal_orders(
        self, checked: Checked, path: TaskPath, targets: Sequence[tuple[Fingerprint, bytes]], folder: Path
    ) -> list[tuple[list[Fingerprint], Sealed, Path]]:
        """The same order for several organizations is sealed once, with a wrap for each."""
        sealed_orders = []
        for number, content in enumerate(dict.fromkeys(content for _, content in targets)):
            readers = [fingerprint for fingerprint, other in targets if other == content]
            place = folder / f"order-{number}.sealed"
            with place.open("xb") as sink:
                sealed = self._vault.seal_order(
                    path,
                    checked.name.generation,
                    checked.plan.hash,
                    readers,
                    Suite(checked.plan.plan.suite),
                    io.BytesIO(_checked_order(content)),
                    sink,
                )
            sealed_orders.append((readers, sealed, place))
        return sealed_orders

    @staticmethod
    def _target(plan: Plan, number: int) -> Fingerprint:
        """The proxy resolves integer ids by the plan's list only."""
        found = plan.organization_by_id(number)
        if found is None:
            raise DelegationExceeded(f"the plan knows no organization {number}")
        return found.fingerprint

    @staticmethod
    def _image(plan: Plan, delegation: Delegation, asked: str) -> str:
        """A name or tag that an algorithm asks for, mapped through the plan's delegation list."""
        name = asked.partition("@")[0]
        for key in delegation.images:
            if plan.images[key].name.partition("@")[0] == name:
                return key
        raise DelegationExceeded(f"the plan does not let this step delegate the image `{name}`")

    # --- watching -----------------------------------------------------------------------------------------------
    def task(self, caller: Caller, task_id: int, wait_s: float) -> ChildTask:
        self._own(caller, task_id)
        return self._noticed(caller, _child(caller, self._hub.task(task_id, wait_s=wait_s)))

    def _noticed(self, caller: Caller, child: ChildTask) -> ChildTask:
        if child.state in FINAL:
            self._leases.answered(caller.run_id, child.id)
        return child

    def children(self, caller: Caller) -> Sequence[int]:
        return [entry.task for entry in self._journal.subtasks(caller.key) if entry.task is not None]

    def progress(self, caller: Caller, percent: int) -> None:
        self._leases.progress(caller.run_id, percent)

    # --- opening ------------------------------------------------------------------------------------------------
    def results(self, caller: Caller, task_id: int) -> ChildTask:
        """Outcomes are opened with their producers' receipts checked against plan and statement."""
        entry = self._own(caller, task_id)
        checked = self._parent(caller)
        assert entry.statement is not None, "an acknowledged subtask has its statement"
        statement = SignedSubtask.from_wire(entry.statement)
        view = self._hub.task(task_id, include="runs,payloads")
        left, runs = LARGEST_RESULT_BYTES, []
        for run in _every_target(statement, view):
            content = self._opened(checked, statement, run, left)
            left -= len(content or b"")
            runs.append(_child_run(caller, run, content))
        return self._noticed(caller, ChildTask(task_id, view.name, view.image, view.state, tuple(runs)))

    def _opened(self, checked: Checked, statement: SignedSubtask, run: RunView, limit_bytes: int) -> bytes | None:
        if run.state is not RunState.COMPLETED:
            return None
        if run.receipt is None:
            raise ReceiptInvalid(f"{run.path} is called completed, and no receipt says so")
        chain = [SignedSubtask.from_wire(item.to_wire()) for item in checked.assignment.statements]
        expected = expected_run(
            checked.plan,
            statement.subtask.path,
            run.fingerprint,
            [*chain, statement],
            node_key=self._directory.node_key,
            now=statement.subtask.issued_at,
        )
        receipt = SignedReceipt.from_wire(run.receipt.to_wire())
        node = self._directory.node_key(run.fingerprint, receipt.signed.key)
        body = receipt.verify(node, checked.plan.hash, expected, checked.name.generation)
        payload = body.output(OUTPUT)
        shown = next((output.payload for output in run.outputs if output.payload.id == payload), None)
        if payload is None or shown is None:
            raise ReceiptInvalid("the hub does not show the outcome that the receipt names")
        if shown.bytes_total > limit_bytes:
            raise TooLarge(f"the outcomes have more than the {LARGEST_RESULT_BYTES} bytes that fit through the proxy")
        content = io.BytesIO()
        with tempfile.TemporaryFile(dir=self._workspace) as sealed:
            self._hub.fetch(shown, sealed, limit_bytes)
            self._vault.open_output(body.run, receipt, checked.plan.hash, payload, sealed, content, self._least())
        return content.getvalue()

    def _parent(self, caller: Caller) -> Checked:
        """The caller's own run, checked again from the assignment as it was accepted."""
        entry = self._journal.find(caller.key)
        if entry is None:
            raise NotFound("the run that asks has ended")
        return check(entry.assignment, self._vault.fingerprint, self._directory, int(entry.accepted_at))

    def _own(self, caller: Caller, task_id: int) -> SubtaskEntry:
        for entry in self._journal.subtasks(caller.key):
            if entry.task == task_id:
                return entry
        raise NotFound(f"task {task_id} is not one of this algorithm's own children")

    def _least(self) -> Suite:
        return Suite(self._settings.min_suite) if self._settings.policy.encrypted_only else Suite.OPEN


def _checked_order(content: bytes) -> bytes:
    """Only what INPUT_FILE may hold is sealed: an author hears of a mistake here, not from a distant site."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("method"), str):
        raise BadRequest("`input` is the base64 of a JSON object with a `method`")
    return content


def _narrower(one: Limits, other: Limits) -> Limits:
    return Limits(**{name: min(getattr(one, name), getattr(other, name)) for name in Limits.model_fields})


def _every_target(statement: SignedSubtask, view: TaskView) -> tuple[RunView, ...]:
    """One run of each organization that was asked: what is missing, doubled or somebody else's is not counted.

    :raises PlanMismatch: the hub shows other runs than those that this node asked for.
    """
    runs = view.runs or ()
    asked = sorted(target.organization for target in statement.subtask.targets)
    if sorted(run.fingerprint for run in runs) != asked or any(run.path != str(statement.subtask.path) for run in runs):
        raise PlanMismatch("the hub shows other runs of the subtask than those that were asked for")
    return runs


def _child(caller: Caller, view: TaskView, name: str | None = None) -> ChildTask:
    runs = tuple(_child_run(caller, run) for run in view.runs or ())
    return ChildTask(view.id, name or view.name, view.image, view.state, runs)


def _child_run(caller: Caller, run: RunView, content: bytes | None = None) -> ChildRun:
    """Whose it is says the plan: the hub's numbers would let it exchange one organization for another."""
    member = next((one for one in caller.members if one.fingerprint == run.fingerprint), None)
    if member is None:
        raise PlanMismatch("the hub shows a run of an organization that the plan does not name")
    return ChildRun(run.id, member.id, run.state, run.started_at, run.finished_at, content)
