"""YAML read so that every value still knows its line.

Read by the rules of YAML 1.2: `on`, `yes` and `no` are texts (a workflow has a key `on`), `012` and `1:30` are not
numbers in disguise, dates stay texts. Keys are texts. Duplicate keys are refused.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vprotocol.errors import BadRequest

Place = tuple[str | int, ...]
MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})|0o[0-7]{1,99}|0x[0-9a-fA-F]{1,99}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


# `${NAME}` without quotes is no YAML inside {...}, and everybody writes it there: while YAML is read its braces are two
# characters that mean nothing to it.
_VARIABLE = re.compile(r"\$\{([^{}\n]*)\}")
_OPEN, _CLOSE = "\ue000", "\ue001"


class YamlInvalid(BadRequest):
    """The file is not valid YAML."""

    code = "yaml_invalid"
    hint = "Mend the line that is named."


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text holds, and where: `line(("policy", "max"))` is the line of that key."""

    source: str
    data: Any
    lines: dict[Place, int] = field(repr=False)

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest thing around it that is in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_yaml(path: Path) -> Document:
    """Read a file; `YamlInvalid` names the file and the line of what is wrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlInvalid(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check the path and who may read the file."
        ) from error
    if len(raw) > MAX_BYTES:
        raise YamlInvalid(f"{path} is larger than {MAX_BYTES} bytes.", hint="This cannot be the right file.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise YamlInvalid(f"{path}:{line}: not UTF-8 text.", hint="Save the file as UTF-8.") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str = "text") -> Document:
    """Parse one YAML (or JSON) document."""
    try:
        node = yaml.compose(_VARIABLE.sub(f"{_OPEN}\\1{_CLOSE}", text), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = (error.problem or "this cannot be read").strip()
        raise YamlInvalid(f"{source}:{line}: {what}.", hint=_hint(what), fields={"line": line}) from error
    except yaml.YAMLError as error:  # a character that YAML forbids has a position and no line
        position = getattr(error, "position", 0)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else 1
        raise YamlInvalid(f"{source}:{line}: a character that YAML does not allow.", fields={"line": line}) from error
    except RecursionError as error:
        raise YamlInvalid(f"{source}: nested too deeply.") from error
    reading = _Reading(source)
    data = reading.value(node, ()) if node is not None else None
    return Document(source, data, reading.lines)


def _hint(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "Indent with spaces, not with tabs."
    if "mapping values are not allowed" in problem or "expected <block end>" in problem:
        return "Check the indentation, and put texts that contain ': ' between quotes."
    return "Mend the line that is named."


class _Reading:
    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0
        self._open: set[int] = set()
        self.lines: dict[Place, int] = {}

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:  # aliases of aliases: a small file may unfold into billions of values
            raise self._invalid(node, "this unfolds into too many values")
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._invalid(node, "an alias contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            return {key: self.value(item, (*place, key)) for key, item in self._pairs(node, place)}
        finally:
            self._open.remove(id(node))

    def _pairs(self, node: yaml.Node, place: Place) -> Iterator[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key_node, item in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._invalid(key_node, "a key must be a text")
            key, line = _restored(key_node.value), key_node.start_mark.line + 1
            if key == "<<" and key_node.style is None:
                raise self._invalid(key_node, "merge keys (<<) are not supported; write the settings out")
            if key in seen:
                raise self._invalid(key_node, f"the key {key} stands here a second time (first in line {seen[key]})")
            seen[key] = line
            self.lines[(*place, key)] = line
            yield key, item

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = _restored(node.value)
        if node.tag.startswith("!") or node.tag == "tag:yaml.org,2002:binary":
            raise self._invalid(node, f"the tag {node.tag} is not supported")
        return text if node.style is not None else plain_value(text)

    def _invalid(self, node: yaml.Node, what: str) -> YamlInvalid:
        line = node.start_mark.line + 1
        return YamlInvalid(f"{self._source}:{line}: {what}.", fields={"line": line})


def _restored(text: str) -> str:
    return text.replace(_OPEN, "${").replace(_CLOSE, "}")


def plain_value(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means in YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
