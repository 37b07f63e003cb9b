"""Tasks: one step of one job, or one call of a running algorithm to others."""

from vprotocol.ids import JobName
from vprotocol.messages.documents import Base64, SignedMessage
from vprotocol.messages.run import RunView
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds
from vprotocol.states import RunState


class SubtaskSubmit(Message):
    """What a node posts for its algorithm: the statement it signed, and the sealed orders.

    `lease_token` is that of the parent run: only the node that runs it may ask in its name.
    """

    parent_run: int
    lease_token: str
    statement: SignedMessage
    orders: tuple[Base64, ...] = ()


class TaskView(Entity):
    """`runs` only with `?include=runs`. `?wait=30` is held until the task has ended, or the time is up."""

    id: int
    job: Relation
    path: str
    step: str
    name: str
    image: str
    parent_run: Relation | None
    state: RunState
    created_at: UnixSeconds
    job_id: JobName
    runs: tuple[RunView, ...] | None = None
