"""What stands behind the proxy: who an algorithm is, and what is done with its requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vprotocol.plan import PlanOrganization
from vprotocol.states import RunState


@dataclass(frozen=True)
class Caller:
    """The sandbox that presented a token, described by its plan alone."""

    key: str  # of its run at this node
    organization: PlanOrganization
    members: tuple[PlanOrganization, ...]  # everybody in the plan
    collaboration_id: int
    node_id: int
    task_id: int
    run_id: int
    image: str
    labels: tuple[str, ...]  # its data sources


@dataclass(frozen=True)
class SubtaskRequest:
    """A `POST /task` of an algorithm, in plain values."""

    image: str | None
    name: str
    orders: Sequence[tuple[int, bytes]]  # organization id of the plan, INPUT_FILE content
    labels: tuple[str, ...] | None  # none: those of the caller
    request_id: str  # the algorithm's idempotency key


@dataclass(frozen=True)
class ChildRun:
    """One organization's part of a subtask."""

    id: int
    organization_id: int
    state: RunState
    started_at: float | None = None
    finished_at: float | None = None
    result: bytes | None = None  # opened outcome, of completed runs, where asked for


@dataclass(frozen=True)
class ChildTask:
    id: int
    name: str
    image: str
    state: RunState
    runs: tuple[ChildRun, ...]


class Gate(Protocol):
    """Who is at the door."""

    def admit(self, token: str, address: str | None) -> Caller:
        """:raises NotAuthenticated: no such token, its run has ended, or it comes from another sandbox."""


class Desk(Protocol):
    """Does what an admitted caller may ask. Every method raises `VestalError`s with sentences for algorithm authors."""

    def create(self, caller: Caller, request: SubtaskRequest) -> ChildTask: ...

    def task(self, caller: Caller, task_id: int, wait_s: float) -> ChildTask:
        """One of the caller's own children; held until it has ended, or `wait_s` is over."""

    def results(self, caller: Caller, task_id: int) -> ChildTask:
        """The child with the opened outcomes of its completed runs."""

    def children(self, caller: Caller) -> Sequence[int]:
        """Numbers of the caller's own children."""

    def progress(self, caller: Caller, percent: int) -> None: ...


JsonObject = dict[str, Any]
