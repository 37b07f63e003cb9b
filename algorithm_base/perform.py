"""One order, carried out: fill in what the method asks for, call it, write what it returns."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from algorithm_base.errors import OrderError, OutputError, SourceError
from algorithm_base.named_inputs import Input, fill
from algorithm_base.outputs import OutputStream, write_outputs
from algorithm_base.parameters import AllSources, Door, NamedInput, OneSource, Wish
from algorithm_base.peers import Peers
from algorithm_base.progress_report import Reporter, reporting_to
from algorithm_base.registry import Method


@dataclass(frozen=True)
class Order:
    """What the researcher, or an algorithm elsewhere, asks for."""

    method: str
    args: list[Any]
    kwargs: dict[str, Any]

    @classmethod
    def parse(cls, content: bytes) -> "Order":
        try:
            fields = json.loads(content.decode("utf-8"))
        except ValueError:
            raise OrderError("the order is not JSON") from None
        if not isinstance(fields, dict) or not isinstance(fields.get("method"), str):
            raise OrderError("the order names no method")
        args, kwargs = fields.get("args") or [], fields.get("kwargs") or {}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise OrderError("the order's args must be a list and its kwargs an object")
        return cls(fields["method"], args, kwargs)


class Readable(Protocol):
    def read(self) -> Any: ...
    def rows(self) -> Any: ...


@dataclass(frozen=True)
class Surroundings:
    """All that a run has around it. A test gives pretend ones."""

    sources: Mapping[str, Readable]
    inputs: dict[str, Input]
    peers: Callable[[], Peers]
    report: Reporter
    output_file: Path
    outputs_folder: Path | None


def perform(method: Method, order: Order, around: Surroundings) -> None:
    """Call the method and write its outputs. Arguments are checked before any data is read."""
    method.check(order.args, order.kwargs)
    streams = [name for name, wish in method.wishes.items() if wish is Door.OUTPUT]
    if len(streams) > 1:
        raise OutputError(f"{method.name}: one output stream is all there is")
    with reporting_to(around.report):
        filled = _filled(method, around)
        if not streams:
            write_outputs(method.call(filled, order.args, order.kwargs), around.output_file, around.outputs_folder)
            return
        with OutputStream(around.output_file) as stream:
            returned = method.call({**filled, streams[0]: stream}, order.args, order.kwargs)
        if returned is not None:
            raise OutputError(f"{method.name}: a method that writes to its output stream returns nothing")


def _filled(method: Method, around: Surroundings) -> dict[str, Any]:
    labels = iter(around.sources)
    return {name: _value(wish, around, labels) for name, wish in method.wishes.items() if wish is not Door.OUTPUT}


def _value(wish: Wish, around: Surroundings, unnamed_labels: Any) -> Any:
    match wish:
        case OneSource(label, read, rows):
            found = _find(label if label is not None else next(unnamed_labels, None), around.sources)
            if not read:
                return found
            return found.rows() if rows else found.read()
        case AllSources(read):
            return {label: found.read() if read else found for label, found in around.sources.items()}
        case NamedInput():
            return fill(wish, around.inputs)
        case Door.PEERS:
            return around.peers()
    raise AssertionError(wish)


def _find(label: str | None, sources: Mapping[str, Readable]) -> Readable:
    if label is None:
        raise SourceError(f"the method needs more data sources than the {len(sources)} that the task asked for")
    if label not in sources:
        raise SourceError(
            f"the method needs the data source '{label}'; the task asked for: {', '.join(sources) or 'none'}"
        )
    return sources[label]
