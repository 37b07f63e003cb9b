"""A node's one long-poll: what it holds is renewed, what it waits for is handed out, what is not wanted is called back.

The order of things in the first transaction matters: the sync counts itself (so an older one of the same node claims
nothing any more), renews what the node lists, hands out again what the node holds without knowing (the answer was
lost, or the node's process is new), and only then claims.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import Select, func, select, union_all, update
from sqlalchemy.orm import Session

from vprotocol.errors import BadRequest, Forbidden
from vprotocol.messages.documents import INLINE_LIMIT_BYTES, PayloadRef, SignedMessage
from vprotocol.messages.sync import Assignment, InputDelivery, RunPosition, Settings, SyncAnswer, SyncRequest
from vprotocol.plan import ExpectedInput, expected_root_run
from vprotocol.roles import Action, Resource
from vprotocol.states import RunEvent, RunState, after
from vruntime.clock import Deadline
from vserver import authz
from vserver.authz import Kind, Principal, Target
from vserver.collaborations.model import Collaboration
from vserver.events import service as events
from vserver.hub import Hub
from vserver.jobs import deadlines, documents, schedule
from vserver.jobs.leases import hashed
from vserver.jobs.model import Job, JobNode, Lease, NodeSession, Run, RunOutput, Task
from vserver.jobs.progress import AT_A_NODE_VALUES, FINAL_VALUES, grow, hold_jobs, queue_topic
from vserver.jobs.queries import LARGEST_ID
from vserver.jobs.schedule import MOST_TAGS
from vserver.nodes.model import Node
from vserver.payloads import service as payloads

MOST_INLINE_BYTES = 4 * 1024 * 1024  # in one answer; what does not fit is fetched
_TRIES = 3


def settings_of(hub: Hub) -> Settings:
    wait_s = min(hub.settings.longest_wait_s, hub.settings.lease_s / 3)
    return Settings(lease_s=hub.settings.lease_s, wait_s=wait_s, inline_limit_bytes=INLINE_LIMIT_BYTES)


def sync(hub: Hub, principal: Principal, asked: SyncRequest) -> SyncAnswer:
    """Answer as soon as there is anything to say, at the latest when the wait is over.

    :raises Forbidden: only nodes sync. :raises BadRequest: too many tags.
    """
    if principal.kind is not Kind.NODE or principal.organization_id is None:
        raise Forbidden("Only a node syncs.")
    authz.require(
        principal, Resource.RUN, Action.EDIT, Target(owners=frozenset({(Kind.ORGANIZATION, principal.organization_id)}))
    )
    if not all(text.isprintable() for text in (asked.session, asked.version, *asked.accepts.tags)):
        raise BadRequest("Session, version and tags are printable text.")
    if len(asked.accepts.tags) > MOST_TAGS:
        raise BadRequest(f"A node has at most {MOST_TAGS} tags.", fields={"/accepts/tags": "too many"})
    deadlines.apply_due(hub)
    return _Sync(hub, principal.id, principal.organization_id, asked).answer()


@dataclass(frozen=True)
class _Candidate:
    id: int
    job_id: str
    for_node_id: int


@dataclass(frozen=True)
class _Held:
    id: int
    attempt: int
    job_id: str


class _Sync:
    """One sync request."""

    def __init__(self, hub: Hub, node_id: int, organization_id: int, asked: SyncRequest) -> None:
        self.hub, self.node_id, self.organization_id, self.asked = hub, node_id, organization_id, asked
        self.listed = {lease.run: lease for lease in asked.leases if 1 <= lease.run <= LARGEST_ID}
        self.serial = 0
        self.tags: tuple[str, ...] = ()
        self._next_ready_at: float | None = None
        self._beaten = 0  # times in a row that others were faster
        self._latest = SyncAnswer(settings=settings_of(hub))  # what is answered when the wait is over

    def answer(self) -> SyncAnswer:
        settings = settings_of(self.hub)
        deadline = Deadline.after(self.hub.clock, min(self.asked.wait_s, settings.wait_s))
        ended = [f"ended:{job}" for job in self.asked.jobs]
        topics = [queue_topic(self.organization_id), f"node:{self.node_id}", f"sync:{self.node_id}", *ended]
        with self.hub.signals.listen(topics) as ear:
            found = self._arrive()
            while found is None:
                if not 0 < self._beaten < _TRIES:  # others took all that was found: there may be more
                    if deadline.passed() or self.hub.signals.closed:
                        return self._latest
                    ear.wait(self._until(deadline))
                found = self._look_again()
        return found

    def _until(self, deadline: Deadline) -> Deadline:
        """Until the deadline, or until a run's back-off is over."""
        if self._next_ready_at is None:
            return deadline
        ready_s = max(0.0, self._next_ready_at - self.hub.now())
        return Deadline(deadline.clock, min(deadline.at_s, deadline.clock.monotonic() + ready_s))

    # --- the first look ----------------------------------------------------------------------------------------------
    def _arrive(self) -> SyncAnswer | None:
        with self.hub.database.write() as session:
            self._count(session)
            held, candidates = self._held(session), self._candidates(session)
            hold_jobs(session, [*(run.job_id for run in held), *(candidate.job_id for candidate in candidates)])
            listed = [run.id for run in held if self._is_listed(run)]
            self._renew(session, [run.id for run in held], listed)
            unknown = sorted({run.id for run in held} - set(listed))
            found = self._found(session, unknown, candidates)
            self.hub.signals.notify_after_commit(session, f"sync:{self.node_id}")
        return found

    def _count(self, session: Session) -> None:
        now, asked = self.hub.now(), self.asked
        known = session.execute(
            select(NodeSession.serial, NodeSession.online).where(NodeSession.node_id == self.node_id).with_for_update()
        ).one_or_none()
        own = session.scalar(select(Node.tags).where(Node.id == self.node_id)) or []
        self.tags = tuple(sorted({*own, *asked.accepts.tags}))[:MOST_TAGS]
        self.serial = 1 if known is None else known.serial + 1
        values = {
            "session": asked.session,
            "serial": self.serial,
            "tags": list(self.tags),
            "online": True,
            "last_sync_at": now,
        }
        if known is None:
            session.add(NodeSession(node_id=self.node_id, organization_id=self.organization_id, **values))
            session.flush()
        else:
            session.execute(_quietly(update(NodeSession).where(NodeSession.node_id == self.node_id).values(**values)))
        seen: dict[str, Any] = {"last_sync_at": now}
        if asked.version:
            seen["software_version"] = asked.version[:40]
        session.execute(_quietly(update(Node).where(Node.id == self.node_id).values(**seen)))
        if known is None or not known.online:
            events.append(session, "node.online", now, node_id=self.node_id, organization_id=self.organization_id)
            events.wake(session, self.hub.signals.notify)

    def _held(self, session: Session) -> list[_Held]:
        """What this node holds."""
        rows = session.execute(
            select(Run.id, Run.attempt, Run.job_id).where(Run.node_id == self.node_id, Run.state.in_(AT_A_NODE_VALUES))
        )
        return [_Held(*row) for row in rows]

    def _is_listed(self, held: _Held) -> bool:
        lease = self.listed.get(held.id)
        return lease is not None and self.hub.lease_tokens.matches(lease.token, held.id, held.attempt)

    def _renew(self, session: Session, held: Sequence[int], listed: Sequence[int]) -> None:
        if held:
            # What is handed out again in this answer gets a fresh period too.
            session.execute(
                _quietly(
                    update(Run)
                    .where(Run.id.in_(held), Run.node_id == self.node_id, Run.state.in_(AT_A_NODE_VALUES))
                    .values(lease_expires_at=self.hub.now() + self.hub.settings.lease_s)
                )
            )
        told = {run_id: self.listed[run_id].progress for run_id in listed if self.listed[run_id].progress is not None}
        if told:
            self._write_progress(session, told)

    def _write_progress(self, session: Session, told: dict[int, int | None]) -> None:
        rows = session.execute(select(Run.id, Run.job_id, Run.progress).where(Run.id.in_(told))).all()
        changed = [row for row in rows if row.progress != told[row.id]]
        if not changed:
            return
        grow(session, [row.job_id for row in changed])
        for row in changed:
            session.execute(
                _quietly(
                    update(Run)
                    .where(Run.id == row.id, Run.node_id == self.node_id, Run.state.in_(AT_A_NODE_VALUES))
                    .values(progress=told[row.id])
                )
            )
        self.hub.signals.notify_after_commit(session, *{f"job:{row.job_id}" for row in changed})

    # --- every look --------------------------------------------------------------------------------------------------
    def _look_again(self) -> SyncAnswer | None:
        with self.hub.database.write() as session:
            serial = session.scalar(
                select(NodeSession.serial).where(NodeSession.node_id == self.node_id).with_for_update()
            )
            if serial != self.serial:
                return SyncAnswer(ended_by_newer=True, settings=settings_of(self.hub))
            candidates = self._candidates(session)
            hold_jobs(session, [candidate.job_id for candidate in candidates])
            return self._found(session, (), candidates)

    def _found(self, session: Session, again: Sequence[int], candidates: Sequence[_Candidate]) -> SyncAnswer | None:
        """What there is to say, or None."""
        cancel = self._cancelled(session)
        ended = self._ended_jobs(session)
        claimed = self._claim(session, candidates)
        runs = _assignments(session, self.hub, [*again, *claimed])
        news = self.hub.told.is_news(self.node_id, [*cancel, *ended])
        self._latest = SyncAnswer(runs=runs, cancel=cancel, ended_jobs=ended, settings=settings_of(self.hub))
        return self._latest if runs or news else None

    def _cancelled(self, session: Session) -> tuple[int, ...]:
        if not self.listed:
            return ()
        mine = Run.organization_id == self.organization_id
        rows = session.execute(select(Run.id, Run.state).where(Run.id.in_(self.listed), mine)).all()
        alive = {row.id for row in rows if row.state not in FINAL_VALUES}
        return tuple(sorted(set(self.listed) - alive))

    def _ended_jobs(self, session: Session) -> tuple[str, ...]:
        if not self.asked.jobs:
            return ()
        wanted = list(dict.fromkeys(self.asked.jobs))
        going = set(session.scalars(select(Job.id).where(Job.id.in_(wanted), Job.finished_at.is_(None))))
        return tuple(job for job in wanted if job not in going)

    # --- claiming ----------------------------------------------------------------------------------------------------
    def _claim(self, session: Session, candidates: Sequence[_Candidate]) -> list[int]:
        claimed: list[int] = []
        if candidates:
            claimed = self._take(session, candidates)
        elif self.asked.want + self.asked.want_subtasks:
            self._next_ready_at = self._next_ready(session)
        self._beaten = self._beaten + 1 if candidates and not claimed else 0
        if claimed:
            grow(session, [candidate.job_id for candidate in candidates if candidate.id in set(claimed)])
            self._bind_jobs(session, candidates, claimed)
        return claimed

    def _candidates(self, session: Session) -> list[_Candidate]:
        """The first few in the queue that this node may take: ranges of one index, whatever the queue's length.

        Subtasks come first (`schedule.subtask_precedence`), and take the places that are for them alone before others.
        """
        everything = self.asked.want + self.asked.want_subtasks
        if not everything:
            return []

        def first(for_node_id: int, of: Any, n: int) -> Any:
            statement = (
                select(Run.id, Run.job_id, Run.for_node_id, Run.precedence, Run.turn_at)
                .where(
                    Run.organization_id == self.organization_id,
                    Run.state == RunState.QUEUED.value,
                    Run.for_node_id == for_node_id,
                    of,
                    # "+ 0" keeps the databases from choosing the index of this column and sorting the whole queue.
                    Run.ready_at + 0 <= self.hub.now(),
                    Run.tags.in_(_subsets(self.tags)),
                )
                .order_by(Run.precedence, Run.turn_at, Run.id)
                .limit(n)
            )
            if self.listed:
                # It is still at work on an earlier attempt of these.
                statement = statement.where(Run.id.not_in(list(self.listed)))
            return select(statement.subquery())

        nodes = (self.node_id, 0)
        ranges = [first(node, Run.precedence < schedule.FIRST_STEP_PRECEDENCE, everything) for node in nodes]
        if self.asked.want:
            steps = Run.precedence >= schedule.FIRST_STEP_PRECEDENCE
            ranges += [first(node, steps, self.asked.want) for node in nodes]
        found = union_all(*ranges).subquery()
        rows = session.execute(
            select(found.c.id, found.c.job_id, found.c.for_node_id, found.c.precedence).order_by(
                found.c.precedence, found.c.turn_at, found.c.id
            )
        )
        return self._seated((_Candidate(row.id, row.job_id, row.for_node_id), row.precedence) for row in rows)

    def _seated(self, queue: Iterable[tuple[_Candidate, int]]) -> list[_Candidate]:
        places, for_subtasks = self.asked.want, self.asked.want_subtasks
        seated = []
        for candidate, precedence in queue:
            if precedence < schedule.FIRST_STEP_PRECEDENCE and for_subtasks:
                for_subtasks -= 1
            elif places:
                places -= 1
            else:
                continue
            seated.append(candidate)
        return seated

    def _take(self, session: Session, candidates: Sequence[_Candidate]) -> list[int]:
        """The claim: one guarded UPDATE. Of two nodes one gets a run; the other does not wait for it."""
        now = self.hub.now()
        free: Select[Any] = (
            select(Run.id)
            .where(
                Run.id.in_([candidate.id for candidate in candidates]),
                Run.state == RunState.QUEUED.value,
                Run.for_node_id.in_((0, self.node_id)),
            )
            .with_for_update(skip_locked=True)
        )
        rows = session.execute(
            _quietly(
                update(Run)
                .where(Run.id.in_(free), Run.state == RunState.QUEUED.value)
                .values(
                    state=after(RunState.QUEUED, RunEvent.CLAIM).value,
                    node_id=self.node_id,
                    for_node_id=self.node_id,
                    lease_expires_at=now + self.hub.settings.lease_s,
                    progress=None,
                )
                .returning(Run.id, Run.attempt, Run.job_id, Run.task_id, Run.collaboration_id)
            )
        ).all()
        topics = {events.TOPIC}
        for row in rows:
            topics |= {f"job:{row.job_id}", f"task:{row.task_id}", f"run:{row.id}"}
            events.append(
                session,
                "run.leased",
                now,
                collaboration_id=row.collaboration_id,
                job_id=row.job_id,
                task_id=row.task_id,
                run_id=row.id,
                organization_id=self.organization_id,
                node_id=self.node_id,
                data={"state": RunState.LEASED.value, "attempt": row.attempt},
            )
        payloads.insert_new(
            session,
            Lease,
            [
                {
                    "token_hash": hashed(self.hub.lease_tokens.token(row.id, row.attempt)),
                    "run_id": row.id,
                    "attempt": row.attempt,
                    "node_id": self.node_id,
                    "granted_at": now,
                }
                for row in rows
            ],
        )
        self.hub.signals.notify_after_commit(session, *topics)
        order = {candidate.id: at for at, candidate in enumerate(candidates)}
        return sorted((row.id for row in rows), key=order.__getitem__)

    def _bind_jobs(self, session: Session, candidates: Sequence[_Candidate], claimed: Sequence[int]) -> None:
        """The other runs of these jobs at this organization are for this node too."""
        taken = set(claimed)
        new = {candidate.job_id for candidate in candidates if candidate.id in taken and candidate.for_node_id == 0}
        if not new:
            return
        payloads.insert_new(
            session,
            JobNode,
            [
                {"job_id": job_id, "organization_id": self.organization_id, "node_id": self.node_id}
                for job_id in sorted(new)
            ],
        )
        session.execute(
            _quietly(
                update(Run)
                .where(
                    Run.job_id.in_(new),
                    Run.organization_id == self.organization_id,
                    Run.state.in_((RunState.BLOCKED.value, RunState.QUEUED.value)),
                    Run.for_node_id == 0,
                )
                .values(for_node_id=self.node_id)
            )
        )

    def _next_ready(self, session: Session) -> float | None:
        return session.scalar(
            select(func.min(Run.ready_at)).where(
                Run.organization_id == self.organization_id,
                Run.state == RunState.QUEUED.value,
                Run.ready_at > self.hub.now(),
            )
        )


