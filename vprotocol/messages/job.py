"""Jobs: one execution of a workflow."""

from typing import Annotated

from pydantic import Field

from vprotocol.ids import JobName
from vprotocol.messages.documents import Base64, SignedMessage
from vprotocol.messages.run import RunView
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds
from vprotocol.states import RunState


class JobSubmit(Message):
    """`plan`: the signed plan, verbatim. `orders`: small sealed orders; larger ones are uploaded as payloads before."""

    plan: SignedMessage
    orders: tuple[Base64, ...] = ()


class JobView(Entity):
    """`runs` only with `?include=runs`; the signed plan only with `?include=plan`.

    `version` grows with everything that happens to the job: `?wait=30&since=VERSION` is held until it does.
    """

    id: JobName
    name: str
    collaboration: Relation
    user: Relation | None
    state: RunState
    priority: Annotated[int, Field(ge=0, le=9)]
    plan_hash: str
    images: tuple[str, ...]
    labels: dict[str, str]
    created_at: UnixSeconds
    expires_at: UnixSeconds
    finished_at: UnixSeconds | None
    counts: dict[RunState, int]
    version: int
    runs: tuple[RunView, ...] | None = None
    plan: SignedMessage | None = None


class JobCancel(Message):
    """What is written to a job to stop it."""

    cancel: bool = True
