"""Payloads: sealed bytes under their id, uploaded in segments."""

from typing import Annotated

from pydantic import Field, StringConstraints

from vprotocol.messages.documents import Base64
from vprotocol.messages.wire import Entity, Message, UnixSeconds

LeafHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PayloadAnnounce(Message):
    """The start of an upload: all that is around the body, and the hash of each segment. Checked without keys."""

    header: Base64
    trailer: Base64
    leaves: Annotated[tuple[LeafHash, ...], Field(min_length=1)]


class PayloadView(Entity):
    """`missing`: numbers of the segments that have not arrived. Empty: complete."""

    id: str
    kind: str
    suite: int
    bytes_total: int
    segments: int
    missing: tuple[int, ...]
    complete: bool
    created_at: UnixSeconds
