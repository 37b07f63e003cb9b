"""What a node signs when its algorithm asks others, and the check of the whole chain down from the plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from vprotocol.documents import DocumentBody
from vprotocol.errors import DelegationExceeded, DocumentInvalid, PlanMismatch
from vprotocol.ids import Fingerprint, Hash, KeyId, Label, PayloadId, PlanHash
from vprotocol.keys import PrivateKey, PublicKey
from vprotocol.paths import SHORT, PathText, TaskPath
from vprotocol.plan import (
    CLOCK_SKEW_S,
    Delegation,
    ExpectedOutput,
    ExpectedRun,
    Limits,
    Party,
    Plan,
    Seconds,
    SignedPlan,
    expected_root_run,
)
from vprotocol.signed import DocumentType, Signed

SUBTASK_LIMIT_BYTES = 64 * 1024
OUTPUT = "output"  # a subtask has one output


class RunName(DocumentBody):
    """A run and its attempt, inside a plan."""

    path: PathText
    organization: Fingerprint
    generation: Annotated[int, Field(ge=0, le=2**20)] = 0
    attempt: Annotated[int, Field(ge=1, le=999_999)] = 1  # what a task path has room for


class SubtaskTarget(DocumentBody):
    organization: Fingerprint
    order: PayloadId


class Subtask(DocumentBody):
    """One call of a running algorithm to other organizations."""

    version: Literal[1] = 1
    plan: PlanHash
    parent: RunName
    counter: Annotated[int, Field(ge=1, le=1_000_000)]
    image: Label  # key of the plan's images
    targets: Annotated[tuple[SubtaskTarget, ...], Field(min_length=1)]
    data: tuple[Label, ...] = ()
    limits: Limits
    recipients: tuple[Fingerprint, ...]  # of the outcome: the organization of the parent run, nobody else
    issued_at: Seconds

    @cached_property
    def path(self) -> TaskPath:
        parent = TaskPath.parse(self.parent.path)
        return parent.child(self.parent.organization, self.parent.attempt, self.counter)

    def order_for(self, organization: Fingerprint) -> PayloadId | None:
        return next((target.order for target in self.targets if target.organization == organization), None)


@dataclass(frozen=True)
class SignedSubtask:
    subtask: Subtask
    signed: Signed

    @cached_property
    def hash(self) -> Hash:
        return self.signed.hash

    @classmethod
    def sign(cls, subtask: Subtask, node: PrivateKey) -> Self:
        return cls(subtask, Signed.sign(DocumentType.SUBTASK, subtask.encode(), node))

    @classmethod
    def read(cls, signed: Signed) -> Self:
        """:raises DocumentInvalid: not a subtask statement."""
        if signed.type is not DocumentType.SUBTASK:
            raise DocumentInvalid(f"a subtask statement is needed, this is a {signed.type.value}")
        return cls(Subtask.decode(signed.body, limit_bytes=SUBTASK_LIMIT_BYTES), signed)

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        return cls.read(Signed.from_wire(data, limit_bytes=SUBTASK_LIMIT_BYTES))


NodeKey = Callable[[Fingerprint, KeyId], PublicKey]  # a certified node key of an organization, or an error


def check_delegation(plan: Plan, subtask: Subtask, allowed: Delegation | None, now: int) -> None:
    """Is this subtask within what the plan lets its parent delegate?

    :raises DelegationExceeded: with the sentence that an algorithm's author can act on.
    """
    if allowed is None:
        raise DelegationExceeded("the plan lets this step delegate nothing")
    if subtask.image not in allowed.images:
        raise DelegationExceeded(f"the plan does not let this step delegate the image `{subtask.image}`")
    for target in subtask.targets:
        if target.organization not in allowed.organizations:
            found = plan.organization(target.organization)
            raise DelegationExceeded(f"the plan does not let this step ask {found.name if found else 'a stranger'}")
    if len({target.organization for target in subtask.targets}) != len(subtask.targets):
        raise DelegationExceeded("a subtask asks an organization once")
    if set(subtask.data) - set(allowed.data):
        raise DelegationExceeded("the plan does not let subtasks use all of these data sources")
    if subtask.counter > allowed.children:
        raise DelegationExceeded(f"the plan allows {allowed.children} subtasks a parent attempt")
    if subtask.path.depth > allowed.depth:
        raise DelegationExceeded(f"the plan allows subtasks {allowed.depth} levels deep")
    if not subtask.limits.within(allowed.limits):
        raise DelegationExceeded("the subtask's limits are wider than the plan allows")
    if max(subtask.issued_at, now - CLOCK_SKEW_S) > allowed.until:
        raise DelegationExceeded("the time in which the plan allows subtasks is over")


def expected_run(
    plan: SignedPlan,
    path: TaskPath,
    organization: Fingerprint,
    statements: Sequence[SignedSubtask] = (),
    *,
    node_key: NodeKey | None = None,
    now: int = 0,
    generation: int | None = None,
) -> ExpectedRun:
    """What a run must be, by the plan alone or, for a subtask, by the plan and every statement down to it.

    Signatures of the statements are checked with `node_key`; the plan's own signature must have been checked before.

    :param now: unix seconds, for the end of the delegation; of the acceptance, not of the delivery of results.
    :param generation: the one that the hub names for the run; a subtask's must be that of its statements. (A generation
        above 0 of a step needs a supplement, which is checked elsewhere.)
    :raises PlanMismatch: plan and statements do not describe this run.
    :raises DelegationExceeded, SignatureInvalid, KeyUnknown: a statement in the chain is not lawful.
    """
    if len(statements) != path.depth:
        raise PlanMismatch(f"the task {path} needs {path.depth} subtask statements, {len(statements)} came")
    if not statements:
        return expected_root_run(plan.plan, path, organization)
    if node_key is None:
        raise PlanMismatch("subtask statements cannot be checked without the nodes' keys")
    root = TaskPath(path.step, path.iteration)
    run = expected_root_run(plan.plan, root, statements[0].subtask.parent.organization)
    for level, statement in enumerate(statements):
        last = level == len(statements) - 1
        at = organization if last else statements[level + 1].subtask.parent.organization
        run = _descend(plan, run, statement, at, node_key, now)
    if run.path != path:
        raise PlanMismatch(f"the statements lead to {run.path}, not to {path}")
    generations = {statement.subtask.parent.generation for statement in statements}
    if len(generations) != 1:
        raise PlanMismatch("the statements are of different generations")
    if generation is not None and generations != {generation}:
        raise PlanMismatch("the subtask is not of the generation that its statements name")
    return run


def _descend(
    plan: SignedPlan,
    parent: ExpectedRun,
    statement: SignedSubtask,
    organization: Fingerprint,
    node_key: NodeKey,
    now: int,
) -> ExpectedRun:
    subtask = statement.subtask
    if subtask.plan != plan.hash:
        raise PlanMismatch("a subtask statement is about another plan")
    if TaskPath.parse(subtask.parent.path) != parent.path or subtask.parent.organization != parent.organization:
        raise PlanMismatch("a subtask statement names another parent")
    statement.signed.check(DocumentType.SUBTASK, node_key(subtask.parent.organization, statement.signed.key))
    check_delegation(plan.plan, subtask, parent.delegation, now)
    if subtask.recipients != (subtask.parent.organization,):
        raise PlanMismatch("the outcome of a subtask is for the organization that asked, nobody else")
    order = subtask.order_for(organization)
    if order is None:
        raise PlanMismatch("the subtask does not run at this organization")
    assert parent.delegation is not None, "check_delegation has seen to it"
    return ExpectedRun(
        path=subtask.path,
        organization=organization,
        image=plan.plan.images[subtask.image],
        order=order,
        order_sender=Party(organization=subtask.parent.organization, key=statement.signed.key),
        data=subtask.data,
        tags=(),
        limits=subtask.limits,
        inputs=(),
        outputs=(ExpectedOutput(OUTPUT, subtask.recipients, ()),),
        after=(),
        delegation=replace_depth(parent.delegation, subtask.path.depth),
        log_readers=plan.plan.readers,
        optional=False,
        needs=None,
    )


def replace_depth(delegation: Delegation, depth: int) -> Delegation | None:
    """What a subtask at `depth` may delegate further."""
    return delegation if depth < delegation.depth else None


def short(fingerprint: Fingerprint) -> str:
    return fingerprint[:SHORT]


__all__ = [
    "OUTPUT",
    "NodeKey",
    "RunName",
    "SignedSubtask",
    "Subtask",
    "SubtaskTarget",
    "check_delegation",
    "expected_run",
]
