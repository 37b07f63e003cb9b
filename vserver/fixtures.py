"""Organizations, collaborations, users and nodes from one YAML file, for `vserver import`.

What exists already (by its name) is left as it is, so a file can be imported again after it has grown.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from vprotocol.errors import ConfigInvalid, NotFound
from vprotocol.ids import CollaborationName
from vprotocol.messages.node import NodeName
from vprotocol.messages.organization import OrganizationName
from vprotocol.messages.user import SHORTEST_PASSWORD, Username
from vruntime.config import ConfigModel
from vserver.accounts import service as accounts
from vserver.accounts.model import User
from vserver.collaborations import service as collaborations
from vserver.collaborations.model import Collaboration
from vserver.nodes import service as nodes
from vserver.nodes.model import Node
from vserver.organizations import service as organizations
from vserver.organizations.model import Organization


class OrganizationFixture(ConfigModel):
    name: OrganizationName


class CollaborationFixture(ConfigModel):
    display_name: OrganizationName
    name: CollaborationName | None = Field(None, description="128 random bits in hex; left out, the hub draws them")
    encrypted: bool = True
    organizations: tuple[OrganizationName, ...] = ()


class UserFixture(ConfigModel):
    username: Username
    organization: OrganizationName | None = None
    roles: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    password_file: Path | None = Field(None, description="a file with the password; left out, the terminal is asked")


class NodeFixture(ConfigModel):
    name: NodeName
    organization: OrganizationName


class Fixtures(ConfigModel):
    organizations: tuple[OrganizationFixture, ...] = ()
    collaborations: tuple[CollaborationFixture, ...] = ()
    users: tuple[UserFixture, ...] = ()
    nodes: tuple[NodeFixture, ...] = ()


@dataclass
class Imported:
    """What was made (ids by name) and what was there already; API keys exist only here."""

    organizations: dict[str, int] = field(default_factory=dict)
    collaborations: dict[str, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)
    collaboration_names: dict[str, str] = field(
        default_factory=dict
    )  # 128 bits in hex by title, those there already too
    existed: list[str] = field(default_factory=list)
    api_keys: dict[str, str] = field(default_factory=dict, repr=False)


def new_users(session: Session, fixtures: Fixtures) -> list[UserFixture]:
    """Those for whom a password is needed."""
    known = set(session.scalars(select(User.username)))
    return [one for one in fixtures.users if one.username not in known]


def load(session: Session, fixtures: Fixtures, password_hash: Callable[[UserFixture], str], now: float) -> Imported:
    """Make what is not there yet, all or nothing. `password_hash` only looks up: nothing slow may happen here."""
    done = Imported()
    for organization in fixtures.organizations:
        if _exists(session, Organization.id, Organization.name == organization.name, done, organization.name):
            continue
        done.organizations[organization.name] = organizations.create(session, organization.name, now).id
    for collaboration in fixtures.collaborations:
        _load_collaboration(session, collaboration, done, now)
    for user in fixtures.users:
        if _exists(session, User.id, User.username == user.username, done, user.username):
            continue
        made = accounts.create(
            session,
            username=user.username,
            password_hash=password_hash(user),
            organization_id=None if user.organization is None else organization_named(session, user.organization),
            roles=accounts.roles_named(session, user.roles),
            now=now,
        )
        done.users[user.username] = made.id
    for node in fixtures.nodes:
        if _exists(session, Node.id, Node.name == node.name, done, node.name):
            continue
        home = organization_named(session, node.organization)
        row, api_key = nodes.create(session, name=node.name, organization_id=home, now=now)
        done.nodes[node.name], done.api_keys[node.name] = row.id, api_key
    return done


def _load_collaboration(session: Session, fixture: CollaborationFixture, done: Imported, now: float) -> None:
    ids = tuple(organization_named(session, name) for name in fixture.organizations)
    found = session.scalar(select(Collaboration).where(Collaboration.display_name == fixture.display_name))
    if found is not None:
        done.existed.append(fixture.display_name)
        done.collaboration_names[fixture.display_name] = found.name
        for organization_id in ids:
            collaborations.add_member(session, found, organization_id, now)
        return
    made = collaborations.create(
        session,
        name=fixture.name or secrets.token_hex(16),
        display_name=fixture.display_name,
        encrypted=fixture.encrypted,
        organization_ids=ids,
        now=now,
    )
    done.collaborations[fixture.display_name] = made.id
    done.collaboration_names[fixture.display_name] = made.name


def organization_named(session: Session, name: str) -> int:
    found = session.scalar(select(Organization.id).where(Organization.name == name))
    if found is None:
        raise NotFound(f"There is no organization {name!r}.", hint="Name it under `organizations:` first.")
    return found


def read_password(file: Path) -> str:
    """The first line of a password file."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise ConfigInvalid(f"The password file {file} cannot be read: {error.strerror}.") from None
    return checked_password(lines[0] if lines else "", str(file))


def checked_password(password: str, where: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise ConfigInvalid(
            f"The password from {where} is too short.", hint=f"At least {SHORTEST_PASSWORD} characters."
        )
    return password


def _exists(session: Session, column: object, clause: object, done: Imported, name: str) -> bool:
    found = session.scalar(select(column).where(clause)) is not None  # type: ignore[call-overload]
    if found:
        done.existed.append(name)
    return bool(found)
