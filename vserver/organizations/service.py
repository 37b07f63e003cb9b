"""Organizations, and the key logs by which others know them.

The hub checks a key log for the sake of good manners: nodes and clients verify it again and believe nobody. What the
hub adds is that a log only ever grows: the write is guarded by the number of the entry that was newest before.
"""

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, undefer

from vprotocol.errors import AlreadyExists, Conflict, KeyLogRolledBack, NotFound
from vprotocol.keylog import KeyLog
from vprotocol.roles import Action, Resource, Scope
from vserver import authz
from vserver.accounts.model import User
from vserver.authz import Kind, Principal, Target
from vserver.collaborations.model import Membership
from vserver.db import flush_removal
from vserver.nodes.model import Node
from vserver.organizations.model import Organization


class OrganizationInUse(Conflict):
    """Something still belongs to this organization: users, nodes, memberships or jobs."""

    code = "organization_in_use"
    hint = "Remove its users and nodes, and take it out of its collaborations first."


def organization(session: Session, organization_id: int) -> Organization:
    found = session.get(Organization, organization_id)
    if found is None:
        raise NotFound(f"There is no organization {organization_id}.")
    return found


def visible(principal: Principal) -> Select[Organization]:
    """The organizations that the caller may see."""
    scope = authz.require_some(principal, Resource.ORGANIZATION, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(Organization)
    mine = Organization.id == principal.organization_id
    if scope is not Scope.COLLABORATION:
        return select(Organization).where(mine)
    return select(Organization).where(mine | Organization.id.in_(members_of(principal.collaboration_ids)))


def members_of(collaboration_ids: frozenset[int]) -> Select[int]:
    return select(Membership.organization_id).where(Membership.collaboration_id.in_(collaboration_ids))


def collaborations_of(session: Session, organization_ids: set[int]) -> dict[int, frozenset[int]]:
    """Which collaborations each of these organizations is in: one query for all of them."""
    found: dict[int, set[int]] = {organization_id: set() for organization_id in organization_ids}
    rows = session.execute(
        select(Membership.organization_id, Membership.collaboration_id).where(
            Membership.organization_id.in_(organization_ids)
        )
    )
    for organization_id, collaboration_id in rows:
        found[organization_id].add(collaboration_id)
    return {organization_id: frozenset(ids) for organization_id, ids in found.items()}


def target(organization_id: int, collaborations: frozenset[int]) -> Target:
    return Target(
        organizations=frozenset({organization_id}),
        collaborations=collaborations,
        owners=frozenset({(Kind.ORGANIZATION, organization_id)}),
    )


def create(session: Session, name: str, now: float) -> Organization:
    _check_free(session, name)
    made = Organization(name=name, created_at=now, key_log=None)
    session.add(made)
    session.flush()
    return made


def rename(session: Session, found: Organization, name: str) -> None:
    if name != found.name:
        _check_free(session, name)
        found.name = name
        session.flush()


def delete(session: Session, found: Organization) -> None:
    for column in (Node.organization_id, User.organization_id, Membership.organization_id):
        if session.scalar(select(column).where(column == found.id).limit(1)) is not None:
            raise OrganizationInUse()
    session.delete(found)
    flush_removal(session, OrganizationInUse())


def _check_free(session: Session, name: str) -> None:
    if session.scalar(select(Organization.id).where(Organization.name == name)) is not None:
        raise AlreadyExists(f"There is an organization {name!r} already.", fields={"/name": "taken"})


# --- identity --------------------------------------------------------------------------------------------------------
def key_log(session: Session, organization_id: int) -> tuple[Organization, dict[str, object]]:
    """The identity, as it was uploaded.

    :raises NotFound: no such organization, or it has no identity yet.
    """
    found = session.get(Organization, organization_id, options=[undefer(Organization.key_log)])
    if found is None:
        raise NotFound(f"There is no organization {organization_id}.")
    if found.key_log is None:
        raise NotFound(f"{found.name} has no identity yet.", hint="Its node makes one and uploads it when it starts.")
    return found, found.key_log


def put_key_log(session: Session, organization_id: int, log: KeyLog) -> Organization:
    """Accept a log that continues the one that is here (or is the first).

    :raises IdentityChanged: another identity, or another history. :raises KeyLogRolledBack: shorter, or an older head.
    :raises Conflict: somebody else has just appended an entry.
    """
    found = session.get(Organization, organization_id, options=[undefer(Organization.key_log)])
    if found is None:
        raise NotFound(f"There is no organization {organization_id}.")
    seen_number = found.key_log_number
    if found.key_log is not None:
        _check_continues(log, KeyLog.from_wire(found.key_log))
    elif session.scalar(select(Organization.id).where(Organization.fingerprint == log.fingerprint)) is not None:
        raise AlreadyExists("This identity belongs to another organization of this hub.")
    won = session.execute(
        update(Organization)
        .where(Organization.id == organization_id, Organization.key_log_number == seen_number)
        .values(
            key_log=log.to_wire(),
            key_log_number=log.number,
            fingerprint=log.fingerprint,
            version=Organization.version + 1,
        )
        .execution_options(synchronize_session=False)
    )
    if not won.rowcount:  # type: ignore[attr-defined]
        raise Conflict("Somebody else has just appended to this key log.")
    session.refresh(found)
    return found


def _check_continues(log: KeyLog, seen: KeyLog) -> None:
    log.check_continues(seen.fingerprint, seen.number, seen.entries[-1].hash)
    if seen.head_body is None or log.number > seen.number:
        return
    if log.head_body is None or log.head_body.issued_at < seen.head_body.issued_at:
        raise KeyLogRolledBack("A newer head of this key log was uploaded before.")
