"""Finding jobs, tasks and runs, and whose they are."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session

from vprotocol.errors import NotFound
from vprotocol.roles import Action, Resource, Scope
from vprotocol.states import AT_A_NODE, FINAL, RunState
from vserver import authz
from vserver.authz import Kind, Principal, Target
from vserver.jobs.model import Job, Run, RunOutput, Task

_S = RunState
LARGEST_ID = 2**31 - 1  # of an INTEGER column on every database


def job(session: Session, job_id: str) -> Job:
    found = session.get(Job, job_id)
    if found is None:
        raise NotFound(f"There is no job {job_id}.")
    return found


def task(session: Session, task_id: int) -> Task:
    found = session.get(Task, task_id)
    if found is None:
        raise NotFound(f"There is no task {task_id}.")
    return found


def run(session: Session, run_id: int) -> Run:
    found = session.get(Run, run_id) if 1 <= run_id <= LARGEST_ID else None
    if found is None:
        raise NotFound(f"There is no run {run_id}.")
    return found


# --- whose -----------------------------------------------------------------------------------------------------------
def job_target(found: Job) -> Target:
    return Target(
        organizations=frozenset({found.organization_id}),
        collaborations=frozenset({found.collaboration_id}),
        owners=frozenset() if found.user_id is None else frozenset({(Kind.USER, found.user_id)}),
    )


def run_target(found: Run) -> Target:
    """A run is of those who see its job; the organization that it runs at acts on it."""
    return Target(
        organizations=frozenset({found.organization_id}),
        collaborations=frozenset({found.collaboration_id}),
        owners=frozenset({(Kind.ORGANIZATION, found.organization_id)}),
    )


def own_target(found: Run) -> Target:
    """Of the nodes of the organization where it runs, and of nobody else."""
    return Target(owners=frozenset({(Kind.ORGANIZATION, found.organization_id)}))


def visible_jobs(principal: Principal) -> Select[Any]:
    return select(Job).where(_visible(principal, Resource.JOB))


def visible_tasks(principal: Principal) -> Select[Any]:
    return select(Task).join(Job, Job.id == Task.job_id).where(_visible(principal, Resource.TASK))


def visible_runs(principal: Principal) -> Select[Any]:
    scope = authz.require_some(principal, Resource.RUN, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(Run)
    mine = Run.organization_id == principal.organization_id
    if scope is Scope.COLLABORATION:
        return select(Run).where(mine | Run.collaboration_id.in_(principal.collaboration_ids))
    return select(Run).where(mine)


def _visible(principal: Principal, resource: Resource) -> ColumnElement[bool]:
    scope = authz.require_some(principal, resource, Action.VIEW)
    if scope is Scope.GLOBAL:
        return and_(True)
    mine = Job.user_id == principal.id if principal.kind is Kind.USER else Job.user_id.is_(None) & Job.id.is_(None)
    if scope is Scope.OWN:
        return mine
    ours = Job.organization_id == principal.organization_id
    if scope is Scope.ORGANIZATION:
        return or_(mine, ours)
    return or_(mine, ours, Job.collaboration_id.in_(principal.collaboration_ids))


# --- states, in SQL --------------------------------------------------------------------------------------------------
def job_is(state: RunState) -> ColumnElement[bool]:
    """`schedule.job_state` as a condition on jobs."""
    counts = and_(
        Run.job_id == Job.id,
        Run.depth == 0,
        not_(and_(Run.tolerated, Run.state.in_(_values(FINAL - {_S.COMPLETED})))),
    )
    return _derived_is(state, counts)


def task_is(state: RunState) -> ColumnElement[bool]:
    return _derived_is(state, Run.task_id == Task.id)


def _derived_is(state: RunState, mine: ColumnElement[bool]) -> ColumnElement[bool]:
    """`vprotocol.states.derived(...) is state`, of the runs that `mine` selects."""

    def some(*states: RunState) -> ColumnElement[bool]:
        return exists().where(mine, Run.state.in_(_values(states)))

    active, ended, at_a_node = some(*(set(_S) - FINAL)), some(*FINAL), some(*AT_A_NODE)
    between = and_(active, ended, not_(at_a_node))
    match state:
        case _S.RUNNING:
            return or_(some(_S.RUNNING), between)
        case _S.HELD:
            return and_(some(_S.HELD), not_(some(_S.RUNNING)))
        case _S.LEASED:
            return and_(some(_S.LEASED), not_(some(_S.RUNNING, _S.HELD)))
        case _S.QUEUED:
            return and_(some(_S.QUEUED), not_(at_a_node), not_(ended))
        case _S.BLOCKED:
            return and_(not_(some(*(set(_S) - {_S.BLOCKED}))))
        case _S.FAILED:
            return and_(not_(active), some(_S.FAILED))
        case _S.REFUSED:
            return and_(not_(active), some(_S.REFUSED), not_(some(_S.FAILED)))
        case _S.CANCELLED:
            return and_(not_(active), some(_S.CANCELLED), not_(some(_S.FAILED, _S.REFUSED)))
        case _S.SKIPPED:
            return and_(not_(active), some(_S.SKIPPED), not_(some(_S.FAILED, _S.REFUSED, _S.CANCELLED)))
        case _S.COMPLETED:
            return and_(not_(active), ended, not_(some(*(FINAL - {_S.COMPLETED}))))


def _values(states: object) -> list[str]:
    return sorted(state.value for state in states)  # type: ignore[attr-defined]


# --- together --------------------------------------------------------------------------------------------------------
def counts(session: Session, job_ids: list[str]) -> dict[str, list[tuple[RunState, int, bool, int]]]:
    """(state, depth, tolerated, how many) of the runs of these jobs: one query."""
    found: dict[str, list[tuple[RunState, int, bool, int]]] = {job_id: [] for job_id in job_ids}
    rows = session.execute(
        select(Run.job_id, Run.state, Run.depth, Run.tolerated, func.count())
        .where(Run.job_id.in_(job_ids))
        .group_by(Run.job_id, Run.state, Run.depth, Run.tolerated)
    )
    for job_id, state, depth, tolerated, count in rows:
        found[job_id].append((RunState(state), depth, tolerated, count))
    return found


def states_of_tasks(session: Session, task_ids: list[int]) -> dict[int, list[RunState]]:
    found: dict[int, list[RunState]] = {task_id: [] for task_id in task_ids}
    for task_id, state in session.execute(
        select(Run.task_id, Run.state).where(Run.task_id.in_(task_ids)).group_by(Run.task_id, Run.state)
    ):
        found[task_id].append(RunState(state))
    return found


def runs_of(session: Session, *clauses: ColumnElement[bool]) -> list[Run]:
    return list(session.scalars(select(Run).where(*clauses).order_by(Run.id)))


def outputs_of(session: Session, run_ids: list[int]) -> dict[int, list[tuple[str, str]]]:
    """(name, payload) of the outputs of these runs: one query."""
    found: dict[int, list[tuple[str, str]]] = {run_id: [] for run_id in run_ids}
    if run_ids:
        rows = session.execute(
            select(RunOutput.run_id, RunOutput.name, RunOutput.payload_id)
            .where(RunOutput.run_id.in_(run_ids))
            .order_by(RunOutput.run_id, RunOutput.name)
        )
        for run_id, name, payload_id in rows:
            found[run_id].append((name, payload_id))
    return found
