"""What one verb of one resource promises. Calls are checked, links made and OpenAPI written from these."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from vprotocol.errors import VestalError
from vprotocol.messages import Message
from vprotocol.roles import Action, Resource

Method = TypeVar("Method", bound=Callable[..., Any])


class Work(Enum):
    """How a call uses the database."""

    READ = "read"  # one session for reading, the caller's log-in included
    WRITE = "write"  # one transaction, committed when the method has returned, before the answer leaves
    OWN = "own"  # the method opens sessions itself: it waits, streams or computes for long in between


@dataclass(frozen=True)
class Operation:
    """One verb of one resource.

    `needs` is what a caller must hold at least in some scope; the method itself judges the thing it acts on.
    `secrets` names fields of the answer that are shown once and therefore not kept for a repeated Idempotency-Key.
    """

    summary: str
    body: type[Message] | None = None
    answer: type[Message] | None = None
    status: int = 200
    needs: tuple[Resource, Action] | None = None
    public: bool = False
    work: Work | None = None
    secrets: tuple[str, ...] = ()
    errors: tuple[type[VestalError], ...] = ()
    listing: Any = None  # a `paging.Listing`, for lists
    media_type: str = "application/json"


def operation(summary: str, **promises: Any) -> Callable[[Method], Method]:
    """Declare what a resource's method does; see `Operation`."""

    def declare(method: Method) -> Method:
        method.operation = Operation(summary, **promises)  # type: ignore[attr-defined]
        return method

    return declare


_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def operations_of(resource: type) -> dict[str, Operation]:
    """What a resource class declares, by verb."""
    methods = ((verb, getattr(resource, verb.lower(), None)) for verb in _VERBS)
    return {verb: method.operation for verb, method in methods if method is not None}
