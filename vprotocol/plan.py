"""What the initiator signs: who runs what, on which data, and who may read it.

The node believes the plan, not the hub: `expected_run` says what a run must be, and what the hub hands over must equal
it. Everything in this file is pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from vprotocol.documents import DocumentBody
from vprotocol.errors import PlanExpired, PlanInvalid, PlanMismatch, PlanTooLarge, WorkflowInvalid
from vprotocol.ids import Digest, Fingerprint, Hash, KeyId, Label, Name128, PayloadId, PlanHash, Text
from vprotocol.keys import PrivateKey, PublicKey
from vprotocol.paths import SHORT, PathText, TaskPath
from vprotocol.signed import DocumentType, Signed
from vprotocol.workflow.check import check_acyclic, check_edges, check_inputs
from vprotocol.workflow.patterns import Pattern, is_many, readers

PLAN_LIMIT_BYTES = 256 * 1024
MAX_VALIDITY_S = 366 * 86_400
CLOCK_SKEW_S = 300

Seconds = Annotated[int, Field(ge=0, le=2**40)]
Bytes = Annotated[int, Field(ge=0, le=2**42)]


class Party(DocumentBody):
    """One person's device: a user key of an organization."""

    organization: Fingerprint
    key: KeyId


class PlanOrganization(DocumentBody):
    fingerprint: Fingerprint
    id: Annotated[int, Field(ge=1, le=2**31)]  # the hub's number that the initiator saw; for algorithms only
    name: Annotated[Text, Field(min_length=1, max_length=200)]


class PlanImage(DocumentBody):
    name: Annotated[Text, Field(min_length=1, max_length=500)]
    manifest_digest: Digest | None = None
    config_digest: Digest


class Limits(DocumentBody):
    """Upper bounds for one run. The data holder's own limits hold as well."""

    time_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    memory_bytes: Annotated[int, Field(ge=2**20, le=2**46)] = 2 * 2**30
    millicpus: Annotated[int, Field(ge=10, le=1_024_000)] = 1000
    output_bytes: Bytes = 64 * 2**20
    scratch_bytes: Bytes = 2**30
    attempts: Annotated[int, Field(ge=1, le=100)] = 3

    def within(self, other: "Limits") -> bool:
        """Whether none of these limits is wider than in `other`."""
        return all(getattr(self, name) <= getattr(other, name) for name in Limits.model_fields)


class PlanOrder(DocumentBody):
    """A sealed order, and the organizations that it is sealed for."""

    organizations: Annotated[tuple[Fingerprint, ...], Field(min_length=1)]
    payload: PayloadId


class Delegation(DocumentBody):
    """What a step's algorithm may ask other organizations to do."""

    images: Annotated[tuple[Label, ...], Field(min_length=1)]  # keys of the plan's images
    organizations: Annotated[tuple[Fingerprint, ...], Field(min_length=1)]
    data: tuple[Label, ...] = ()
    children: Annotated[int, Field(ge=1, le=1_000_000)]  # subtasks a parent attempt
    depth: Annotated[int, Field(ge=1, le=8)] = 1
    until: Seconds
    limits: Limits = Limits()


class PlanStep(DocumentBody):
    name: Label
    image: Label  # key of the plan's images
    on: Annotated[tuple[Fingerprint, ...], Field(min_length=1)]
    orders: Annotated[tuple[PlanOrder, ...], Field(min_length=1)]
    data: tuple[Label, ...] = ()
    tags: tuple[Text, ...] = ()
    limits: Limits = Limits()
    needs: Annotated[int, Field(ge=1)] | None = None
    fail: Literal["fast", "continue"] = "fast"
    trigger: Literal["all_success", "all_done", "any_success"] = "all_success"
    sequence: Literal["parallel", "chain"] = "parallel"
    final: tuple[Label, ...] = ()  # outputs that the readers of the plan may open
    delegation: Delegation | None = None


class PlanConnection(DocumentBody):
    from_step: Label
    from_output: Label
    to_step: Label
    to_input: Label | None  # none with the pattern `none`
    pattern: Pattern
    recipients: tuple[Fingerprint, ...]  # exactly who the output is sealed for


class PlanRepeat(DocumentBody):
    steps: tuple[Label, ...]
    times: Annotated[int, Field(ge=1)]
    until: Label | None = None
    feedback: tuple[PlanConnection, ...] = ()


