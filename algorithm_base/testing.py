"""Run an algorithm over pretend nodes in one process, central functions included.

    federation = Federation([{"default": first_frame}, {"default": second_frame}])
    federation.run("central_mean", column="age")            # at organization 1
    federation.run_all("partial_mean", column="age")        # at every organization: a list

Orders, results and named inputs take the same way as in a container: through the same code, as bytes. What does not
survive that journey fails here already. Exceptions are not hidden here: a test shall see them.
"""

import copy
import importlib
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from algorithm_base.data import as_rows
from algorithm_base.errors import OrderError, SourceError
from algorithm_base.named_inputs import read_index
from algorithm_base.outputs import DEFAULT, decode, encode, plain
from algorithm_base.peers import COMPLETED, Organization, Peers
from algorithm_base.perform import Order, Surroundings, perform
from algorithm_base.registry import Method, method_anywhere, method_named, method_of

Gathered = Sequence[Any] | Mapping[int, Any]


@dataclass(frozen=True)
class PretendSource:
    """A data set given by a test. Every run gets its own copy, as every container reads for itself."""

    label: str
    data: Any

    def read(self) -> Any:
        return copy.deepcopy(self.data)

    def rows(self) -> Any:
        return as_rows(self.read())


class Federation:
    """Organizations 1, 2, ... with a node each. A node is a dictionary of data sources by label."""

    def __init__(self, nodes: Sequence[Mapping[str, Any]], algorithm: ModuleType | str | None = None) -> None:
        self.organizations = [Organization(number, f"organization-{number}") for number in range(1, len(nodes) + 1)]
        self.progress: list[tuple[int, int]] = []  # (organization id, percent), as reported
        self._nodes = {number: dict(node) for number, node in enumerate(nodes, start=1)}
        self._algorithm = importlib.import_module(algorithm) if isinstance(algorithm, str) else algorithm

    def run(
        self,
        method: str | Callable[..., Any],
        *args: Any,
        at: int = 1,
        data: Sequence[str] | None = None,
        inputs: Mapping[str, Any] | None = None,
        gathered: Mapping[str, Gathered] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The default output of one run at one organization. For the other arguments see `run_for_outputs`."""
        return self.run_for_outputs(method, *args, at=at, data=data, inputs=inputs, gathered=gathered, **kwargs)[
            DEFAULT
        ]

    def run_all(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        """The default outputs of one run at every organization, in their order."""
        return [self.run(method, *args, at=each.id, **kwargs) for each in self.organizations]

    def run_for_outputs(
        self,
        method: str | Callable[..., Any],
        *args: Any,
        at: int = 1,
        data: Sequence[str] | None = None,
        inputs: Mapping[str, Any] | None = None,
        gathered: Mapping[str, Gathered] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """All outputs of one run, by name ("default" is the unnamed one).

        `at`: the organization. `data`: labels that the task asks for (all of the node's, if not told). `inputs`: named
        inputs with one value; `gathered`: those with many, as a list (organization 1 first) or by organization id.
        """
        found = self._find(method)
        order = Order.parse(encode({"method": found.name, "args": args, "kwargs": kwargs}))
        contents = self._perform(found, order, at, data, _index_entries(inputs or {}, gathered or {}))
        return {name: decode(content) for name, content in contents.items()}

    def _find(self, method: str | Callable[..., Any]) -> Method:
        if not isinstance(method, str):
            return method_of(method)
        return method_named(method, self._algorithm) if self._algorithm else method_anywhere(method)

    def _perform(
        self, method: Method, order: Order, at: int, data: Sequence[str] | None, inputs: dict[str, Any]
    ) -> dict[str, bytes]:
        if at not in self._nodes:
            raise OrderError(f"there is no organization {at}: this federation has 1 to {len(self._nodes)}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            outputs_folder = folder / "outputs"
            outputs_folder.mkdir()
            around = Surroundings(
                sources=self._sources(at, data),
                inputs=read_index(_write_inputs(folder / "inputs", inputs)),
                peers=lambda: Peers(PretendDoor(self, at, method, data)),
                report=lambda percent: self.progress.append((at, percent)),
                output_file=folder / "output",
                outputs_folder=outputs_folder,
            )
            perform(method, order, around)
            named = {path.name: path.read_bytes() for path in sorted(outputs_folder.iterdir())}
            return {**named, DEFAULT: around.output_file.read_bytes()}

    def _sources(self, at: int, data: Sequence[str] | None) -> dict[str, PretendSource]:
        node = self._nodes[at]
        if missing := [label for label in data or () if label not in node]:
            raise SourceError(f"organization {at} has no data source '{missing[0]}'")
        return {label: PretendSource(label, node[label]) for label in (node if data is None else data)}


class PretendDoor:
    """Subtasks in memory: run at once, in the order of the organizations asked."""

    def __init__(self, federation: Federation, at: int, parent: Method, data: Sequence[str] | None) -> None:
        self.organization_id = at
        self._federation, self._parent, self._data = federation, parent, data
        self._numbers = itertools.count(1)
        self._contents: dict[int, dict[int, bytes | None]] = {}

    def organizations(self) -> list[Organization]:
        return list(self._federation.organizations)

    def create(
        self, order: bytes, organization_ids: Sequence[int], name: str, data: Sequence[str] | None, image: str | None
    ) -> int:
        parsed = Order.parse(order)
        method = self._method(parsed.method)
        task_id = next(self._numbers)
        self._contents[task_id] = {
            each: self._federation._perform(method, parsed, each, self._data if data is None else data, {})[DEFAULT]
            for each in organization_ids
        }
        return task_id

    def status(self, task_id: int, wait_s: float) -> str:
        return COMPLETED

    def contents(self, task_id: int) -> dict[int, bytes | None]:
        return self._contents[task_id]

    def _method(self, name: str) -> Method:
        """Where a container would look: in the algorithm; without one, beside the function that asks."""
        if self._federation._algorithm is None:
            beside = importlib.import_module(self._parent.function.__module__)
            return method_named(name, beside)
        return method_named(name, self._federation._algorithm)


def _index_entries(inputs: Mapping[str, Any], gathered: Mapping[str, Gathered]) -> dict[str, Any]:
    entries: dict[str, Any] = {name: (False, {1: value}) for name, value in inputs.items()}
    for name, values in gathered.items():
        numbered = values if isinstance(values, Mapping) else dict(enumerate(values, start=1))
        entries[name] = (True, numbered)
    return entries


def _write_inputs(folder: Path, entries: dict[str, Any]) -> Path:
    """INPUTS_FOLDER as a node writes it."""
    folder.mkdir()
    index: dict[str, Any] = {}
    for name, (many, values) in entries.items():
        (folder / name).mkdir()
        items = []
        for number, (organization_id, value) in enumerate(values.items()):
            (folder / name / str(number)).write_bytes(encode(value))
            items.append({"organization_id": organization_id, "file": f"{name}/{number}"})
        index[name] = {"many": many, "items": items}
    (folder / "index.json").write_text(json.dumps(plain(index)), encoding="utf-8")
    return folder
