"""Collaborations and who is in them."""

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from vprotocol.errors import AlreadyExists, Conflict, NotFound
from vprotocol.roles import Action, Resource, Scope
from vserver import authz
from vserver.authz import Principal, Target
from vserver.collaborations.model import Collaboration, Membership
from vserver.db import flush_removal
from vserver.organizations import service as organizations


class CollaborationInUse(Conflict):
    """Jobs were submitted in this collaboration, and they are kept."""

    code = "collaboration_in_use"
    hint = "Remove its jobs first, or take its members out: then nobody works in it any more."


def collaboration(session: Session, collaboration_id: int) -> Collaboration:
    found = session.get(Collaboration, collaboration_id)
    if found is None:
        raise NotFound(f"There is no collaboration {collaboration_id}.")
    return found


def by_name(session: Session, name: str) -> Collaboration:
    """The collaboration that its creator named so."""
    found = session.scalar(select(Collaboration).where(Collaboration.name == name))
    if found is None:
        raise NotFound(f"There is no collaboration named {name}.")
    return found


def visible(principal: Principal) -> Select[Collaboration]:
    """The collaborations that the caller may see."""
    scope = authz.require_some(principal, Resource.COLLABORATION, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(Collaboration)
    return select(Collaboration).where(Collaboration.id.in_(principal.collaboration_ids))


def target(collaboration_id: int) -> Target:
    return Target(collaborations=frozenset({collaboration_id}))


def members(session: Session, collaboration_ids: set[int]) -> dict[int, tuple[int, ...]]:
    """The organizations in each of these collaborations: one query for all of them."""
    found: dict[int, list[int]] = {collaboration_id: [] for collaboration_id in collaboration_ids}
    rows = session.execute(
        select(Membership.collaboration_id, Membership.organization_id)
        .where(Membership.collaboration_id.in_(collaboration_ids))
        .order_by(Membership.organization_id)
    )
    for collaboration_id, organization_id in rows:
        found[collaboration_id].append(organization_id)
    return {collaboration_id: tuple(ids) for collaboration_id, ids in found.items()}


def create(
    session: Session, *, name: str, display_name: str, encrypted: bool, organization_ids: tuple[int, ...], now: float
) -> Collaboration:
    if session.scalar(select(Collaboration.id).where(Collaboration.name == name)) is not None:
        raise AlreadyExists("There is a collaboration of this name already.", fields={"/name": "taken"})
    _check_free(session, display_name)
    made = Collaboration(name=name, display_name=display_name, encrypted=encrypted, created_at=now)
    session.add(made)
    session.flush()
    for organization_id in dict.fromkeys(organization_ids):
        add_member(session, made, organization_id, now)
    return made


def rename(session: Session, found: Collaboration, display_name: str) -> None:
    if display_name != found.display_name:
        _check_free(session, display_name)
        found.display_name = display_name
        session.flush()


def remove(session: Session, found: Collaboration) -> None:
    session.delete(found)
    flush_removal(session, CollaborationInUse())


def add_member(session: Session, found: Collaboration, organization_id: int, now: float) -> Membership:
    """Putting in a member twice changes nothing."""
    organizations.organization(session, organization_id)
    member = session.get(Membership, (found.id, organization_id))
    if member is None:
        member = Membership(collaboration_id=found.id, organization_id=organization_id, since=now)
        session.add(member)
        session.flush()
    return member


def member(session: Session, collaboration_id: int, organization_id: int) -> Membership:
    found = session.get(Membership, (collaboration_id, organization_id))
    if found is None:
        raise NotFound(f"Organization {organization_id} is not in collaboration {collaboration_id}.")
    return found


def remove_member(session: Session, found: Collaboration, organization_id: int) -> None:
    """Taking out what is not in changes nothing."""
    session.execute(
        delete(Membership).where(Membership.collaboration_id == found.id, Membership.organization_id == organization_id)
    )


def _check_free(session: Session, display_name: str) -> None:
    taken = session.scalar(select(Collaboration.id).where(Collaboration.display_name == display_name))
    if taken is not None:
        raise AlreadyExists(f"There is a collaboration {display_name!r} already.", fields={"/display_name": "taken"})
