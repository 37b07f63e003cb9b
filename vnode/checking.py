"""The node believes the plan, not the hub: an assignment must agree with what was signed before anything is opened."""

from dataclasses import dataclass
from functools import cached_property

from vnode.policy import Question
from vprotocol.envelope import Suite
from vprotocol.errors import (
    BadMessage,
    Damaged,
    DeadlineExceeded,
    DelegationExceeded,
    Forbidden,
    HeadTooOld,
    IdentityChanged,
    InternalError,
    KeyLogInvalid,
    NotAuthenticated,
    NotForThisKey,
    NotFound,
    OrganizationUnknown,
    PlanExpired,
    PlanMismatch,
    RateLimited,
    Replayed,
    SignatureInvalid,
    SuiteRefused,
    TrustError,
    Unavailable,
    Unreachable,
    VestalError,
)
from vprotocol.ids import Fingerprint, PayloadId
from vprotocol.keylog import CLOCK_SKEW_S
from vprotocol.messages.sync import Assignment, InputDelivery, RunPosition
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedRun, SignedPlan, Supplement
from vprotocol.reasons import Reason
from vprotocol.receipt import SignedReceipt
from vprotocol.signed import Signed
from vprotocol.subtask import NodeKey, RunName, SignedSubtask, expected_run
from vruntime.directory import Directory
from vruntime.http import UnexpectedAnswer
from vruntime.trust_store import TrustLevel

# What the hub says or does instead of answering.
_HUB = (
    Unreachable, UnexpectedAnswer, Unavailable, DeadlineExceeded, InternalError,
    RateLimited, NotAuthenticated, Forbidden, NotFound,
)  # fmt: skip

_REASONS: tuple[tuple[type[VestalError], Reason], ...] = (
    (PlanExpired, Reason.PLAN_EXPIRED),
    (Replayed, Reason.REPLAYED),
    (DelegationExceeded, Reason.DELEGATION),
    (SuiteRefused, Reason.UNENCRYPTED),
    (OrganizationUnknown, Reason.IDENTITY),
    (IdentityChanged, Reason.IDENTITY),
    (HeadTooOld, Reason.IDENTITY),
    (KeyLogInvalid, Reason.IDENTITY),
    (NotForThisKey, Reason.PLAN_MISMATCH),
    (PlanMismatch, Reason.PLAN_MISMATCH),
    (Damaged, Reason.DAMAGED),
    (SignatureInvalid, Reason.SIGNATURE),
    (TrustError, Reason.PLAN_MISMATCH),
    (BadMessage, Reason.DAMAGED),  # the order is sealed and signed, and is none
    *((kind, Reason.UPSTREAM_UNAVAILABLE) for kind in _HUB),
)


def reason_for(error: VestalError) -> Reason:
    """The reason code under which a run that met this error ends."""
    own = getattr(error, "reason", None)
    if isinstance(own, Reason):
        return own
    if error.code in ("key_unknown", "key_revoked"):
        return Reason.SIGNATURE
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.NODE_ERROR)


@dataclass(frozen=True)
class UpstreamOutput:
    """An output that this run takes in, with its producer's receipt, which was verified."""

    name: str
    many: bool
    producer: RunName
    receipt: SignedReceipt
    payload: PayloadId
    delivery: InputDelivery


@dataclass(frozen=True)
class Checked:
    """An assignment that agrees with its plan in every field."""

    assignment: Assignment
    plan: SignedPlan
    run: ExpectedRun
    upstream: tuple[UpstreamOutput, ...]
    trust: dict[Fingerprint, TrustLevel]

    @cached_property
    def name(self) -> RunName:
        return RunName(
            path=str(self.run.path),
            organization=self.run.organization,
            generation=self.assignment.generation,
            attempt=self.assignment.attempt,
        )

    @property
    def weakest(self) -> TrustLevel:
        return TrustLevel.UNVERIFIED if TrustLevel.UNVERIFIED in self.trust.values() else TrustLevel.VERIFIED

    def question(self, suite: Suite) -> Question:
        return Question(self.plan.plan, self.run, suite, self.trust)


