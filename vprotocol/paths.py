"""A task's name inside its job: `step[iteration]`, then `#attempt.counter@parent` for each delegated level.

`parent` is the first 64 bits of the fingerprint of the organization whose run asked: a step that runs at several
organizations may delegate at each of them (docs/adr/0006). A run is a task path at an organization; its generation is
that of its root ancestor.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import AfterValidator

from vprotocol.errors import DocumentInvalid
from vprotocol.ids import Fingerprint

SHORT = 16  # hex digits of a fingerprint that stand in a path
_ROOT = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,62})\[(0|[1-9][0-9]{0,8})\]")
_CHILD = re.compile(r"#([1-9][0-9]{0,5})\.([1-9][0-9]{0,8})@([0-9a-f]{16})")
MAX_DEPTH = 8


@dataclass(frozen=True)
class Child:
    attempt: int  # of the parent run
    counter: int  # its how manieth subtask, from 1
    parent: str  # first 16 hex digits of the parent organization's fingerprint

    def __str__(self) -> str:
        return f"#{self.attempt}.{self.counter}@{self.parent}"


@dataclass(frozen=True)
class TaskPath:
    step: str
    iteration: int = 0
    children: tuple[Child, ...] = ()

    def __str__(self) -> str:
        return f"{self.step}[{self.iteration}]" + "".join(map(str, self.children))

    @classmethod
    def parse(cls, text: str) -> Self:
        """:raises DocumentInvalid: not the text of a path."""
        match = _ROOT.match(text)
        if not match:
            raise DocumentInvalid("not a task path")
        children: list[Child] = []
        at = match.end()
        while at < len(text):
            child = _CHILD.match(text, at)
            if not child or len(children) >= MAX_DEPTH:
                raise DocumentInvalid("not a task path")
            children.append(Child(int(child[1]), int(child[2]), child[3]))
            at = child.end()
        return cls(match[1], int(match[2]), tuple(children))

    @property
    def depth(self) -> int:
        """0 for a step of the plan, 1 for its subtasks, and so on."""
        return len(self.children)

    @property
    def parent(self) -> Self | None:
        return replace(self, children=self.children[:-1]) if self.children else None

    def child(self, organization: Fingerprint, attempt: int, counter: int) -> Self:
        """The path of the `counter`-th subtask that the run of this task at `organization` asks for."""
        return replace(self, children=(*self.children, Child(attempt, counter, organization[:SHORT])))


def _parsed(text: str) -> str:
    TaskPath.parse(text)
    return text


PathText = Annotated[str, AfterValidator(_parsed)]