class Plan(DocumentBody):
    version: Literal[1] = 1
    job: Name128
    collaboration: Name128
    project: Name128 | None = None
    name: Annotated[Text, Field(min_length=1, max_length=200)]
    issuer: Party
    issued_at: Seconds
    expires_at: Seconds
    suite: Literal[0, 1, 2] = 2
    organizations: Annotated[tuple[PlanOrganization, ...], Field(min_length=1)]
    images: Annotated[dict[Label, PlanImage], Field(min_length=1)]
    steps: Annotated[tuple[PlanStep, ...], Field(min_length=1)]
    connections: tuple[PlanConnection, ...] = ()
    repeat: tuple[PlanRepeat, ...] = ()
    readers: Annotated[tuple[Party, ...], Field(min_length=1)]  # of final outcomes, logs and error details
    download: bool = True
    scratch: Literal["shared", "private"] = "shared"
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    labels: dict[Text, Text] = Field(default_factory=dict)
    extensions: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            _check(self)
        except WorkflowInvalid as fault:
            raise ValueError(str(fault)) from None
        return self

    def step(self, name: str) -> PlanStep | None:
        return next((step for step in self.steps if step.name == name), None)

    def organization(self, fingerprint: Fingerprint) -> PlanOrganization | None:
        return next((found for found in self.organizations if found.fingerprint == fingerprint), None)

    def organization_by_id(self, number: int) -> PlanOrganization | None:
        return next((found for found in self.organizations if found.id == number), None)

    def organization_by_short(self, short: str) -> PlanOrganization | None:
        return next((found for found in self.organizations if found.fingerprint[:SHORT] == short), None)

    def check_time(self, now: int) -> None:
        """:raises PlanExpired: not yet, or no longer, valid at `now`."""
        if now < self.issued_at - CLOCK_SKEW_S:
            raise PlanExpired("the plan was issued in the future", fields={"issued_at": self.issued_at, "now": now})
        if now >= self.expires_at:
            raise PlanExpired(fields={"expires_at": self.expires_at, "now": now})


@dataclass(frozen=True)
class SignedPlan:
    """A plan together with the exact bytes that were signed."""

    plan: Plan
    signed: Signed

    @cached_property
    def hash(self) -> PlanHash:
        return self.signed.hash

    @classmethod
    def sign(cls, plan: Plan, key: PrivateKey) -> Self:
        """:raises PlanInvalid: the key is not the issuer's. PlanTooLarge: over 256 KiB."""
        if key.id != plan.issuer.key:
            raise PlanInvalid("the plan names another issuer than the signer")
        body = plan.encode()
        if len(body) > PLAN_LIMIT_BYTES:
            raise PlanTooLarge(f"the plan has {len(body)} bytes; {PLAN_LIMIT_BYTES} are allowed")
        return cls(plan, Signed.sign(DocumentType.PLAN, body, key))

    @classmethod
    def read(cls, signed: Signed) -> Self:
        """Parse without checking the signature (`verify` does that).

        :raises PlanTooLarge, PlanInvalid: not a plan, or one that contradicts itself.
        """
        if signed.type is not DocumentType.PLAN:
            raise PlanInvalid(f"a plan is needed, this is a {signed.type.value}")
        if len(signed.body) > PLAN_LIMIT_BYTES:
            raise PlanTooLarge(f"the plan has {len(signed.body)} bytes; {PLAN_LIMIT_BYTES} are allowed")
        plan = Plan.decode(signed.body, limit_bytes=PLAN_LIMIT_BYTES, error=PlanInvalid)
        if plan.issuer.key != signed.key:
            raise PlanInvalid("the plan is signed with another key than its issuer's")
        return cls(plan, signed)

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        return cls.read(Signed.from_wire(data))

    def verify(self, issuer: PublicKey) -> None:
        """:raises SignatureInvalid: `issuer` did not sign these bytes."""
        self.signed.check(DocumentType.PLAN, issuer)


@dataclass(frozen=True)
class Producer:
    """Whose output an input is."""

    path: TaskPath
    organization: Fingerprint
    output: str


@dataclass(frozen=True)
class ExpectedInput:
    name: str
    many: bool
    producers: tuple[Producer, ...]


@dataclass(frozen=True)
class ExpectedOutput:
    """A named output, and everybody it is sealed for: organizations (their organization keys) and devices."""

    name: str
    organizations: tuple[Fingerprint, ...]
    parties: tuple[Party, ...]