def _subsets(tags: Sequence[str]) -> list[str]:
    """Every set of required tags that these satisfy, as it stands in `Run.tags`."""
    return [",".join(some) for size in range(len(tags) + 1) for some in combinations(tags, size)]


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)


# --- what is handed over ---------------------------------------------------------------------------------------------
def _assignments(session: Session, hub: Hub, run_ids: Sequence[int]) -> tuple[Assignment, ...]:
    if not run_ids:
        return ()
    rows = session.execute(
        select(
            Run.id,
            Run.task_id,
            Run.job_id,
            Run.fingerprint,
            Run.collaboration_id,
            Run.generation,
            Run.attempt,
            Run.order_id,
            Run.depth,
            Task.path,
            Task.statements,
            Job.plan_hash,
            Collaboration.encrypted,
        )
        .join(Task, Task.id == Run.task_id)
        .join(Job, Job.id == Run.job_id)
        .join(Collaboration, Collaboration.id == Run.collaboration_id)
        .where(Run.id.in_(run_ids))
    )
    by_id = {row.id: row for row in rows}
    ordered = [by_id[run_id] for run_id in run_ids if run_id in by_id]
    deliveries = {row.id: _deliveries(session, row) for row in ordered}
    wanted = [row.order_id for row in ordered]
    wanted += [payload_id for found in deliveries.values() for _, _, _, payload_id in found]
    references = _References(payloads.inline_bytes(session, wanted))
    return tuple(
        Assignment(
            run=row.id,
            task=row.task_id,
            job=row.job_id,
            organization=row.fingerprint,
            collaboration=row.collaboration_id,
            encrypted=row.encrypted,
            path=row.path,
            generation=row.generation,
            attempt=row.attempt,
            lease_token=hub.lease_tokens.token(row.id, row.attempt),
            lease_s=hub.settings.lease_s,
            plan=_signed(documents.plan_of(session, row.job_id, row.plan_hash).signed.to_wire()),
            statements=tuple(_signed(wire) for wire in row.statements),
            order=references.to(row.order_id),
            inputs=tuple(
                InputDelivery(
                    name=name, producer=producer, output=output, receipt=receipt, payload=references.to(payload_id)
                )
                for (name, output), producer, receipt, payload_id in deliveries[row.id]
            ),
        )
        for row in ordered
    )


