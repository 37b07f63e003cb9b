"""A running algorithm asks other organizations: its node hands in the statement that it signed.

The receivers check the whole chain themselves and believe nobody. The hub refuses what they would refuse, so that the
algorithm hears at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from vprotocol.errors import (
    AlreadyExists,
    BadRequest,
    DelegationExceeded,
    LeaseInvalid,
    NotFound,
    PlanMismatch,
)
from vprotocol.keys import KeyKind
from vprotocol.plan import SignedPlan
from vprotocol.roles import Action, Resource
from vprotocol.signed import DocumentType
from vprotocol.states import AT_A_NODE, RunState
from vprotocol.subtask import SignedSubtask, check_delegation, replace_depth
from vserver import authz
from vserver.authz import Principal
from vserver.jobs import documents, queries, schedule
from vserver.jobs.leases import LeaseTokens
from vserver.jobs.model import JobNode, Run, Task
from vserver.jobs.progress import AT_A_NODE_VALUES, Change, Moved, Notify
from vserver.payloads import service as payloads
from vserver.payloads.service import Whole


@dataclass(frozen=True)
class Parent:
    """The run in whose name is asked."""

    run: Run
    statements: list[dict[str, Any]]
    plan: SignedPlan


def parent(session: Session, tokens: LeaseTokens, principal: Principal, run_id: int, token: str) -> Parent:
    """:raises LeaseInvalid: this is not the token of the attempt that holds the run now."""
    run = queries.run(session, run_id)
    authz.require(principal, Resource.TASK, Action.CREATE, queries.own_target(run))
    if RunState(run.state) not in AT_A_NODE or not tokens.matches(token, run.id, run.attempt):
        raise LeaseInvalid(fields={"run": run_id})
    statements = session.scalar(select(Task.statements).where(Task.id == run.task_id))
    return Parent(run, list(statements or ()), documents.plan_of(session, run.job_id, run.task.job.plan_hash))


def existing(session: Session, parent: Parent, statement: SignedSubtask) -> Task | None:
    """The task that was made of the same statement before.

    :raises AlreadyExists: another statement has taken this path.
    """
    found = session.scalar(
        select(Task).where(Task.job_id == parent.run.job_id, Task.path == str(statement.subtask.path))
    )
    if found is not None and found.statement_hash != statement.hash:
        raise AlreadyExists(
            f"Another subtask has the path {found.path}.",
            hint="Every subtask of an attempt has its own counter.",
            fields={"path": found.path},
        )
    return found


def check(
    session: Session,
    principal: Principal,
    parent: Parent,
    statement: SignedSubtask,
    orders: Sequence[Whole],
    now: float,
) -> None:
    """:raises PlanMismatch: the statement is about something else. :raises DelegationExceeded: the plan forbids it."""
    subtask, run, plan = statement.subtask, parent.run, parent.plan
    if subtask.plan != plan.hash:
        raise PlanMismatch("the subtask statement is about another plan", fields={"field": "plan"})
    asked = subtask.parent
    told = {"path": run.task.path, "organization": run.fingerprint, "generation": run.generation}
    for name, value in {**told, "attempt": run.attempt}.items():
        if getattr(asked, name) != value:
            raise PlanMismatch(
                f"the subtask statement names another {name} of its parent than the one that runs",
                fields={"field": f"parent.{name}"},
            )
    if subtask.recipients != (run.fingerprint,):
        raise PlanMismatch("the outcome of a subtask is for the organization that asked, nobody else")
    step = plan.plan.step(run.task.step)
    allowed = step.delegation if step is not None else None
    if allowed is not None:
        allowed = replace_depth(allowed, run.depth)
    check_delegation(plan.plan, subtask, allowed, int(now))
    for target in subtask.targets:
        if plan.plan.organization(target.organization) is None:
            raise DelegationExceeded("the plan does not list an organization that the subtask asks")
    key = documents.signer(session, run.organization_id, statement.signed.key, KeyKind.NODE, now)
    statement.signed.check(DocumentType.SUBTASK, key)
    _check_orders(session, principal, statement, orders)


def create(
    session: Session,
    notify: Notify,
    principal: Principal,
    parent: Parent,
    statement: SignedSubtask,
    orders: Sequence[Whole],
    now: float,
) -> tuple[Task, bool]:
    """The task and its runs, all queued. False: it was made before.

    :raises LeaseInvalid: the parent has just ended, or was lost.
    """
    change = Change(session, notify, now, parent.run.job_id)
    made_before = existing(session, parent, statement)
    if made_before is not None:
        return made_before, False
    if not _count_child(session, parent.run):
        raise LeaseInvalid("The run that asks has just ended.", fields={"run": parent.run.id})
    subtask, plan = statement.subtask, parent.plan.plan
    task = Task(
        job_id=parent.run.job_id,
        path=str(subtask.path),
        step=parent.run.task.step,
        image=plan.images[subtask.image].name,
        parent_run_id=parent.run.id,
        statements=[*parent.statements, statement.signed.to_wire()],
        statement_hash=statement.hash,
        created_at=now,
    )
    session.add(task)
    payloads.store_whole(session, orders, principal, now)
    payloads.use(session, [target.order for target in subtask.targets], parent.run.job_id, parent.run.collaboration_id)
    session.flush()
    runs = _runs(session, parent, statement, task, now)
    session.add_all(runs)
    session.flush()
    change.say("task.created", task_id=task.id, data={"state": RunState.QUEUED.value})
    for run in runs:
        change.announce(Moved(run.id, task.id, run.organization_id, None, 1, run.depth, 0), RunState.QUEUED)
    return task, True


def _check_orders(session: Session, principal: Principal, statement: SignedSubtask, orders: Sequence[Whole]) -> None:
    wanted = {target.order for target in statement.subtask.targets}
    inline = {whole.id for whole in orders}
    if extra := inline - wanted:
        raise BadRequest("An order came that the subtask does not name.", fields={"payload": min(extra)})
    missing = wanted - inline
    missing -= payloads.complete(session, missing, principal)
    if missing:
        raise BadRequest(
            "An order of the subtask is not here.",
            hint="Send small orders with the subtask; upload larger ones before.",
            fields={"missing": sorted(missing)},
        )


def _count_child(session: Session, run: Run) -> bool:
    counted = session.execute(
        update(Run)
        .where(Run.id == run.id, Run.attempt == run.attempt, Run.state.in_(AT_A_NODE_VALUES))
        .values(children=Run.children + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(counted.rowcount)  # type: ignore[attr-defined]


def _runs(session: Session, parent: Parent, statement: SignedSubtask, task: Task, now: float) -> list[Run]:
    subtask, plan, above = statement.subtask, parent.plan.plan, parent.run
    numbers: dict[str, int] = {}
    for target in subtask.targets:
        found = plan.organization(target.organization)
        if found is None:
            raise NotFound("The plan does not list an organization that the subtask asks.")
        numbers[target.organization] = found.id
    waiting = _by_organization(
        session.execute(
            select(Run.organization_id, func.count())
            .where(
                Run.job_id == above.job_id,
                Run.depth == above.depth + 1,
                Run.state == RunState.QUEUED.value,
                Run.organization_id.in_(numbers.values()),
            )
            .group_by(Run.organization_id)
        )
    )
    nodes = _by_organization(
        session.execute(
            select(JobNode.organization_id, JobNode.node_id).where(
                JobNode.job_id == above.job_id, JobNode.organization_id.in_(numbers.values())
            )
        )
    )
    return [
        Run(
            job_id=above.job_id,
            task_id=task.id,
            organization_id=numbers[target.organization],
            collaboration_id=above.collaboration_id,
            fingerprint=target.organization,
            depth=above.depth + 1,
            order_id=target.order,
            state=RunState.QUEUED.value,
            generation=above.generation,
            attempts=subtask.limits.attempts,
            tags="",
            tolerated=True,
            precedence=schedule.subtask_precedence(above.precedence),
            turn_at=schedule.turn_at(now, waiting.get(numbers[target.organization], 0)),
            ready_at=now,
            queued_at=now,
            for_node_id=nodes.get(numbers[target.organization], 0),
        )
        for target in subtask.targets
    ]


def _by_organization(rows: Any) -> dict[int, int]:
    return {row[0]: row[1] for row in rows}