@dataclass(frozen=True)
class ExpectedRun:
    """What the plan says about one run."""

    path: TaskPath
    organization: Fingerprint
    image: PlanImage
    order: PayloadId
    order_sender: Party  # organization and key that must have sealed the order
    data: tuple[str, ...]
    tags: tuple[str, ...]
    limits: Limits
    inputs: tuple[ExpectedInput, ...]
    outputs: tuple[ExpectedOutput, ...]
    after: tuple[tuple[TaskPath, Fingerprint], ...]  # runs that must have ended before
    delegation: Delegation | None
    log_readers: tuple[Party, ...]
    optional: bool  # a lost producer does not stop it (quorum)
    needs: int | None


def expected_root_run(plan: Plan, path: TaskPath, organization: Fingerprint) -> ExpectedRun:
    """What a step of the plan means at one organization.

    :raises PlanMismatch: the plan knows no such run.
    """
    step = plan.step(path.step)
    if step is None or path.children:
        raise PlanMismatch(f"the plan has no step for the task {path}")
    if path.iteration != 0:
        raise PlanMismatch(f"the plan has no iteration {path.iteration} of step {path.step}")
    if organization not in step.on:
        raise PlanMismatch(f"step {step.name} does not run at this organization")
    order = next(found.payload for found in step.orders if organization in found.organizations)
    return ExpectedRun(
        path=path,
        organization=organization,
        image=plan.images[step.image],
        order=order,
        order_sender=plan.issuer,
        data=step.data,
        tags=step.tags,
        limits=step.limits,
        inputs=tuple(_inputs(plan, step, organization)),
        outputs=_outputs(plan, step),
        after=tuple(
            (TaskPath(connection.from_step), producer)
            for connection in plan.connections
            if connection.to_step == step.name and (source := plan.step(connection.from_step))
            for producer in source.on
        ),
        delegation=step.delegation,
        log_readers=plan.readers,
        optional=step.needs is not None or step.trigger != "all_success",
        needs=step.needs,
    )


def root_runs(plan: Plan) -> tuple[tuple[PlanStep, TaskPath, Fingerprint], ...]:
    """Every run that the plan itself asks for, in the plan's order."""
    return tuple((step, TaskPath(step.name), organization) for step in plan.steps for organization in step.on)


def _inputs(plan: Plan, step: PlanStep, organization: Fingerprint) -> Sequence[ExpectedInput]:
    found = []
    for connection in plan.connections:
        if connection.to_step != step.name or connection.to_input is None:
            continue
        source = plan.step(connection.from_step)
        assert source is not None, "checked when the plan was read"
        producers = tuple(Producer(TaskPath(source.name), fp, connection.from_output) for fp in source.on)
        found.append(ExpectedInput(connection.to_input, is_many(connection.pattern), producers))
    return found


def _outputs(plan: Plan, step: PlanStep) -> tuple[ExpectedOutput, ...]:
    names = dict.fromkeys(
        [*step.final, *(c.from_output for c in plan.connections if c.from_step == step.name and c.to_input)]
    )
    return tuple(
        ExpectedOutput(
            name,
            tuple(
                dict.fromkeys(
                    reader
                    for connection in plan.connections
                    if connection.from_step == step.name and connection.from_output == name
                    for reader in connection.recipients
                )
            ),
            plan.readers if name in step.final else (),
        )
        for name in names
    )


def _check(plan: Plan) -> None:
    if not plan.issued_at < plan.expires_at <= plan.issued_at + MAX_VALIDITY_S:
        raise WorkflowInvalid("the plan must expire after it was issued, within a year")
    _check_organizations(plan)
    steps = [step.name for step in plan.steps]
    if len(set(steps)) != len(steps):
        raise WorkflowInvalid("two steps have the same name")
    if plan.repeat:
        raise WorkflowInvalid("loops (`repeat`) are not supported by this version")
    edges = [(connection.from_step, connection.to_step) for connection in plan.connections]
    check_edges(steps, edges)
    check_acyclic(steps, edges)
    check_inputs((connection.to_step, connection.to_input) for connection in plan.connections)
    for step in plan.steps:
        _check_step(plan, step)
    for connection in plan.connections:
        _check_connection(plan, connection)


