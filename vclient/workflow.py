"""Workflows in Python: steps, and connections that bring the output of one to the input of another.

    wf = Workflow("mean")
    part = wf.step("part", image, on="all", data=["default"])
    wf.step("finish", image, on="initiator", inputs={"total": gather(part)})

The result is the same document as a YAML or JSON file (`Workflow.load`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vclient.images import ImageRef
from vprotocol.errors import WorkflowInvalid
from vprotocol.messages.orders import Order
from vprotocol.workflow.definition import DEFAULT_OUTPUT, Delegate
from vprotocol.workflow.definition import Workflow as Definition
from vprotocol.workflow.patterns import Pattern
from vruntime.yaml_source import YamlInvalid, read_yaml

Image = str | ImageRef
Where = str | int | Sequence[str | int]


@dataclass(frozen=True)
class OutputRef:
    """A named output of a step."""

    step: str
    name: str = DEFAULT_OUTPUT


@dataclass(frozen=True)
class StepRef:
    """A step that was added; `step["model"]` is its output of that name."""

    name: str

    def __getitem__(self, output: str) -> OutputRef:
        return OutputRef(self.name, output)


@dataclass(frozen=True)
class Source:
    """What an input is fed from, and how."""

    output: OutputRef
    pattern: Pattern


def gather(source: StepRef | OutputRef) -> Source:
    """Every organization's output, as a list, at the one organization that consumes."""
    return Source(_output(source), Pattern.GATHER)


def broadcast(source: StepRef | OutputRef) -> Source:
    """The one producing organization's output, the same for everybody who consumes."""
    return Source(_output(source), Pattern.BROADCAST)


def order(method: str, *args: Any, **kwargs: Any) -> Order:
    """What a step is to run: method and arguments, which travel sealed."""
    return Order(method, args, kwargs)


class Workflow:
    """A workflow that is being put together."""

    def __init__(self, name: str, *, priority: int = 5, labels: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._document: dict[str, Any] = {
            "name": name,
            "steps": {},
            "connections": [],
            "priority": priority,
            "labels": dict(labels or {}),
        }
        self.images: dict[str, str | ImageRef] = {}
        self.finals: dict[str, tuple[str, ...]] = {}

    def step(
        self,
        name: str,
        image: Image,
        *,
        on: Where = "all",
        data: Sequence[str] = (),
        inputs: Mapping[str, Source] | None = None,
        after: Sequence[StepRef] = (),
        tags: Sequence[str] = (),
        timeout: int | str | None = None,
        memory: int | str | None = None,
        output: int | str | None = None,
        scratch: int | str | None = None,
        attempts: int | None = None,
        needs: int | str | None = None,
        fail: str | None = None,
        trigger: str | None = None,
        delegate: bool | Delegate = False,
        final: Sequence[str] | None = None,
    ) -> StepRef:
        """Add a step.

        :param inputs: input name → `gather(step)` or `broadcast(step)`.
        :param after: steps that must have ended before, without giving data.
        :param timeout: seconds, or `"10m"`; memory, output and scratch: bytes, or `"4GiB"`.
        :param final: outputs that the initiator opens; by default those of steps that feed no other.
        :raises WorkflowInvalid: the name is taken.
        """
        if name in self._document["steps"]:
            raise WorkflowInvalid(f"two steps are called `{name}`")
        if isinstance(image, ImageRef):
            self.images[str(image)] = image
        settings: dict[str, Any] = {
            "image": str(image),
            "on": on if isinstance(on, str) else [on] if isinstance(on, int) else list(on),
            "data": list(data),
            "requires": {"tags": list(tags)},
            "timeout": timeout,
            "memory": memory,
            "output": output,
            "scratch": scratch,
            "retry": None if attempts is None else {"attempts": attempts},
            "needs": needs,
            "fail": fail,
            "trigger": trigger,
            "delegate": delegation(delegate),
        }
        self._document["steps"][name] = {key: value for key, value in settings.items() if value is not None}
        for input_name, source in (inputs or {}).items():
            self._connect(source.output, f"{name}.{input_name}", source.pattern)
        for earlier in after:
            self._connect(OutputRef(earlier.name), name, Pattern.NONE)
        if final is not None:
            self.finals[name] = tuple(final)
        return StepRef(name)

    def definition(self) -> Definition:
        """The workflow as a document.

        :raises WorkflowInvalid: with the places and what is wrong there.
        """
        return Definition.parse(self._document)

    @classmethod
    def parse(cls, document: Any) -> Self:
        """From decoded YAML or JSON.

        :raises WorkflowInvalid: with the places and what is wrong there.
        """
        checked = Definition.parse(document)
        made = cls(checked.name)
        made._document = {**document, "steps": dict(document["steps"])}
        made._document["connections"] = list(document.get("connections", ()))
        return made

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """From a YAML or JSON file.

        :raises WorkflowInvalid: with the places and what is wrong there.
        """
        try:
            return cls.parse(read_yaml(Path(path)).data)
        except YamlInvalid as error:
            raise WorkflowInvalid(str(error), hint=error.hint) from None
        except WorkflowInvalid as error:
            raise WorkflowInvalid(f"{path}: {error}", hint=error.hint) from None

    def _connect(self, source: OutputRef, target: str, pattern: Pattern) -> None:
        origin = source.step if pattern is Pattern.NONE else f"{source.step}.{source.name}"
        self._document["connections"].append({"from": origin, "to": target, "pattern": pattern.value})


def delegation(delegate: bool | Delegate | None) -> dict[str, Any] | None:
    """What a step may delegate, as it stands in a document; `True` means the usual bounds."""
    if not delegate:
        return None
    chosen = Delegate() if delegate is True else delegate
    return chosen.model_dump(mode="json", exclude_none=True)


def _output(source: StepRef | OutputRef) -> OutputRef:
    return OutputRef(source.name) if isinstance(source, StepRef) else source