_Delivery = tuple[tuple[str, str], RunPosition, SignedMessage, str]  # (input, output), producer, receipt, payload


def _deliveries(session: Session, row: Any) -> list[_Delivery]:
    """The outputs that a step's run gets as inputs: of the producers that completed, in the plan's order."""
    if row.depth > 0:
        return []
    plan = documents.plan_of(session, row.job_id, row.plan_hash).plan
    inputs = expected_root_run(plan, documents.path_of(row.path), row.fingerprint).inputs
    if not inputs:
        return []
    made = _made(session, row.job_id, inputs)
    found: list[_Delivery] = []
    for expected in inputs:
        for producer in expected.producers:
            key = (str(producer.path), producer.organization, producer.output)
            if key in made:
                position, receipt, payload_id = made[key]
                found.append(((expected.name, producer.output), position, receipt, payload_id))
    return found


def _made(
    session: Session, job_id: str, inputs: Sequence[ExpectedInput]
) -> dict[tuple[str, str, str], tuple[RunPosition, SignedMessage, str]]:
    paths = {str(producer.path) for expected in inputs for producer in expected.producers}
    rows = session.execute(
        select(
            Task.path,
            Run.fingerprint,
            Run.generation,
            Run.attempt,
            Run.receipt,
            RunOutput.name,
            RunOutput.payload_id,
        )
        .join(Task, Task.id == Run.task_id)
        .join(RunOutput, RunOutput.run_id == Run.id)
        .where(Run.job_id == job_id, Task.path.in_(paths), Run.state == RunState.COMPLETED.value)
    )
    return {
        (row.path, row.fingerprint, row.name): (
            RunPosition(path=row.path, organization=row.fingerprint, generation=row.generation, attempt=row.attempt),
            _signed(row.receipt),
            row.payload_id,
        )
        for row in rows
    }


class _References:
    """Payloads by reference, with their bytes as long as the answer stays small."""

    def __init__(self, known: dict[str, tuple[int, bytes | None]]) -> None:
        self._known = known
        self._room = MOST_INLINE_BYTES

    def to(self, payload_id: str) -> PayloadRef:
        length, data = self._known.get(payload_id, (0, None))
        if data is not None and len(data) <= self._room:
            self._room -= len(data)
        else:
            data = None
        return reference(payload_id, length, data)


def reference(payload_id: str, length: int, data: bytes | None) -> PayloadRef:
    inline = None if data is None else base64.b64encode(data).decode("ascii")
    return PayloadRef(id=payload_id, bytes_total=length, inline=inline)


def _signed(wire: dict[str, Any]) -> SignedMessage:
    return SignedMessage.model_validate(wire)
