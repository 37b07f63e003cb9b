"""From a workflow and its orders to a job at the hub: resolve, seal, sign, send."""

import base64
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vclient.api import job as job_api
from vclient.connection import Connection
from vclient.errors import MemberNotReady, NewMember, NotEncrypted
from vclient.images import Digests, ImageRef, Images
from vclient.planning import (
    Circumstances,
    Orders,
    Targets,
    orders_by_step,
    plan_of,
    targets_of,
    unsealed_orders,
)
from vclient.workflow import Workflow
from vprotocol.envelope import Sealed, Suite
from vprotocol.errors import NotFound, UsageError, VestalError
from vprotocol.ids import Fingerprint
from vprotocol.messages.collaboration import Collaboration
from vprotocol.messages.documents import SignedMessage
from vprotocol.messages.job import JobSubmit, JobView
from vprotocol.messages.orders import Order
from vprotocol.plan import Plan, PlanOrder, SignedPlan
from vprotocol.workflow.definition import Workflow as Definition
from vprotocol.workflow.definition import seconds
from vruntime.atomic import make_private_folder
from vruntime.transfer import Progress, is_small, upload

INLINE_TOGETHER_BYTES = 1024 * 1024  # of all orders in one submission; the rest is uploaded before
IN_MEMORY_BYTES = 1024 * 1024
DEFAULT_VALID_S = 86_400
SINGLE_STEP = "main"  # the hub sees names of steps and jobs: never the method's


