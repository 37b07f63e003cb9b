"""A signed plan becomes a job: everything is checked before the first row is written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from vprotocol.errors import AlreadyExists, BadRequest, Forbidden, NotFound, PlanInvalid, SuiteRefused
from vprotocol.ids import PayloadId
from vprotocol.keys import KeyKind
from vprotocol.plan import Plan, PlanStep, SignedPlan
from vprotocol.roles import Action, Resource
from vprotocol.states import RunState
from vserver import authz
from vserver.authz import Kind, Principal, Target
from vserver.collaborations.model import Collaboration, Membership
from vserver.jobs import documents, schedule
from vserver.jobs.model import Job, JobLabel, Run, Task
from vserver.jobs.progress import Change, Moved, Notify
from vserver.jobs.schedule import MOST_TAGS
from vserver.organizations.model import Organization
from vserver.payloads import service as payloads
from vserver.payloads.service import Whole


@dataclass(frozen=True)
class Checked:
    """A plan that may become a job."""

    plan: SignedPlan
    collaboration_id: int
    organizations: dict[str, int]  # fingerprint to this hub's number
    orders: tuple[Whole, ...]


def existing(session: Session, plan: SignedPlan) -> Job | None:
    """The job that was made of the same bytes before.

    :raises AlreadyExists: another plan has taken this job id.
    """
    found = session.get(Job, plan.plan.job)
    if found is not None and found.plan_hash != plan.hash:
        raise AlreadyExists(
            f"Another plan was submitted as job {plan.plan.job}.",
            hint="Every job has its own random id: make a new plan.",
            fields={"job": plan.plan.job},
        )
    return found


def check(session: Session, principal: Principal, plan: SignedPlan, orders: Sequence[Whole], now: float) -> Checked:
    """:raises VestalError: the most specific one there is; its message names what is wrong."""
    if principal.kind is not Kind.USER or principal.organization_id is None:
        raise Forbidden("Only a user of an organization submits jobs.")
    collaboration = _collaboration(session, principal, plan.plan)
    numbers = _organizations(session, plan.plan, collaboration.id)
    if numbers.get(plan.plan.issuer.organization, 0) != principal.organization_id:
        own = session.scalar(select(Organization.fingerprint).where(Organization.id == principal.organization_id))
        if own != plan.plan.issuer.organization:
            raise Forbidden(
                "The plan's issuer is not of your organization.", fields={"issuer": plan.plan.issuer.organization}
            )
    plan.verify(documents.signer(session, principal.organization_id, plan.plan.issuer.key, KeyKind.USER, now))
    plan.plan.check_time(int(now))
    if collaboration.encrypted and plan.plan.suite == 0:
        raise SuiteRefused(
            "This collaboration is encrypted; the plan asks for suite 0, which is readable.",
            hint="Submit with encryption.",
        )
    _check_tags(plan.plan)
    _check_orders(session, principal, plan.plan, orders)
    return Checked(plan, collaboration.id, numbers, tuple(orders))


def create(session: Session, notify: Notify, principal: Principal, checked: Checked, now: float) -> Job:
    """The job, its tasks and its runs; what nothing comes before is queued."""
    plan = checked.plan.plan
    documents.remember_plan(checked.plan)
    job = Job(
        id=plan.job,
        name=plan.name,
        collaboration_id=checked.collaboration_id,
        organization_id=principal.organization_id,
        user_id=principal.id,
        plan=checked.plan.signed.to_wire(),
        plan_hash=checked.plan.hash,
        images=sorted({image.name for image in plan.images.values()}),
        labels=dict(plan.labels),
        priority=plan.priority,
        created_at=now,
        expires_at=float(plan.expires_at),
        version=1,
    )
    session.add(job)
    session.flush()
    session.add_all(
        JobLabel(job_id=plan.job, name=name, value=value)
        for name, value in {name[:200]: value[:1000] for name, value in plan.labels.items()}.items()
    )
    tasks = {step.name: _task(plan, step, now) for step in plan.steps}
    session.add_all(tasks.values())
    payloads.store_whole(session, checked.orders, principal, now)
    payloads.use(session, order_ids(plan), plan.job, checked.collaboration_id)
    session.flush()
    runs = list(_runs(checked, tasks, now))
    session.add_all(runs)
    session.flush()
    _announce(session, notify, job, runs, now)
    return job


def order_ids(plan: Plan) -> tuple[PayloadId, ...]:
    return tuple(dict.fromkeys(order.payload for step in plan.steps for order in step.orders))


def _collaboration(session: Session, principal: Principal, plan: Plan) -> Collaboration:
    found = session.scalar(select(Collaboration).where(Collaboration.name == plan.collaboration))
    if found is None or (found.id not in principal.collaboration_ids):
        raise NotFound(
            "There is no collaboration of the name that the plan gives, or your organization is not in it.",
            fields={"collaboration": plan.collaboration},
        )
    own = frozenset() if principal.organization_id is None else frozenset({principal.organization_id})
    target = Target(organizations=own, collaborations=frozenset({found.id}))
    authz.require(principal, Resource.JOB, Action.CREATE, target)
    return found


def _organizations(session: Session, plan: Plan, collaboration_id: int) -> dict[str, int]:
    wanted = {organization.fingerprint: organization for organization in plan.organizations}
    rows = session.execute(
        select(Organization.id, Organization.fingerprint)
        .join(Membership, Membership.organization_id == Organization.id)
        .where(Membership.collaboration_id == collaboration_id, Organization.fingerprint.in_(wanted))
    )
    numbers = {row.fingerprint: row.id for row in rows}
    for fingerprint, organization in wanted.items():
        if fingerprint not in numbers:
            raise NotFound(
                f"{organization.name} is not in this collaboration under the fingerprint that the plan gives.",
                hint="Read the collaboration's members again, and compare words with those that changed.",
                fields={"organization": fingerprint},
            )
        if numbers[fingerprint] != organization.id:
            raise PlanInvalid(
                f"the plan calls {organization.name} number {organization.id}; here it is {numbers[fingerprint]}",
                fields={"organization": fingerprint, "id": organization.id},
            )
    return numbers


def _check_orders(session: Session, principal: Principal, plan: Plan, orders: Sequence[Whole]) -> None:
    wanted, inline = order_ids(plan), {order.id for order in orders}
    for whole in orders:
        if whole.id not in wanted:
            raise BadRequest("An order came with the job that the plan does not name.", fields={"payload": whole.id})
    missing = set(wanted) - inline
    missing -= payloads.complete(session, missing, principal)
    if missing:
        step = next(step.name for step in plan.steps for order in step.orders if order.payload in missing)
        raise BadRequest(
            f"An order of step `{step}` is not here.",
            hint="Send small orders with the job; upload larger ones before.",
            fields={"step": step, "missing": sorted(missing)},
        )


def _check_tags(plan: Plan) -> None:
    for step in plan.steps:
        if len(set(step.tags)) > MOST_TAGS or any("," in tag or not tag.isprintable() for tag in step.tags):
            raise PlanInvalid(
                f"step `{step.name}` requires tags that no node can have: at most {MOST_TAGS}, without commas",
                fields={"step": step.name},
            )


def _task(plan: Plan, step: PlanStep, now: float) -> Task:
    return Task(
        job_id=plan.job,
        path=f"{step.name}[0]",
        step=step.name,
        image=plan.images[step.image].name,
        statements=[],
        created_at=now,
    )


def _runs(checked: Checked, tasks: dict[str, Task], now: float) -> Iterable[Run]:
    plan = checked.plan.plan
    waiting: dict[str, int] = {}
    for step in plan.steps:
        first, tolerated = schedule.is_first(plan, step), schedule.is_tolerated(plan, step)
        for fingerprint in step.on:
            ahead = waiting.get(fingerprint, 0)
            waiting[fingerprint] = ahead + first
            yield Run(
                job_id=plan.job,
                task_id=tasks[step.name].id,
                organization_id=checked.organizations[fingerprint],
                collaboration_id=checked.collaboration_id,
                fingerprint=fingerprint,
                depth=0,
                order_id=next(order.payload for order in step.orders if fingerprint in order.organizations),
                state=(RunState.QUEUED if first else RunState.BLOCKED).value,
                attempts=step.limits.attempts,
                tags=",".join(sorted(set(step.tags))),
                tolerated=tolerated,
                precedence=schedule.precedence(plan.priority),
                turn_at=schedule.turn_at(now, ahead),
                ready_at=now,
                queued_at=now if first else None,
            )


def _announce(session: Session, notify: Notify, job: Job, runs: list[Run], now: float) -> None:
    change = Change(session, notify, now, job.id)
    change.say("job.created", data={"state": RunState.QUEUED.value})
    for run in runs:
        moved = Moved(run.id, run.task_id, run.organization_id, None, 1, 0, 0)
        change.announce(moved, RunState(run.state))