def _check_organizations(plan: Plan) -> None:
    shorts = {organization.fingerprint[:SHORT] for organization in plan.organizations}
    ids = {organization.id for organization in plan.organizations}
    if len(shorts) != len(plan.organizations) or len(ids) != len(plan.organizations):
        raise WorkflowInvalid("two organizations of the plan have the same id or too similar fingerprints")


def _check_members(plan: Plan, where: str, fingerprints: Sequence[Fingerprint]) -> None:
    if len(set(fingerprints)) != len(fingerprints):
        raise WorkflowInvalid(f"{where} names an organization twice")
    for fingerprint in fingerprints:
        if plan.organization(fingerprint) is None:
            raise WorkflowInvalid(f"{where} names an organization that the plan does not list")


def _check_step(plan: Plan, step: PlanStep) -> None:
    where = f"step `{step.name}`"
    _check_members(plan, where, step.on)
    if step.image not in plan.images:
        raise WorkflowInvalid(f"{where} names the image `{step.image}`, which the plan does not list")
    ordered = [fingerprint for order in step.orders for fingerprint in order.organizations]
    if sorted(ordered) != sorted(step.on):
        raise WorkflowInvalid(f"{where} needs exactly one order for each of its organizations")
    if step.needs is not None and step.needs > _participants(plan, step):
        raise WorkflowInvalid(f"{where} needs {step.needs} participants, and fewer feed it")
    if step.sequence != "parallel":
        raise WorkflowInvalid(f"{where}: `chain` is not supported by this version")
    if step.delegation is not None:
        _check_members(plan, f"the delegation of {where}", step.delegation.organizations)
        for image in step.delegation.images:
            if image not in plan.images:
                raise WorkflowInvalid(f"the delegation of {where} names the image `{image}`, which the plan lacks")


def _participants(plan: Plan, step: PlanStep) -> int:
    feeding = [source for c in plan.connections if c.to_step == step.name and (source := plan.step(c.from_step))]
    return max((len(source.on) for source in feeding), default=len(step.on))


def _check_connection(plan: Plan, connection: PlanConnection) -> None:
    source, target = plan.step(connection.from_step), plan.step(connection.to_step)
    assert source is not None and target is not None, "check_edges has seen to it"
    where = f"connection {connection.from_step} → {connection.to_step}"
    if (connection.to_input is None) != (connection.pattern is Pattern.NONE):
        raise WorkflowInvalid(f"{where}: an input is named by every pattern but `none`")
    try:
        expected = readers(connection.pattern, source.on, target.on)
    except WorkflowInvalid as fault:
        raise WorkflowInvalid(f"{where}: {fault}") from None
    if connection.recipients != expected:
        raise WorkflowInvalid(f"{where}: the recipients are not those of the pattern `{connection.pattern.value}`")


class SupplementTarget(DocumentBody):
    path: PathText
    organization: Fingerprint


class Supplement(DocumentBody):
    """A signed "again": the runs named may be executed once more, as the next generation."""

    version: Literal[1] = 1
    plan: PlanHash
    kind: Literal["retry", "reset", "force"]
    runs: Annotated[tuple[SupplementTarget, ...], Field(min_length=1)]
    generation: Annotated[int, Field(ge=1, le=2**20)]
    issued_at: Seconds
    expires_at: Seconds

    @classmethod
    def sign(cls, supplement: Self, key: PrivateKey) -> Signed:
        return Signed.sign(DocumentType.SUPPLEMENT, supplement.encode(), key)

    @classmethod
    def verify(cls, signed: Signed, plan: SignedPlan, issuer: PublicKey) -> Self:
        """:raises SignatureInvalid: not the initiator's. PlanMismatch: about another plan."""
        body = signed.check(DocumentType.SUPPLEMENT, issuer)
        supplement = cls.decode(body, limit_bytes=PLAN_LIMIT_BYTES, error=PlanInvalid)
        if supplement.plan != plan.hash or issuer.id != plan.plan.issuer.key:
            raise PlanMismatch("the supplement is about another plan")
        return supplement


def validation_sentences(error: ValidationError) -> str:
    return "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())


__all__ = [
    "Delegation",
    "ExpectedInput",
    "ExpectedOutput",
    "ExpectedRun",
    "Hash",
    "Limits",
    "Party",
    "Plan",
    "PlanConnection",
    "PlanImage",
    "PlanOrder",
    "PlanOrganization",
    "PlanRepeat",
    "PlanStep",
    "Producer",
    "SignedPlan",
    "Supplement",
    "expected_root_run",
    "root_runs",
]
