"""Ask other organizations: subtasks through the node's proxy.

The proxy seals, signs and translates; here are plain calls. `Peers` decides, a `SubtaskDoor` does: over HTTP in a
container (`proxy_door.py`), in memory in a test (`testing.py`).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from algorithm_base.errors import AlgorithmError, OrderError
from algorithm_base.outputs import decode, plain

WAITING = frozenset({"pending", "initializing", "active"})
COMPLETED = "completed"

DAY_S = 24 * 3600.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_HELD_AT_LEAST_S = 0.5


class SubtaskFailed(AlgorithmError):
    """A subtask failed at one of the organizations. The initiator can read why in that run's log."""


class SubtaskTimeout(AlgorithmError):
    """A subtask did not end in time. Give it more with timeout_s, or ask fewer organizations."""


@dataclass(frozen=True)
class Organization:
    """Somebody who takes part."""

    id: int
    name: str


@dataclass(frozen=True)
class Subtask:
    """One question on its way to some organizations."""

    id: int
    organization_ids: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """What one organization's run produced: bytes, or None if it failed."""

    organization_id: int
    content: bytes | None

    @property
    def value(self) -> Any:
        """The decoded result."""
        if self.content is None:
            raise SubtaskFailed(f"the subtask failed at organization {self.organization_id}")
        return decode(self.content)


class SubtaskDoor(Protocol):
    """The only way from an algorithm to other organizations."""

    organization_id: int

    def organizations(self) -> list[Organization]: ...

    def create(
        self, order: bytes, organization_ids: Sequence[int], name: str, data: Sequence[str] | None, image: str | None
    ) -> int: ...

    def status(self, task_id: int, wait_s: float) -> str: ...

    def contents(self, task_id: int) -> dict[int, bytes | None]: ...


class Peers:
    """The organizations of this run's plan. A parameter annotated `Peers` is given one."""

    def __init__(
        self,
        door: SubtaskDoor,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._door, self._clock, self._pause = door, clock, pause

    @property
    def organization_id(self) -> int:
        """The organization where this code runs."""
        return self._door.organization_id

    def organizations(self) -> list[Organization]:
        """Everybody who takes part, this organization included."""
        return self._door.organizations()

    def call(
        self,
        method: str | Callable[..., Any],
        *args: Any,
        organizations: Sequence[int | Organization] | None = None,
        name: str | None = None,
        data: Sequence[str] | None = None,
        timeout_s: float = DAY_S,
        **kwargs: Any,
    ) -> list[Any]:
        """Ask organizations (all, if not told) to run a method; their results in the order in which they were asked.

        `data`: labels of the data sources it is for (this run's own, if not told). Arguments and results travel as
        JSON. Raises `SubtaskFailed` if one of them fails, `SubtaskTimeout` if they are not done in time.
        """
        subtask = self.start(method, args, kwargs, organizations=organizations, name=name, data=data)
        status = self.wait(subtask, timeout_s=timeout_s)
        answers = self.results(subtask)
        failed = [answer.organization_id for answer in answers if answer.content is None]
        if failed or status != COMPLETED:
            where = ", ".join(map(str, failed)) or "some of " + ", ".join(map(str, subtask.organization_ids))
            raise SubtaskFailed(f"subtask {subtask.id} ended as '{status}': organization {where} gave no result")
        return [answer.value for answer in answers]

    def start(
        self,
        method: str | Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        organizations: Sequence[int | Organization] | None = None,
        name: str | None = None,
        data: Sequence[str] | None = None,
        image: str | None = None,
    ) -> Subtask:
        """Ask, and do not wait. Several may be on their way at once."""
        asked = self.organizations() if organizations is None else organizations
        ids = tuple(each.id if isinstance(each, Organization) else int(each) for each in asked)
        if not ids or len(set(ids)) != len(ids):
            raise OrderError("a subtask needs at least one organization, and each only once")
        method_name = method if isinstance(method, str) else _name_of(method)
        order = {"method": method_name, "args": list(args), "kwargs": dict(kwargs or {})}
        content = json.dumps(plain(order), ensure_ascii=False, separators=(",", ":")).encode()
        return Subtask(self._door.create(content, ids, name or "subtask", data, image), ids)

    def wait(self, subtask: Subtask, *, timeout_s: float = DAY_S) -> str:
        """Until the subtask has ended everywhere: its final status, 'completed' if all is well."""
        deadline = self._clock() + timeout_s
        pause_s = _SHORTEST_PAUSE_S
        while (asked_at := self._clock()) < deadline:
            status = self._door.status(subtask.id, deadline - asked_at)
            if status not in WAITING:
                return status
            # The proxy holds the answer until something changes; where it does not, ask ever more slowly.
            was_held = self._clock() - asked_at >= _HELD_AT_LEAST_S
            pause_s = _SHORTEST_PAUSE_S if was_held else min(pause_s * 2, _LONGEST_PAUSE_S)
            self._pause(min(pause_s, max(deadline - self._clock(), 0)))
        raise SubtaskTimeout(f"subtask {subtask.id} did not end within {timeout_s:g} s")

    def results(self, subtask: Subtask) -> list[Answer]:
        """The answers in the order in which the organizations were asked; a failed one has no content."""
        contents = self._door.contents(subtask.id)
        return [Answer(each, contents.get(each)) for each in subtask.organization_ids]


def _name_of(function: Callable[..., Any]) -> str:
    from algorithm_base.registry import method_of

    return method_of(function).name
