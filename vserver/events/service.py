"""One ordered table of events.

Events are collected while a transaction runs and written by one statement just before it commits. On PostgreSQL that
moment is guarded by a lock until the commit: otherwise an event with a smaller id could become visible after a larger
one, and whoever watches by "everything after id N" would never see it.
"""

from typing import Any

from sqlalchemy import Select, and_, event, insert, or_, select, text
from sqlalchemy.orm import Session

from vprotocol.errors import NotFound
from vprotocol.roles import Action, Resource, Scope
from vserver import authz
from vserver.authz import Principal, Target
from vserver.collaborations import service as collaborations
from vserver.db import after_commit
from vserver.events.model import Event
from vserver.jobs.model import Job
from vserver.organizations import service as organizations

TOPIC = "events"
MOST = 500  # events in one answer
KEPT_S = 30 * 86_400.0
_PENDING = "vestal_events"
_PG_LOCK = 0x7665_7374_0001


def append(
    session: Session,
    kind: str,
    at: float,
    *,
    collaboration_id: int | None = None,
    job_id: str | None = None,
    task_id: int | None = None,
    run_id: int | None = None,
    organization_id: int | None = None,
    node_id: int | None = None,
    data: dict[str, Any] | None = None,
    body: bytes | None = None,
) -> None:
    """Say what this transaction changes. Wakes nobody by itself: see `notify`."""
    session.info.setdefault(_PENDING, []).append(
        {
            "kind": kind,
            "at": at,
            "collaboration_id": collaboration_id,
            "job_id": job_id,
            "task_id": task_id,
            "run_id": run_id,
            "organization_id": organization_id,
            "node_id": node_id,
            "data": data or {},
            "body": body,
        }
    )


def wake(session: Session, notify: Any) -> None:
    """After the commit, wake those who watch events."""
    after_commit(session, lambda: notify(TOPIC))


@event.listens_for(Session, "before_commit")
def _write_pending(session: Session) -> None:
    rows = session.info.pop(_PENDING, None)
    if not rows:
        return
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PG_LOCK})
    # Through the table: the ORM would make a statement for every set of columns that are not null.
    session.execute(insert(Event.__table__), rows)  # type: ignore[arg-type]


@event.listens_for(Session, "after_rollback")
def _forget_pending(session: Session) -> None:
    session.info.pop(_PENDING, None)


def visible(principal: Principal) -> Select[Event]:
    """The events that the caller may see: of its collaborations; nodes coming and going, of their members."""
    scope = authz.require_some(principal, Resource.EVENT, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(Event)
    members = organizations.members_of(principal.collaboration_ids)
    return select(Event).where(
        or_(
            Event.collaboration_id.in_(principal.collaboration_ids),
            and_(
                Event.collaboration_id.is_(None),
                Event.node_id.is_not(None),
                or_(Event.organization_id == principal.organization_id, Event.organization_id.in_(members)),
            ),
        )
    )


def since(session: Session, principal: Principal, after_id: int, most: int = MOST) -> list[Event]:
    """Events after this one, oldest first."""
    return list(
        session.scalars(visible(principal).where(Event.id > after_id).order_by(Event.id).limit(min(most, MOST)))
    )


def post(
    session: Session,
    principal: Principal,
    *,
    kind: str,
    collaboration_id: int,
    job_id: str | None,
    body: bytes,
    at: float,
) -> None:
    """A custom event.

    :raises Forbidden: the caller may not speak in this collaboration. :raises NotFound: no such collaboration or job.
    """
    own = {principal.organization_id} if principal.organization_id is not None else set()
    inside = collaboration_id in principal.collaboration_ids
    target = Target(organizations=frozenset(own if inside else ()), collaborations=frozenset({collaboration_id}))
    authz.require(principal, Resource.EVENT, Action.CREATE, target)
    if not inside:
        collaborations.collaboration(session, min(max(collaboration_id, 0), 2**31 - 1))
    if job_id is not None and session.scalar(select(Job.id).where(Job.id == job_id)) is None:
        raise NotFound("There is no such job.", fields={"/job_id": "unknown"})
    node_id = principal.id if principal.kind is authz.Kind.NODE else None
    append(
        session,
        kind,
        at,
        collaboration_id=collaboration_id,
        job_id=job_id,
        organization_id=principal.organization_id,
        node_id=node_id,
        body=body,
    )
