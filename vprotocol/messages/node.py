"""Data stations, as the hub knows them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds, WireId

NodeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=-]{0,62}$")]
Tags = Annotated[tuple[Tag, ...], Field(max_length=100)]


class NewNode(Message):
    name: NodeName
    organization_id: WireId


class NodeChange(Message):
    """What is not given stays. A node itself may tell its tags and version; its name is for people to change."""

    name: NodeName | None = None
    tags: Tags | None = None
    software_version: Annotated[str, Field(max_length=40)] | None = None


class Node(Entity):
    """`online`: it has synced lately."""

    id: int
    name: str
    organization: Relation
    online: bool
    last_sync_at: UnixSeconds | None
    tags: tuple[str, ...]
    software_version: str | None
    created_at: UnixSeconds


class NodeWithApiKey(Node):
    """`api_key` is shown here and never again; null in the answer of a repeated request."""

    api_key: str | None