@dataclass(frozen=True)
class Settings:
    """How a job is to be run, beside its workflow."""

    collaboration: str | int | None = None
    project: str | None = None
    name: str | None = None
    valid_for: int | str = DEFAULT_VALID_S
    images: Digests | None = None
    outputs: Mapping[str, Sequence[str]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int | None = None
    download: bool = True
    private_scratch: bool = False


@dataclass(frozen=True)
class Prepared:
    """A workflow and everything around it that is known before anything is sealed."""

    workflow: Definition
    circumstances: Circumstances
    targets: Targets
    finals: Mapping[str, Sequence[str]]


def single(image: str | ImageRef, order: Order, **step: Any) -> tuple[Workflow, Orders]:
    """The simplest workflow: one step."""
    reference = image.name if isinstance(image, ImageRef) else image.partition("@")[0]
    made = Workflow(reference.rsplit("/", 1)[-1][:200] or "job")
    made.step(SINGLE_STEP, image, **step)
    return made, {SINGLE_STEP: order}


def prepare(connection: Connection, workflow: Workflow | Definition, settings: Settings) -> Prepared:
    """Resolve who takes part, over the members that were accepted here. Nothing is sealed or sent.

    :raises NewMember: `all` is asked for, and somebody was not accepted.
    """
    try:
        return _prepared(connection, workflow, settings)
    except (MemberNotReady, NewMember, NotFound, UsageError):
        if not connection.forget_lists():
            raise
        return _prepared(connection, workflow, settings)  # what the hub lists may have changed since it was asked


def _prepared(connection: Connection, workflow: Workflow | Definition, settings: Settings) -> Prepared:
    definition = workflow.definition() if isinstance(workflow, Workflow) else workflow
    built = workflow if isinstance(workflow, Workflow) else None
    collaboration = connection.collaboration(settings.collaboration)
    suite = suite_for(connection, collaboration)
    issuer = connection.issuer(collaboration)
    members = connection.members.accepted_of(
        collaboration, connection.organizations(collaboration), everybody=_asks_all(definition)
    )
    now = int(connection.clock.now())
    known: dict[str, str | ImageRef] = {**(built.images if built else {}), **(settings.images or {})}
    circumstances = Circumstances(
        job=secrets.token_hex(16),
        collaboration=collaboration.name,
        project=settings.project,
        issuer=issuer,
        members=members,
        issued_at=now,
        expires_at=now + _valid_s(settings.valid_for),
        images=Images(known),
        suite=int(suite),
        name=settings.name,
        download=settings.download,
        scratch="private" if settings.private_scratch else "shared",
        priority=settings.priority,
        labels=settings.labels,
    )
    finals = {**(built.finals if built else {}), **(settings.outputs or {})}
    return Prepared(definition, circumstances, targets_of(definition, circumstances), finals)


def suite_for(connection: Connection, collaboration: Collaboration) -> Suite:
    """The suite to seal with: the strongest, unless the collaboration is open and this client's file allows it.

    :raises NotEncrypted: the hub says that it is open, and only the hub says so.
    """
    if collaboration.encrypted:
        return Suite.XWING
    if connection.settings.suite_for(collaboration.name) > Suite.OPEN:
        raise NotEncrypted(f"the hub says that the collaboration {collaboration.display_name} is not encrypted")
    return Suite.OPEN


def dry_run(prepared: Prepared) -> Plan:
    """The plan as it would be signed, but for the orders.

    :raises WorkflowInvalid: as for the real one.
    """
    orders = unsealed_orders(prepared.targets)
    return plan_of(prepared.workflow, prepared.circumstances, orders, targets=prepared.targets, finals=prepared.finals)


def submit(
    connection: Connection, prepared: Prepared, orders: Orders, progress: Progress | None = None
) -> tuple[SignedPlan, JobView]:
    """Seal the orders, upload the large ones, sign the plan and hand it in. Repeating it makes a new job.

    :raises WorkflowInvalid, UsageError, TrustError: before anything was sent.
    """
    dry_run(prepared)  # what is wrong with the plan is said before anything is sealed or uploaded
    by_step = orders_by_step(orders, prepared.targets, prepared.circumstances)
    desk = _Desk(connection, prepared, progress)
    sealed = {
        step: tuple(desk.seal(step, order, organizations) for order, organizations in group)
        for step, group in by_step.items()
    }
    plan = connection.key.sign(
        plan_of(prepared.workflow, prepared.circumstances, sealed, targets=prepared.targets, finals=prepared.finals)
    )
    message = JobSubmit(plan=SignedMessage.from_wire(plan.signed.to_wire()), orders=tuple(desk.inline))
    try:
        return plan, job_api.submit(connection.http, message)
    except VestalError:
        connection.forget_lists()  # a member may have left: the next attempt asks the hub anew
        raise


class _Desk:
    """Seals the orders of one job; keeps the small ones for the message."""

    def __init__(self, connection: Connection, prepared: Prepared, progress: Progress | None) -> None:
        self._connection, self._prepared, self._progress = connection, prepared, progress
        self._folder = make_private_folder(connection.places.folder)
        self._inline_bytes = 0
        self.inline: list[str] = []

    def seal(self, step: str, order: Order, organizations: Sequence[Fingerprint]) -> PlanOrder:
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(self._folder)) as sink:
            sealed = self._seal(step, order, organizations, sink)
            sink.seek(0)
            if is_small(sealed.parts) and self._inline_bytes + sealed.parts.total_bytes <= INLINE_TOGETHER_BYTES:
                self._inline_bytes += sealed.parts.total_bytes
                self.inline.append(base64.b64encode(sink.read()).decode("ascii"))
            else:
                self._upload(sink, sealed)
        return PlanOrder(organizations=tuple(organizations), payload=sealed.id)

    def _seal(self, step: str, order: Order, organizations: Sequence[Fingerprint], sink: Any) -> Sealed:
        circumstances, connection = self._prepared.circumstances, self._connection
        return connection.key.seal_order(
            order,
            step,
            circumstances.issuer.organization,
            [connection.directory.organization_key(one) for one in organizations],
            Suite(circumstances.suite),
            sink,
        )

    def _upload(self, content: Any, sealed: Sealed) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".sealed") as file:
            shutil.copyfileobj(content, file)
            file.flush()
            upload(self._connection.http, Path(file.name), sealed.parts, sealed.leaves, self._progress)


def _asks_all(workflow: Definition) -> bool:
    steps = workflow.steps.values()
    return any(step.on == "all" or (step.delegate is not None and step.delegate.on == "all") for step in steps)


def _valid_s(given: int | str) -> int:
    found = seconds(given)
    if not isinstance(found, int) or found <= 0:
        raise UsageError(f"{given!r} is not a time", hint="Write seconds, or 90s, 10m, 24h, 7d.")
    return found
