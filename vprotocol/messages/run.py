"""Runs: one task at one organization, and how a node ends one."""

from typing import Annotated

from pydantic import Field

from vprotocol.ids import JobName
from vprotocol.messages.documents import Base64, PayloadRef, SignedMessage
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds
from vprotocol.reasons import Reason
from vprotocol.states import RunState


class OutputView(Message):
    name: str
    payload: PayloadRef  # `inline` with `?include=payloads`, when small


class RunView(Entity):
    """`receipt`: what the node signed about it, once it has ended there."""

    id: int
    job: Relation
    job_id: JobName
    task: Relation
    task_id: int
    organization: Relation
    organization_id: int
    fingerprint: str
    path: str
    state: RunState
    reason: Reason | None
    note: str | None  # why it still waits: `unroutable: ...`
    generation: int
    attempt: int
    progress: int | None  # percent
    node: Relation | None
    queued_at: UnixSeconds | None
    started_at: UnixSeconds | None
    finished_at: UnixSeconds | None
    receipt: SignedMessage | None = None
    outputs: tuple[OutputView, ...] = ()
    log: PayloadRef | None = None


class RunStarted(Message):
    lease_token: str


class RunResult(Message):
    """How an attempt ended: the receipt says it. Payloads are inline here when small, else uploaded before."""

    lease_token: str
    receipt: SignedMessage
    payloads: tuple[Base64, ...] = ()


class RunEnded(Message):
    """The hub's answer to a result: acknowledged."""

    id: int
    state: RunState
    superseded: Annotated[bool, Field(description="another attempt had ended the run; this one is acknowledged")]
