"""Jobs, tasks and runs as one caller sees them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from vprotocol.messages import Relation
from vprotocol.messages.documents import PayloadRef, SignedMessage
from vprotocol.messages.job import JobView
from vprotocol.messages.run import OutputView, RunView
from vprotocol.messages.task import TaskView
from vprotocol.reasons import Reason
from vprotocol.states import RunState, derived
from vserver.authz import Kind, Target
from vserver.jobs import queries, schedule
from vserver.jobs.claim import reference
from vserver.jobs.model import Job, NodeSession, Run, Task
from vserver.nodes.model import Node
from vserver.payloads import service as payloads
from vserver.web.links import Endpoint, Links, link, query


@dataclass(frozen=True)
class NodeFacts:
    organization_id: int
    tags: frozenset[str]
    online: bool


def note(run_tags: str, organization_nodes: Sequence[NodeFacts]) -> str | None:
    """Why a queued run still waits, if no node can take it now."""
    if not organization_nodes:
        return "unroutable: the organization has no node"
    wanted = frozenset(filter(None, run_tags.split(",")))
    able = [node for node in organization_nodes if wanted <= node.tags]
    if not able:
        return f"unroutable: no node of the organization carries {', '.join(sorted(wanted))}"
    if not any(node.online for node in able):
        return "unroutable: no node of the organization that could take it is online"
    return None


class Views:
    """Makes the messages of one answer; looks up what they share once."""

    def __init__(self, session: Session, links: Links, now: float, online_s: float) -> None:
        self._session, self._links = session, links
        self._now, self._online_s = now, online_s

    # --- jobs --------------------------------------------------------------------------------------------------------
    def jobs(self, rows: Sequence[Job]) -> list[JobView]:
        counted = queries.counts(self._session, [row.id for row in rows])
        return [self._job(row, counted[row.id]) for row in rows]

    def job(self, row: Job, *, include: frozenset[str] = frozenset()) -> JobView:
        view = self.jobs([row])[0]
        extra: dict[str, object] = {}
        if "runs" in include:
            runs = queries.runs_of(self._session, Run.job_id == row.id)
            extra["runs"] = tuple(self.runs(runs, with_bytes="payloads" in include))
        if "plan" in include:
            wire = self._session.scalar(select(Job.plan).where(Job.id == row.id))
            extra["plan"] = SignedMessage.model_validate(wire)
        return view.model_copy(update=extra) if extra else view

    def _job(self, row: Job, counted: list[tuple[RunState, int, bool, int]]) -> JobView:
        target = queries.job_target(row)
        counts: dict[RunState, int] = {}
        for state, _, _, count in counted:
            counts[state] = counts.get(state, 0) + count
        collaboration = Target(collaborations=frozenset({row.collaboration_id}))
        user = None
        if row.user_id is not None:
            owner = Target(organizations=frozenset({row.organization_id}), owners=frozenset({(Kind.USER, row.user_id)}))
            user = self._links.relation(Endpoint.USER, owner, id=row.user_id, user_id=row.user_id)
        return JobView(
            id=row.id,
            self_=link(Endpoint.JOB, job_id=row.id),
            methods=self._links.methods(Endpoint.JOB, target),
            name=row.name,
            collaboration=self._links.relation(
                Endpoint.COLLABORATION, collaboration, id=row.collaboration_id, collaboration_id=row.collaboration_id
            ),
            user=user,
            state=schedule.job_state((state, depth, tolerated) for state, depth, tolerated, _ in counted),
            priority=row.priority,
            plan_hash=row.plan_hash,
            images=tuple(row.images),
            labels=row.labels,
            created_at=row.created_at,
            expires_at=row.expires_at,
            finished_at=row.finished_at,
            counts=counts,
            version=row.version,
            links={
                "list": link(Endpoint.JOBS),
                "tasks": query(Endpoint.TASKS, job=row.id),
                "runs": query(Endpoint.RUNS, job=row.id),
            },
        )

    # --- tasks -------------------------------------------------------------------------------------------------------
    def tasks(self, rows: Sequence[Task]) -> list[TaskView]:
        states = queries.states_of_tasks(self._session, [row.id for row in rows])
        parents = self._runs_by_id(row.parent_run_id for row in rows if row.parent_run_id is not None)
        return [self._task(row, states[row.id], parents.get(row.parent_run_id or 0)) for row in rows]

    def task(self, row: Task, *, include: frozenset[str] = frozenset()) -> TaskView:
        view = self.tasks([row])[0]
        if "runs" not in include:
            return view
        runs = queries.runs_of(self._session, Run.task_id == row.id)
        return view.model_copy(update={"runs": tuple(self.runs(runs, with_bytes="payloads" in include))})

    def _task(self, row: Task, states: list[RunState], parent: Run | None) -> TaskView:
        return TaskView(
            id=row.id,
            self_=link(Endpoint.TASK, task_id=row.id),
            methods=self._links.methods(Endpoint.TASK, queries.job_target(row.job)),
            job=self._job_relation(row.job),
            path=row.path,
            step=row.step,
            name=row.job.name,
            image=row.image,
            parent_run=None
            if parent is None
            else self._links.relation(Endpoint.RUN, queries.run_target(parent), id=parent.id, run_id=parent.id),
            state=derived(states),
            created_at=row.created_at,
            job_id=row.job_id,
            links={"list": link(Endpoint.TASKS), "runs": query(Endpoint.RUNS, task=row.id)},
        )

    # --- runs --------------------------------------------------------------------------------------------------------
    def runs(self, rows: Sequence[Run], *, with_bytes: bool = False) -> list[RunView]:
        outputs = queries.outputs_of(self._session, [row.id for row in rows if row.state == RunState.COMPLETED.value])
        ids = [payload_id for found in outputs.values() for _, payload_id in found]
        ids += [row.log_id for row in rows if row.log_id is not None]
        look = payloads.inline_bytes if with_bytes else payloads.lengths
        known = look(self._session, ids)
        nodes = self._nodes({row.organization_id for row in rows if row.state == RunState.QUEUED.value})
        return [self._run(row, outputs.get(row.id, []), known, nodes) for row in rows]

    def _run(
        self,
        row: Run,
        outputs: list[tuple[str, str]],
        known: dict[str, tuple[int, bytes | None]],
        nodes: dict[int, list[NodeFacts]],
    ) -> RunView:
        target, task = queries.run_target(row), row.task

        def to(payload_id: str) -> PayloadRef:
            length, data = known.get(payload_id, (0, None))
            return reference(payload_id, length, data)

        waiting = row.state == RunState.QUEUED.value
        return RunView(
            id=row.id,
            self_=link(Endpoint.RUN, run_id=row.id),
            methods=self._links.methods(Endpoint.RUN, target),
            job=self._job_relation(task.job),
            job_id=row.job_id,
            task=self._links.relation(Endpoint.TASK, queries.job_target(task.job), id=row.task_id, task_id=row.task_id),
            task_id=row.task_id,
            organization=self._links.relation(
                Endpoint.ORGANIZATION, target, id=row.organization_id, organization_id=row.organization_id
            ),
            organization_id=row.organization_id,
            fingerprint=row.fingerprint,
            path=task.path,
            state=RunState(row.state),
            reason=None if row.reason is None else Reason(row.reason),
            note=note(row.tags, nodes.get(row.organization_id, [])) if waiting else None,
            generation=row.generation,
            attempt=row.attempt,
            progress=row.progress,
            node=self._node_relation(row),
            queued_at=row.queued_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            receipt=None if row.receipt is None else SignedMessage.model_validate(row.receipt),
            outputs=tuple(OutputView(name=name, payload=to(payload_id)) for name, payload_id in outputs),
            log=None if row.log_id is None else to(row.log_id),
            links={"list": link(Endpoint.RUNS)},
        )

    def _job_relation(self, job: Job) -> Relation:
        return self._links.relation(Endpoint.JOB, queries.job_target(job), id=job.id, job_id=job.id)

    def _node_relation(self, row: Run) -> Relation | None:
        if row.node_id is None:
            return None
        target = Target(
            organizations=frozenset({row.organization_id}),
            collaborations=frozenset({row.collaboration_id}),
            owners=frozenset({(Kind.NODE, row.node_id)}),
        )
        return self._links.relation(Endpoint.NODE, target, id=row.node_id, node_id=row.node_id)

    def _runs_by_id(self, ids: Iterable[int]) -> dict[int, Run]:
        wanted = set(ids)
        if not wanted:
            return {}
        return {row.id: row for row in queries.runs_of(self._session, Run.id.in_(wanted))}

    def _nodes(self, organization_ids: set[int]) -> dict[int, list[NodeFacts]]:
        if not organization_ids:
            return {}
        rows = self._session.execute(
            select(Node.organization_id, Node.tags, NodeSession.tags.label("told"), NodeSession.last_sync_at)
            .outerjoin(NodeSession, NodeSession.node_id == Node.id)
            .where(Node.organization_id.in_(organization_ids))
        )
        found: dict[int, list[NodeFacts]] = {}
        for row in rows:
            online = row.last_sync_at is not None and self._now - row.last_sync_at <= self._online_s
            tags = frozenset(row.tags) | frozenset(row.told or ())
            found.setdefault(row.organization_id, []).append(NodeFacts(row.organization_id, tags, online))
        return found
