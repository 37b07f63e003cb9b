"""Named inputs of a workflow step: files in a folder with an index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algorithm_base.errors import InputError
from algorithm_base.outputs import decode
from algorithm_base.parameters import MISSING, InputForm, NamedInput


@dataclass(frozen=True)
class Item:
    """What one organization's step produced."""

    organization_id: int
    path: Path

    def read(self, form: InputForm) -> Any:
        if form == "path":
            return self.path
        content = self.path.read_bytes()
        return content if form == "bytes" else decode(content)


@dataclass(frozen=True)
class Input:
    is_many: bool
    items: tuple[Item, ...]


def read_index(folder: Path | None) -> dict[str, Input]:
    """`index.json` of INPUTS_FOLDER: every named input that is connected."""
    if folder is None:
        return {}
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return {
        name: Input(
            entry["many"], tuple(Item(item["organization_id"], folder / item["file"]) for item in entry["items"])
        )
        for name, entry in index.items()
    }


def fill(wish: NamedInput, connected: dict[str, Input]) -> Any:
    """The value of one parameter."""
    found = connected.get(wish.name)
    if found is None or not (found.items or found.is_many):
        if wish.default is MISSING:
            raise InputError(f"nothing is connected to the input '{wish.name}' of this step")
        return wish.default
    if wish.by_organization:
        return {item.organization_id: item.read(wish.form) for item in found.items}
    if found.is_many:
        return [item.read(wish.form) for item in found.items]
    if len(found.items) != 1:
        raise InputError(f"the input '{wish.name}' takes one value and got {len(found.items)}")
    return found.items[0].read(wish.form)
