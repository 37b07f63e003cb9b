"""Organizations and their public identities."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from vprotocol.ids import Fingerprint
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds

OrganizationName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewOrganization(Message):
    name: OrganizationName


class OrganizationChange(Message):
    name: OrganizationName


class Organization(Entity):
    """`fingerprint` is its name for ever, once its node has uploaded an identity; the rest are this hub's words."""

    id: int
    name: str
    fingerprint: Fingerprint | None
    created_at: UnixSeconds
    public_key: Relation
    collaborations: str
    nodes: str
    users: str


class PublicKey(Message):
    """An organization's key log, as `vprotocol.keylog.KeyLog` reads it: trust nothing of it that was not verified."""

    entries: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=10_000)]
    head: dict[str, Any] | None = None
