"""What runs out: leases, plans, nodes that do not come back.

Whoever needs the truth applies what is due first (`apply_due`, one query when nothing is); `sweep` does it when nobody
asks, at the moment it is due.
"""

from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from vprotocol.reasons import Reason
from vprotocol.states import RunEvent, RunState
from vserver.events import service as events
from vserver.hub import Hub
from vserver.jobs.model import Job, JobNode, NodeSession, Run
from vserver.jobs.progress import AT_A_NODE_VALUES, Change, queue_topic
from vserver.jobs.results import requeue

GONE_AFTER_LEASES = 3.0  # a node silent for so many lease periods is gone for good
AT_ONCE = 200


@dataclass(frozen=True)
class Due:
    """The next moments at which something runs out; None: nothing of that kind waits."""

    lease: float | None
    plan: float | None
    online: float | None
    gone: float | None

    def first(self) -> float | None:
        return min((at for at in (self.lease, self.plan, self.online, self.gone) if at is not None), default=None)


def gone_s(hub: Hub) -> float:
    return GONE_AFTER_LEASES * hub.settings.lease_s


def due(session: Session, hub: Hub) -> Due:
    waiting = exists().where(Run.job_id == Job.id, Run.state == RunState.QUEUED.value)
    row = session.execute(
        select(
            select(func.min(Run.lease_expires_at)).scalar_subquery(),
            select(func.min(Job.expires_at)).where(Job.finished_at.is_(None), waiting).scalar_subquery(),
            select(func.min(NodeSession.last_sync_at)).where(NodeSession.online).scalar_subquery(),
            select(func.min(NodeSession.last_sync_at))
            .where(NodeSession.node_id.in_(select(JobNode.node_id)))
            .scalar_subquery(),
        )
    ).one()
    lease, plan, online, gone = row
    return Due(
        lease,
        plan,
        None if online is None else online + hub.settings.node_online_s,
        None if gone is None else gone + gone_s(hub),
    )


def apply_due(hub: Hub) -> float | None:
    """Do what is due; answers when the next thing is."""
    with hub.database.read() as session:
        found = due(session, hub)
    now = hub.now()
    first = found.first()
    if first is None or first > now:
        return first
    if found.lease is not None and found.lease <= now:
        _lose_leases(hub, now)
    if found.plan is not None and found.plan <= now:
        _end_expired_jobs(hub, now)
    if found.online is not None and found.online <= now:
        _say_offline(hub, now)
    if found.gone is not None and found.gone <= now:
        _release_gone_nodes(hub, now)
    with hub.database.read() as session:
        return due(session, hub).first()


def refresh_leases(hub: Hub) -> None:
    """After a start of the hub: all leases get one fresh full period, for nobody could renew them meanwhile."""
    with hub.database.write() as session:
        session.execute(
            update(Run)
            .where(Run.state.in_(AT_A_NODE_VALUES))
            .values(lease_expires_at=hub.now() + hub.settings.lease_s)
            .execution_options(synchronize_session=False)
        )
        # A silent node was not heard because nobody listened.
        session.execute(
            update(NodeSession)
            .where(NodeSession.online)
            .values(last_sync_at=hub.now())
            .execution_options(synchronize_session=False)
        )


def _lose_leases(hub: Hub, now: float) -> None:
    with hub.database.read() as session:
        job_ids = list(session.scalars(select(Run.job_id).where(Run.lease_expires_at <= now).distinct().limit(AT_ONCE)))
    for job_id in job_ids:
        with hub.database.write() as session:
            change = Change(session, hub.signals.notify, now, job_id)
            _lose(change, now)


def _lose(change: Change, now: float) -> None:
    rows = change.session.execute(
        select(Run.id, Run.task_id, Run.attempt, Run.attempts, Run.organization_id, Run.node_id).where(
            Run.job_id == change.job.id, Run.lease_expires_at <= now, Run.state.in_(AT_A_NODE_VALUES)
        )
    ).all()
    for row in rows:
        change.say(
            "run.lost",
            task_id=row.task_id,
            run_id=row.id,
            organization_id=row.organization_id,
            node_id=row.node_id,
            data={"attempt": row.attempt},
        )
        guard = Run.lease_expires_at <= now
        if row.attempt < row.attempts:
            requeue(change, [row.id], row.attempt, now, guard)
        else:
            change.settle(change.move([row.id], RunEvent.FAIL, guard, reason=Reason.LOST.value))


def _end_expired_jobs(hub: Hub, now: float) -> None:
    waiting = exists().where(Run.job_id == Job.id, Run.state == RunState.QUEUED.value)
    with hub.database.read() as session:
        job_ids = list(
            session.scalars(
                select(Job.id).where(Job.finished_at.is_(None), Job.expires_at <= now, waiting).limit(AT_ONCE)
            )
        )
    for job_id in job_ids:
        with hub.database.write() as session:
            change = Change(session, hub.signals.notify, now, job_id)
            queued = session.scalars(select(Run.id).where(Run.job_id == job_id, Run.state == RunState.QUEUED.value))
            change.settle(change.move(list(queued), RunEvent.FAIL, reason=Reason.UNROUTABLE.value))


def _say_offline(hub: Hub, now: float) -> None:
    with hub.database.write() as session:
        silent = session.execute(
            update(NodeSession)
            .where(NodeSession.online, NodeSession.last_sync_at <= now - hub.settings.node_online_s)
            .values(online=False)
            .returning(NodeSession.node_id, NodeSession.organization_id)
            .execution_options(synchronize_session=False)
        )
        for node_id, organization_id in silent.all():
            events.append(session, "node.offline", now, node_id=node_id, organization_id=organization_id)
        events.wake(session, hub.signals.notify)


def _release_gone_nodes(hub: Hub, now: float) -> None:
    """What only a vanished node could take goes to any other of its organization."""
    with hub.database.write() as session:
        gone = select(NodeSession.node_id).where(NodeSession.last_sync_at <= now - gone_s(hub))
        rows = session.execute(
            select(JobNode.node_id, JobNode.organization_id).where(JobNode.node_id.in_(gone)).distinct()
        ).all()
        nodes = [row.node_id for row in rows]
        session.execute(
            update(Run)
            .where(Run.for_node_id.in_(nodes), Run.state.in_((RunState.BLOCKED.value, RunState.QUEUED.value)))
            .values(for_node_id=0)
            .execution_options(synchronize_session=False)
        )
        session.execute(delete(JobNode).where(JobNode.node_id.in_(nodes)).execution_options(synchronize_session=False))
        hub.signals.notify_after_commit(session, *{queue_topic(row.organization_id) for row in rows})


def sweep(hub: Hub) -> None:
    """Apply what is due, then sleep until the next thing is: for a chore that does this again and again."""
    first = apply_due(hub)
    # A lease that is granted meanwhile runs out later than this wakes.
    longest = hub.settings.lease_s
    hub.clock.sleep(longest if first is None else min(longest, first - hub.now()))
