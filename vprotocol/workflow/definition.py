"""A workflow as people write it: in Python, YAML or JSON. The initiator's client resolves it into a plan."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vprotocol.documents import faults
from vprotocol.errors import WorkflowInvalid
from vprotocol.ids import Label, Text
from vprotocol.workflow.patterns import Pattern

DEFAULT_OUTPUT = "output"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNITS_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"10m"`, `"1h"` → seconds."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,9})\s*([smhd]?)", value)):
        return int(match[1]) * _UNITS_S[match[2] or "s"]
    return value


def size(value: Any) -> Any:
    """`1024`, `"512B"`, `"50MiB"`, `"4GiB"` → bytes."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,15})\s*((?:[KMGT]iB)|B?)", value)):
        return int(match[1]) * _UNITS_BYTES[match[2]]
    return value


class TagSelector(_Frozen):
    tags: Annotated[tuple[str, ...], Field(min_length=1)]


class SameAs(_Frozen):
    step: Label


Target = Literal["all", "initiator"] | SameAs | TagSelector | Annotated[tuple[str | int, ...], Field(min_length=1)]


class Retry(_Frozen):
    attempts: Annotated[int, Field(ge=1, le=100)] = 3


class Requires(_Frozen):
    tags: tuple[str, ...] = ()


class Delegate(_Frozen):
    """What the step's algorithm may ask other organizations to do."""

    images: tuple[str, ...] = ()  # image references; empty: the step's own
    on: Target = "all"
    children: Annotated[int, Field(ge=1, le=1_000_000)] = 1000  # tasks a parent attempt may create
    depth: Annotated[int, Field(ge=1, le=8)] = 1
    data: tuple[Label, ...] | None = None  # none: the step's own labels


class Step(_Frozen):
    image: Annotated[str, Field(min_length=1, max_length=500)]
    on: Target = "all"
    order: Literal["parallel", "chain"] = "parallel"
    data: tuple[Label, ...] = ()
    requires: Requires = Requires()
    retry: Retry = Retry()
    timeout: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    memory: Annotated[int, Field(ge=2**20)] | None = None
    output: Annotated[int, Field(ge=0, le=2**42)] | None = None
    scratch: Annotated[int, Field(ge=0, le=2**42)] | None = None
    needs: Annotated[int, Field(ge=1)] | None = None  # least number of participants
    fail: Literal["fast", "continue"] = "fast"
    trigger: Literal["all_success", "all_done", "any_success"] = "all_success"
    delegate: Delegate | None = None

    @model_validator(mode="before")
    @classmethod
    def _on_of_yaml(cls, value: Any) -> Any:
        """Many YAML readers take the key `on` for `true`."""
        if isinstance(value, dict) and True in value and "on" not in value:
            return {"on" if key is True else key: found for key, found in value.items()}
        return value

    @field_validator("on", mode="before")
    @classmethod
    def _target(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("same as "):
            return {"step": value.removeprefix("same as ").strip()}
        return [value] if isinstance(value, str) and value not in ("all", "initiator") else value

    @field_validator("timeout", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return seconds(value)

    @field_validator("memory", "output", "scratch", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        return size(value)

    @field_validator("needs", mode="before")
    @classmethod
    def _quorum(cls, value: Any) -> Any:
        match = re.fullmatch(r"(\d+)(?: of all)?", value) if isinstance(value, str) else None
        return int(match[1]) if match else value


class End(_Frozen):
    """One end of a connection: `step` or `step.name`."""

    step: Label
    name: Label | None = None

    @model_validator(mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if isinstance(value, str):
            step, _, name = value.partition(".")
            return {"step": step, "name": name or None}
        return value

    def __str__(self) -> str:
        return f"{self.step}.{self.name}" if self.name else self.step


class Connection(_Frozen):
    """The only edge: one named output to one named input."""

    source: Annotated[End, Field(alias="from")]
    target: Annotated[End, Field(alias="to")]
    pattern: Pattern


class Repeat(_Frozen):
    """Reserved: loops are part of the structure and refused until they are built."""

    steps: tuple[Label, ...]
    times: Annotated[int, Field(ge=1)]
    until: str | None = None
    feedback: tuple[Connection, ...] = ()


class Workflow(_Frozen):
    name: Annotated[Text, Field(min_length=1, max_length=200)]
    steps: Annotated[dict[Label, Step], Field(min_length=1)]
    connections: tuple[Connection, ...] = ()
    repeat: Repeat | None = None
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    labels: dict[Text, Text] = Field(default_factory=dict)
    layout: dict[str, Any] | None = None

    @classmethod
    def parse(cls, document: Any) -> Self:
        """From decoded YAML or JSON.

        :raises WorkflowInvalid: with the places and what is wrong there.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as fault:
            raise WorkflowInvalid(faults(fault)) from None
