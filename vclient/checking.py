"""What the hub says about a job, held against what the nodes signed. Pure: keys are looked up by a function passed in.

Nothing of a result is opened before the whole graph of receipts was checked: every completed run by its own receipt,
every input by its producer's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vclient.errors import Failure
from vprotocol.errors import PlanMismatch, ReceiptInvalid
from vprotocol.ids import Fingerprint
from vprotocol.keys import PublicKey
from vprotocol.messages.run import RunView
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedRun, SignedPlan, expected_root_run, root_runs
from vprotocol.receipt import OpenedInput, Receipt, SignedReceipt
from vprotocol.signed import DocumentType
from vprotocol.states import FINAL, RunState
from vprotocol.subtask import NodeKey

Place = tuple[str, Fingerprint]  # task path, organization


@dataclass(frozen=True)
class CheckedRun:
    """A run of the plan that has ended, with what its node signed about it (None: only the hub says so)."""

    view: RunView
    expected: ExpectedRun
    signed: SignedReceipt | None
    node: PublicKey | None

    @property
    def receipt(self) -> Receipt | None:
        return None if self.signed is None else self.signed.receipt

    @property
    def completed(self) -> bool:
        return self.view.state is RunState.COMPLETED


@dataclass(frozen=True)
class SignedLog:
    """A sealed log that a node's receipt names."""

    view: RunView
    receipt: Receipt
    node: PublicKey


def check_graph(plan: SignedPlan, views: Sequence[RunView], node_key: NodeKey) -> dict[Place, CheckedRun]:
    """Every run that the plan itself asks for.

    :raises PlanMismatch: a run is missing, doubled or not of this plan.
    :raises ReceiptInvalid, SignatureInvalid, KeyUnknown: a receipt is missing, forged, or about something else.
    """
    by_place = _by_place(plan, views)
    found: dict[Place, CheckedRun] = {}
    for _, path, organization in root_runs(plan.plan):
        view = by_place.get((str(path), organization))
        if view is None:
            raise PlanMismatch(f"the hub shows no run of {path} at {_name(plan, organization)}")
        if view.state in FINAL:
            found[str(path), organization] = _check_run(plan, view, path, organization, node_key)
    for run in found.values():
        if run.completed:
            _check_inputs(plan, run, found)
    return found


def failures(plan: SignedPlan, runs: Mapping[Place, CheckedRun], views: Sequence[RunView]) -> tuple[Failure, ...]:
    """Every run that ended otherwise than completed, subtasks included."""
    found = []
    for view in views:
        if view.state not in FINAL or view.state is RunState.COMPLETED:
            continue
        checked = runs.get((view.path, view.fingerprint))
        receipt = checked.receipt if checked is not None else None
        found.append(
            Failure(
                step=TaskPath.parse(view.path).step,
                path=view.path,
                organization=_name(plan, view.fingerprint),
                fingerprint=view.fingerprint,
                state=view.state,
                reason=receipt.reason if receipt is not None else view.reason,
                signed=receipt is not None,
            )
        )
    return tuple(found)


def signed_logs(
    plan: SignedPlan, views: Sequence[RunView], node_key: NodeKey, *, everything: bool
) -> Iterator[SignedLog]:
    """The logs that nodes of the plan sealed for its initiator; of runs that did not complete, or of all.

    A subtask's receipt is not held against the statements that led to it: its log is shown, nothing is concluded.

    :raises ReceiptInvalid, SignatureInvalid, KeyUnknown: a receipt is forged, or about something else.
    """
    for view in views:
        if view.receipt is None or view.state not in FINAL or (view.state is RunState.COMPLETED and not everything):
            continue
        signed = SignedReceipt.from_wire(view.receipt.to_wire())
        receipt = signed.receipt
        if plan.plan.organization(view.fingerprint) is None or plan.plan.step(TaskPath.parse(view.path).step) is None:
            raise PlanMismatch(f"the plan knows no run {view.path}")
        node = node_key(view.fingerprint, signed.signed.key)
        signed.signed.check(DocumentType.RECEIPT, node)
        if receipt.plan != plan.hash or (receipt.run.path, receipt.run.organization) != (view.path, view.fingerprint):
            raise ReceiptInvalid("the receipt is about another run")
        if receipt.log is not None:
            if view.log is None or view.log.id != receipt.log:
                raise ReceiptInvalid(f"the hub shows another log of {view.path} than the node signed")
            yield SignedLog(view, receipt, node)


