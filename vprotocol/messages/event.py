"""Events: one ordered table of what happened, for people and programs that watch."""

from typing import Annotated

from pydantic import Field

from vprotocol.messages.documents import Base64
from vprotocol.messages.wire import Entity, Message, UnixSeconds


class EventView(Entity):
    """`data` holds ids, states and reason codes only. `body`: sealed, of custom events."""

    id: int
    at: UnixSeconds
    kind: str
    collaboration_id: int | None
    job_id: str | None
    task_id: int | None
    run_id: int | None
    organization_id: int | None
    node_id: int | None
    data: dict[str, str | int | bool | None]
    body: Base64 | None = None


class EventPost(Message):
    """A custom event: `kind` begins with `custom.`; its body is a sealed payload of kind `event`."""

    kind: Annotated[str, Field(pattern=r"^custom\.[a-z0-9_.-]{1,60}$")]
    collaboration_id: int
    job_id: str | None = None
    body: Base64