def check(assignment: Assignment, own: Fingerprint, directory: Directory, at: int) -> Checked:
    """:param at: unix seconds at which the run is, or was, accepted: expiry is judged then and never later.

    :raises TrustError: the first thing that does not agree with what was signed.
    """
    plan = SignedPlan.from_wire(assignment.plan.to_wire())
    if plan.plan.job != assignment.job:
        raise PlanMismatch("the plan is of another job")
    if assignment.organization != own or plan.plan.organization(own) is None:
        raise PlanMismatch("the run is not for this organization")
    issuer = directory.user_key(plan.plan.issuer.organization, plan.plan.issuer.key)
    plan.verify(issuer)
    plan.plan.check_time(at)
    trust = {found.fingerprint: directory.known(found.fingerprint).level for found in plan.plan.organizations}
    for party in (plan.plan.issuer, *plan.plan.readers):  # whoever signs or reads is judged like whoever takes part
        trust.setdefault(party.organization, directory.known(party.organization).level)
    statements = [SignedSubtask.from_wire(item.to_wire()) for item in assignment.statements]
    path = TaskPath.parse(assignment.path)
    run = expected_run(plan, path, own, statements, node_key=directory.node_key, now=at)
    _check_generation(assignment, plan, statements, directory, at)
    if not 1 <= assignment.attempt <= run.limits.attempts:
        raise PlanMismatch(f"attempt {assignment.attempt} of at most {run.limits.attempts}")
    if assignment.order.id != run.order:
        raise PlanMismatch("the order is not the one that the plan names")
    return Checked(assignment, plan, run, _upstream(assignment, plan, run, directory, at), trust)


def _check_generation(
    assignment: Assignment, plan: SignedPlan, statements: list[SignedSubtask], directory: Directory, at: int
) -> None:
    """A generation above 0 needs the initiator's signed "again" for the run, or for the root of its chain."""
    if any(statement.subtask.parent.generation != assignment.generation for statement in statements):
        raise PlanMismatch("the run and those that asked for it are of different generations")
    if assignment.generation == 0:
        return
    if assignment.supplement is None:
        raise PlanMismatch("a repeated generation without the initiator's supplement")
    issuer = directory.user_key(plan.plan.issuer.organization, plan.plan.issuer.key)
    supplement = Supplement.verify(Signed.from_wire(assignment.supplement.to_wire()), plan, issuer)
    if not supplement.issued_at - CLOCK_SKEW_S <= at < supplement.expires_at:
        raise PlanExpired("the supplement has expired")
    root = statements[0].subtask.parent if statements else None
    path, organization = (
        (root.path, root.organization) if root is not None else (assignment.path, assignment.organization)
    )
    named = {(target.path, target.organization) for target in supplement.runs}
    if supplement.generation != assignment.generation or (path, organization) not in named:
        raise PlanMismatch("the supplement is about another run or generation")


def _upstream(
    assignment: Assignment, plan: SignedPlan, run: ExpectedRun, directory: Directory, at: int
) -> tuple[UpstreamOutput, ...]:
    """Every expected input has exactly one delivery, with a receipt of its producer under this plan."""
    deliveries = {_place(item.name, item.producer, item.output): item for item in assignment.inputs}
    if len(deliveries) != len(assignment.inputs):
        raise PlanMismatch("an input was delivered twice")
    found, missing = [], 0
    for expected in run.inputs:
        for producer in expected.producers:
            place = (expected.name, str(producer.path), producer.organization, producer.output)
            delivery = deliveries.pop(place, None)
            if delivery is None:
                missing += 1
                continue
            found.append(_verified(delivery, expected.many, plan, directory.node_key, assignment.generation))
    if deliveries:
        raise PlanMismatch("an input was delivered that the plan does not name")
    if missing and not run.optional:
        raise PlanMismatch(f"{missing} inputs that the plan names were not delivered")
    if run.needs is not None and len(found) < run.needs:
        raise PlanMismatch(f"{len(found)} participants delivered, {run.needs} are needed")
    return tuple(found)


def _verified(
    delivery: InputDelivery, many: bool, plan: SignedPlan, node_key: NodeKey, generation: int
) -> UpstreamOutput:
    receipt = SignedReceipt.from_wire(delivery.receipt.to_wire())
    producer = receipt.receipt.run
    expected = expected_run(plan, TaskPath.parse(delivery.producer.path), delivery.producer.organization)
    key = node_key(producer.organization, receipt.signed.key)
    receipt.verify(key, plan.hash, expected, delivery.producer.generation)
    if delivery.producer.generation > generation:
        raise PlanMismatch("an input is of a later generation than the run")
    if receipt.receipt.state != "completed" or producer.attempt != delivery.producer.attempt:
        raise PlanMismatch("the receipt of an input is not that of a completed run")
    if receipt.receipt.output(delivery.output) != delivery.payload.id:
        raise PlanMismatch("an input is not the output that its producer signed")
    return UpstreamOutput(delivery.name, many, producer, receipt, delivery.payload.id, delivery)


def _place(name: str, producer: RunPosition, output: str) -> tuple[str, str, str, str]:
    return name, producer.path, producer.organization, output
