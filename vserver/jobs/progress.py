"""Moving runs from state to state: guarded updates by the one table, and everything that follows from them.

A `Change` lives inside one write transaction and holds the job's row from its beginning, so two results of one job
never pass each other unseen. What it does is announced by events in the same transaction and by wake-up calls after it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vprotocol.errors import NotFound
from vprotocol.plan import Plan
from vprotocol.reasons import Reason
from vprotocol.states import AT_A_NODE, FINAL, RunEvent, RunState, after, derived, sources_of
from vserver.db import after_commit
from vserver.events import service as events
from vserver.jobs import documents, schedule
from vserver.jobs.model import Job, Run, Task
from vserver.jobs.schedule import Place

Notify = Callable[..., None]
FINAL_VALUES = tuple(sorted(state.value for state in FINAL))
AT_A_NODE_VALUES = tuple(sorted(state.value for state in AT_A_NODE))


class Moved(NamedTuple):
    """A run that changed its state."""

    id: int
    task_id: int
    organization_id: int
    node_id: int | None
    attempt: int
    depth: int
    children: int


@dataclass(frozen=True)
class JobFacts:
    id: str
    collaboration_id: int
    plan_hash: str
    expires_at: float
    cancelled_at: float | None
    finished_at: float | None


class Change:
    """A change of the runs of one job, in the making.

    :raises NotFound: there is no such job.
    """

    def __init__(self, session: Session, notify: Notify, now: float, job_id: str) -> None:
        self.session, self.now = session, now
        row = session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(version=Job.version + 1)
            .returning(Job.id, Job.collaboration_id, Job.plan_hash, Job.expires_at, Job.cancelled_at, Job.finished_at)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id}.")
        self.job = JobFacts(*row)
        self._topics: dict[str, None] = {f"job:{job_id}": None, events.TOPIC: None}
        after_commit(session, lambda: notify(*self._topics))

    @property
    def plan(self) -> Plan:
        return documents.plan_of(self.session, self.job.id, self.job.plan_hash).plan

    def wake(self, *topics: str) -> None:
        self._topics.update(dict.fromkeys(topics))

    def say(self, kind: str, **about: Any) -> None:
        events.append(
            self.session, kind, self.now, collaboration_id=self.job.collaboration_id, job_id=self.job.id, **about
        )

    def move(self, run_ids: Iterable[int], event: RunEvent, *guards: Any, **values: Any) -> list[Moved]:
        """Perform `event` on those of these runs that accept it (and fulfil `guards`): one guarded UPDATE.

        The answer lists the runs that changed; somebody else was faster with the others.
        """
        ids = sorted(set(run_ids))
        if not ids:
            return []
        sources = sources_of(event)
        state = after(next(iter(sources)), event)
        values = {**_USUAL.get(state, {}), **values, "state": state.value}
        if state in FINAL:
            values["finished_at"] = self.now
        rows = self.session.execute(
            update(Run)
            .where(Run.id.in_(ids), Run.state.in_(sorted(source.value for source in sources)), *guards)
            .values(**values)
            .returning(Run.id, Run.task_id, Run.organization_id, Run.node_id, Run.attempt, Run.depth, Run.children)
            .execution_options(synchronize_session=False)
        )
        moved = [Moved(*row) for row in rows]
        for run in moved:
            self.announce(run, state, values.get("reason"))
        return moved

    def announce(self, run: Moved, state: RunState, reason: str | None = None) -> None:
        data: dict[str, Any] = {"state": state.value, "attempt": run.attempt}
        if reason is not None:
            data["reason"] = reason
        self.say(
            f"run.{state.value}",
            task_id=run.task_id,
            run_id=run.id,
            organization_id=run.organization_id,
            node_id=run.node_id,
            data=data,
        )
        self.wake(f"run:{run.id}", f"task:{run.task_id}")
        if state is RunState.QUEUED:
            self.wake(queue_topic(run.organization_id))
        elif state in FINAL and run.node_id is not None:
            self.wake(f"node:{run.node_id}")

    # --- what follows ------------------------------------------------------------------------------------------------
    def settle(self, ended: Sequence[Moved]) -> None:
        """Do everything that follows from these runs having ended."""
        self.cancel_children(ended)
        self._say_ended_tasks({run.task_id for run in ended if run.depth > 0})
        if any(run.depth == 0 for run in ended):
            self._settle_steps()

    def cancel_children(self, parents: Sequence[Moved]) -> None:
        """Whatever these runs asked others to do is wanted no longer."""
        asked = [run.id for run in parents if run.children]
        while asked:
            open_ = self.session.scalars(
                select(Run.id)
                .join(Task, Task.id == Run.task_id)
                .where(Task.parent_run_id.in_(asked), Run.state.not_in(FINAL_VALUES))
            )
            cancelled = self.move(list(open_), RunEvent.CANCEL, reason=Reason.PARENT_ENDED.value)
            self._say_ended_tasks({run.task_id for run in cancelled})
            asked = [run.id for run in cancelled if run.children]

    def _settle_steps(self) -> None:
        rows = self.session.execute(
            select(Run.id, Run.task_id, Task.step, Run.fingerprint, Run.state, Run.tolerated)
            .join(Task, Task.id == Run.task_id)
            .where(Run.job_id == self.job.id, Run.depth == 0)
        ).all()
        ids = {Place(row.step, row.fingerprint): row.id for row in rows}
        states = {Place(row.step, row.fingerprint): RunState(row.state) for row in rows}
        decided = schedule.consequences(self.plan, states)
        skipped = self._apply(decided.skip, ids, states, RunEvent.SKIP, reason=Reason.UPSTREAM_FAILED.value)
        cancelled = self._apply(decided.cancel, ids, states, RunEvent.CANCEL, reason=Reason.UPSTREAM_FAILED.value)
        self._apply(
            decided.unblock,
            ids,
            states,
            RunEvent.UNBLOCK,
            queued_at=self.now,
            ready_at=self.now,
            turn_at=schedule.turn_at(self.now, 0),
        )
        self.cancel_children([*skipped, *cancelled])
        by_task: dict[int, list[RunState]] = {}
        for row in rows:
            by_task.setdefault(row.task_id, []).append(states[Place(row.step, row.fingerprint)])
        for task_id, found in by_task.items():
            self._say_ended_task(task_id, found)
        if all(state in FINAL for state in states.values()):
            tolerated = {Place(row.step, row.fingerprint): row.tolerated for row in rows}
            self._finish(schedule.job_state((state, 0, tolerated[place]) for place, state in states.items()))

    def _apply(
        self,
        places: Iterable[Place],
        ids: dict[Place, int],
        states: dict[Place, RunState],
        event: RunEvent,
        **values: Any,
    ) -> list[Moved]:
        wanted = {ids[place]: place for place in places}
        moved = self.move(wanted, event, **values)
        for run in moved:
            states[wanted[run.id]] = after(states[wanted[run.id]], event)
        return moved

    def _finish(self, state: RunState) -> None:
        finished = self.session.execute(
            update(Job)
            .where(Job.id == self.job.id, Job.finished_at.is_(None))
            .values(finished_at=self.now)
            .execution_options(synchronize_session=False)
        )
        if finished.rowcount:  # type: ignore[attr-defined]
            self.say(f"job.{state.value}", data={"state": state.value})
            self.wake(f"ended:{self.job.id}")

    def _say_ended_tasks(self, task_ids: set[int]) -> None:
        if not task_ids:
            return
        by_task: dict[int, list[RunState]] = {}
        for row in self.session.execute(select(Run.task_id, Run.state).where(Run.task_id.in_(task_ids))):
            by_task.setdefault(row.task_id, []).append(RunState(row.state))
        for task_id, states in by_task.items():
            self._say_ended_task(task_id, states)

    def _say_ended_task(self, task_id: int, states: list[RunState]) -> None:
        state = derived(states)
        if state in FINAL:
            self.say(f"task.{state.value}", task_id=task_id, data={"state": state.value})


_NO_LEASE: dict[str, Any] = {"lease_expires_at": None, "progress": None}
_USUAL: dict[RunState, dict[str, Any]] = dict.fromkeys((*FINAL, RunState.QUEUED), _NO_LEASE)


def queue_topic(organization_id: int) -> str:
    """What nodes of an organization listen to."""
    return f"queue:{organization_id}"


def hold_jobs(session: Session, job_ids: Iterable[str]) -> None:
    """Hold several jobs' rows, in the order of their ids, before any of their runs is touched. On SQLite there is
    nothing to do: writes take turns."""
    ids = sorted(set(job_ids))
    if ids and session.get_bind().dialect.name != "sqlite":
        session.execute(select(Job.id).where(Job.id.in_(ids)).order_by(Job.id).with_for_update())


def grow(session: Session, job_ids: Iterable[str]) -> None:
    """Something has happened to these jobs, which are held."""
    session.execute(
        update(Job)
        .where(Job.id.in_(sorted(set(job_ids))))
        .values(version=Job.version + 1)
        .execution_options(synchronize_session=False)
    )
