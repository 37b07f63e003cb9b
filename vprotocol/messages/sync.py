"""A node's one long-poll: notification, claim, lease renewal and cancel channel at once."""

from typing import Annotated

from pydantic import Field

from vprotocol.ids import JobName
from vprotocol.messages.documents import PayloadRef, SignedMessage
from vprotocol.messages.wire import Message, WireId


class HeldLease(Message):
    """A lease that the node holds, with what it wants to say about the run."""

    run: int
    token: str
    progress: Annotated[int, Field(ge=0, le=100)] | None = None


class Accepts(Message):
    """What this node can take."""

    tags: tuple[str, ...] = ()
    images: tuple[str, ...] = ()  # config digests that are warm: preferred, never required


class SyncRequest(Message):
    """`session`: random, new at each start of the node's process. A newer sync of a session ends the older one."""

    session: Annotated[str, Field(min_length=8, max_length=64)]
    leases: tuple[HeldLease, ...] = ()
    want: Annotated[int, Field(ge=0, le=1000)] = 0  # places for any run
    want_subtasks: Annotated[int, Field(ge=0, le=1000)] = 0  # further places, for subtasks only
    accepts: Accepts = Accepts()
    wait_s: Annotated[float, Field(ge=0, le=60)] = 20.0
    version: str = ""
    jobs: tuple[JobName, ...] = ()  # jobs that the node keeps something of; the answer says which have ended


class RunPosition(Message):
    """A run by what is signed: never by the hub's numbers."""

    path: str
    organization: str
    generation: int
    attempt: int


class InputDelivery(Message):
    """One upstream output, and its producer's receipt."""

    name: str
    producer: RunPosition
    output: str
    receipt: SignedMessage
    payload: PayloadRef


class Assignment(Message):
    """A run handed to a node. Everything in it is checked against the plan; numbers are for talking to the hub only."""

    run: WireId
    task: WireId
    job: JobName
    organization: str
    collaboration: WireId
    encrypted: bool
    path: str
    generation: int
    attempt: int
    lease_token: str
    lease_s: float
    plan: SignedMessage
    statements: tuple[SignedMessage, ...] = ()
    supplement: SignedMessage | None = None
    order: PayloadRef
    inputs: tuple[InputDelivery, ...] = ()


class Settings(Message):
    """What the hub asks of the node's behaviour."""

    lease_s: float
    wait_s: float  # longest useful `wait_s`: at most a third of the lease
    inline_limit_bytes: int


class SyncAnswer(Message):
    runs: tuple[Assignment, ...] = ()
    cancel: tuple[WireId, ...] = ()  # runs whose sandboxes are to be stopped
    ended_jobs: tuple[JobName, ...] = ()
    ended_by_newer: bool = False  # a newer sync of this session is under way
    settings: Settings