def organization_names(plan: SignedPlan) -> dict[Fingerprint, str]:
    """What organizations are called in results; those that share a name also by their number."""
    names = [one.name for one in plan.plan.organizations]
    return {
        one.fingerprint: one.name if names.count(one.name) == 1 else f"{one.name} ({one.id})"
        for one in plan.plan.organizations
    }


def _by_place(plan: SignedPlan, views: Sequence[RunView]) -> dict[Place, RunView]:
    found: dict[Place, RunView] = {}
    for view in views:
        place = (view.path, view.fingerprint)
        if place in found:
            raise PlanMismatch(f"the hub shows the run {view.path} twice")
        if not TaskPath.parse(view.path).children:
            expected_root_run(plan.plan, TaskPath.parse(view.path), view.fingerprint)  # or it is none of this plan
        found[place] = view
    return found


def _check_run(
    plan: SignedPlan, view: RunView, path: TaskPath, organization: Fingerprint, node_key: NodeKey
) -> CheckedRun:
    expected = expected_root_run(plan.plan, path, organization)
    where = f"{path} at {_name(plan, organization)}"
    if view.receipt is None:
        if view.state is RunState.COMPLETED:
            raise ReceiptInvalid(f"{where} is called completed, and no receipt says so")
        return CheckedRun(view, expected, None, None)
    signed = SignedReceipt.from_wire(view.receipt.to_wire())
    node = node_key(organization, signed.signed.key)
    # The initiator has signed no supplement, so nothing but the first generation exists.
    receipt = signed.verify(node, plan.hash, expected, generation=0)
    if (receipt.state == "completed") != (view.state is RunState.COMPLETED):
        raise ReceiptInvalid(f"{where}: the hub says {view.state.value}, the node signed {receipt.state}")
    for output in view.outputs:
        if receipt.output(output.name) != output.payload.id:
            raise ReceiptInvalid(f"{where}: the hub shows another output `{output.name}` than the node signed")
    return CheckedRun(view, expected, signed, node)


def _check_inputs(plan: SignedPlan, run: CheckedRun, runs: Mapping[Place, CheckedRun]) -> None:
    assert run.receipt is not None, "a completed run without a receipt was refused"
    outputs = {
        (one.name, str(producer.path), producer.organization): producer.output
        for one in run.expected.inputs
        for producer in one.producers
    }
    for opened in run.receipt.inputs:
        place = (opened.producer.path, opened.producer.organization)
        output = outputs[opened.name, *place]  # `SignedReceipt.verify` has seen that the plan names it
        _check_input(run, opened, output, runs.get(place))
    if run.expected.needs is not None:
        counted = len({opened.producer.organization for opened in run.receipt.inputs})
        if counted < run.expected.needs or run.receipt.participants not in (None, counted):
            raise ReceiptInvalid(f"{run.view.path}: {counted} took part, {run.expected.needs} are needed")


def _check_input(run: CheckedRun, opened: OpenedInput, output: str, producer: CheckedRun | None) -> None:
    where = f"{run.view.path}: the input `{opened.name}` from {opened.producer.path}"
    if producer is None or producer.signed is None or not producer.completed:
        raise ReceiptInvalid(f"{where} was opened, and its producer has not signed that it completed")
    if opened.receipt != producer.signed.hash:
        raise ReceiptInvalid(f"{where} was opened by another receipt than its producer's")
    if opened.producer != producer.signed.receipt.run:
        raise ReceiptInvalid(f"{where} is of another attempt than its producer's receipt")
    if opened.payload != producer.signed.receipt.output(output):
        raise ReceiptInvalid(f"{where} is not what its producer signed")


def _name(plan: SignedPlan, organization: Fingerprint) -> str:
    return organization_names(plan).get(organization, organization[:16])
