"""Nodes: made by people with a key that is shown once, seen whenever they sync."""

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from vprotocol.errors import AlreadyExists, NotFound
from vprotocol.roles import Action, Resource, Scope
from vserver import authz
from vserver.accounts import tokens
from vserver.authz import Kind, Principal, Target
from vserver.nodes.model import Node
from vserver.organizations import service as organizations


def node(session: Session, node_id: int) -> Node:
    found = session.get(Node, node_id)
    if found is None:
        raise NotFound(f"There is no node {node_id}.")
    return found


def by_api_key(session: Session, api_key: str) -> int | None:
    """The node whose key this is: one look-up in an index."""
    return session.scalar(select(Node.id).where(Node.api_key_hash == tokens.hashed(api_key)))


def visible(principal: Principal) -> Select[Node]:
    """The nodes that the caller may see."""
    scope = authz.require_some(principal, Resource.NODE, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(Node)
    mine = Node.organization_id == principal.organization_id
    if scope is not Scope.COLLABORATION:
        return select(Node).where(mine)
    return select(Node).where(mine | Node.organization_id.in_(organizations.members_of(principal.collaboration_ids)))


def target(found: Node, collaborations: frozenset[int]) -> Target:
    return Target(
        organizations=frozenset({found.organization_id}),
        collaborations=collaborations,
        owners=frozenset({(Kind.NODE, found.id)}),
    )


def create(session: Session, *, name: str, organization_id: int, now: float) -> tuple[Node, str]:
    """A node and its API key, which exists in readable form only here."""
    _check_free(session, name)
    organizations.organization(session, organization_id)
    api_key = tokens.new_api_key()
    made = Node(
        name=name, organization_id=organization_id, api_key_hash=tokens.hashed(api_key), tags=[], created_at=now
    )
    session.add(made)
    session.flush()
    return made, api_key


def new_api_key(session: Session, found: Node) -> str:
    """Another key; the old one and everything that it opened end."""
    api_key = tokens.new_api_key()
    found.api_key_hash = tokens.hashed(api_key)
    tokens.revoke_all(session, node_id=found.id)
    session.flush()
    return api_key


def change(
    session: Session, found: Node, *, name: str | None, tags: tuple[str, ...] | None, software_version: str | None
) -> None:
    if name is not None and name != found.name:
        _check_free(session, name)
        found.name = name
    if tags is not None:
        found.tags = list(dict.fromkeys(tags))
    if software_version is not None:
        found.software_version = software_version
    session.flush()


def remove(session: Session, found: Node) -> None:
    session.delete(found)
    session.flush()


def seen(session: Session, node_id: int, now: float) -> None:
    """The node has synced. Not an edit: its ETag stays."""
    session.execute(
        update(Node).where(Node.id == node_id).values(last_sync_at=now).execution_options(synchronize_session=False)
    )


def is_online(found: Node, now: float, online_s: float) -> bool:
    return found.last_sync_at is not None and now - found.last_sync_at <= online_s


def _check_free(session: Session, name: str) -> None:
    if session.scalar(select(Node.id).where(Node.name == name)) is not None:
        raise AlreadyExists(f"There is a node {name!r} already.", fields={"/name": "taken"})
