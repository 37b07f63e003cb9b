"""What a method's parameter may ask for besides the researcher's arguments."""

import enum
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Literal

from algorithm_base.outputs import OutputStream
from algorithm_base.peers import Peers

MISSING: Any = enum.Enum("Missing", "MISSING").MISSING  # type: ignore[attr-defined]

InputForm = Literal["value", "bytes", "path"]


@dataclass(frozen=True)
class OneSource:
    label: str | None
    read: bool
    rows: bool = False


@dataclass(frozen=True)
class AllSources:
    read: bool


@dataclass(frozen=True)
class NamedInput:
    name: str
    by_organization: bool
    form: InputForm
    default: Any


class Door(enum.Enum):
    """Asked for by annotation."""

    PEERS = "Peers"
    OUTPUT = "OutputStream"


Wish = OneSource | AllSources | NamedInput | Door


def source(label: str | None = None, *, read: bool = True, rows: bool = False) -> Any:
    """The data source with this label; without one: the first that the task asked for (a second `source()` the second,
    and so on). `read=False` gives the unread `DataSource` (label, type, uri, params) instead of a frame; `rows=True` a
    list of dictionaries even where the image has pandas, whose import takes longer than many algorithms."""
    return OneSource(label, read, rows)


def sources(*, read: bool = True) -> Any:
    """All data sources that the task asked for: a dictionary by label, in the task's order."""
    return AllSources(read)


def inputs(name: str, *, by_organization: bool = False, form: InputForm = "value", default: Any = MISSING) -> Any:
    """What the steps connected to this named input produced.

    A list if the input takes many (in the workflow's order), else one value. `by_organization=True` gives a dictionary
    by organization id. `form`: decoded values, raw `bytes`, or the `path` of a file to stream from. Without `default`
    a missing input is an error.
    """
    return NamedInput(name, by_organization, form, default)


def wish_of(parameter: Parameter) -> Wish | None:
    """What the node fills in for this parameter; None if the researcher sends it."""
    if isinstance(parameter.default, OneSource | AllSources | NamedInput):
        return parameter.default
    annotation = parameter.annotation
    if annotation is Peers:
        return Door.PEERS
    if annotation is OutputStream:
        return Door.OUTPUT
    if isinstance(annotation, str):  # `from __future__ import annotations`; compared by name, nothing is evaluated
        return next((door for door in Door if annotation.strip("'\" ").rpartition(".")[2] == door.value), None)
    return None
