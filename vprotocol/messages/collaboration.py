"""Collaborations: sets of organizations that work together."""

from typing import Annotated

from pydantic import Field

from vprotocol.ids import CollaborationName
from vprotocol.messages.organization import OrganizationName
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds, WireId

DisplayName = OrganizationName


class NewCollaboration(Message):
    """`name` is 128 random bits that the creator chooses: what plans and grants use."""

    name: CollaborationName
    display_name: DisplayName
    encrypted: bool = True
    organizations: Annotated[tuple[WireId, ...], Field(max_length=1000)] = ()


class CollaborationChange(Message):
    """`encrypted` cannot be changed: plans that were signed rely on it."""

    display_name: DisplayName


class Collaboration(Entity):
    id: int
    name: CollaborationName
    display_name: str
    encrypted: bool
    created_at: UnixSeconds
    organization_ids: tuple[int, ...]
    organizations: str
    nodes: str


class Member(Message):
    """One organization in one collaboration."""

    collaboration: Relation
    organization: Relation
    since: UnixSeconds
