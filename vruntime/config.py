"""Configuration files: YAML in, a frozen pydantic model out, or one error that lists everything that is wrong.

Each problem names file, line, key, reason and remedy, and all of them are found before anything starts. `${NAME}` in
any value is replaced by that environment variable; `$${` stands for a literal `${`.
"""

import difflib
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from vprotocol.errors import ConfigInvalid
from vruntime.contexts import Environment, choose_environment, environments_of
from vruntime.yaml_source import Document, Place, YamlInvalid, parse_yaml, read_yaml

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What pydantic calls it, and what a data holder reads: the reason and the remedy.
_REASONS = {
    "string_type": ("must be a text", "Put the value between quotes."),
    "int_type": ("must be a whole number", "Write a number such as 4."),
    "int_parsing": ("must be a whole number", "Write a number such as 4."),
    "int_from_float": ("must be a whole number", "Write a number such as 4."),
    "float_type": ("must be a number", "Write a number such as 0.5."),
    "float_parsing": ("must be a number", "Write a number such as 0.5."),
    "bool_type": ("must be true or false", "Write true or false."),
    "bool_parsing": ("must be true or false", "Write true or false."),
    "list_type": ("must be a list", "Write [a, b], or one item a line, each after a dash."),
    "tuple_type": ("must be a list", "Write [a, b], or one item a line, each after a dash."),
    "set_type": ("must be a list", "Write [a, b], or one item a line, each after a dash."),
    "frozen_set_type": ("must be a list", "Write [a, b], or one item a line, each after a dash."),
    "dict_type": ("must be a mapping", "Write `key: value` lines, indented below it."),
    "mapping_type": ("must be a mapping", "Write `key: value` lines, indented below it."),
    "model_type": ("must be a mapping", "Write `key: value` lines, indented below it."),
    "model_attributes_type": ("must be a mapping", "Write `key: value` lines, indented below it."),
    "path_type": ("must be a path", "Write the path of a file or folder."),
    "path_not_file": ("there is no such file", "Correct the path, or make the file."),
    "path_not_directory": ("there is no such folder", "Correct the path, or make the folder."),
    "path_exists": ("exists already", "Choose another path."),
}


class ConfigModel(BaseModel):
    """Base of every configuration model: frozen, and a key it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration."""

    file: str
    line: int
    key: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        what = f"{self.key}: {self.reason}" if self.key else self.reason
        return f"{where}: {what}. {self.remedy}".rstrip()


def load(
    path: Path,
    model: type[Model],
    *,
    environment: Environment | str | None = None,
    env: Mapping[str, str] | None = None,
) -> Model:
    """Read `path` as a `model`; `ConfigInvalid` lists every problem at once.

    Validators of the model get `info.context["folder"]`, the folder of the file, for paths relative to it.
    """
    try:
        document = read_yaml(path)
    except YamlInvalid as error:
        raise _unreadable(path, error) from error
    return parse(document, model, environment=environment, env=env, folder=path.parent)


def loads(text: str, model: type[Model], *, source: str = "text", env: Mapping[str, str] | None = None) -> Model:
    """Like `load`, for a text."""
    try:
        document = parse_yaml(text, source)
    except YamlInvalid as error:
        raise _unreadable(Path(source), error) from error
    return parse(document, model, env=env)


def parse(
    document: Document,
    model: type[Model],
    *,
    environment: Environment | str | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Model:
    """Turn a document that was read into a `model`."""
    chosen = choose_environment(environments_of(document.data), environment, Path(document.source))
    root: Place = (str(chosen),) if isinstance(document.data, dict) and _is_divided(document.data) else ()
    substitution = _Substitution(document, os.environ if env is None else env)
    data = substitution.apply(document.data[root[0]] if root else document.data, root)
    problems = list(substitution.problems)
    try:
        # An empty file is a mapping without keys, so that the missing ones are named.
        parsed = model.model_validate({} if data is None else data, context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        broken = substitution.places
        problems += _problems(document, model, root, error, broken)
        raise _invalid(document.source, problems) from None  # the original holds values, which may be secret
    if problems:
        raise _invalid(document.source, problems)
    return parsed


def config_invalid(source: str | Path, key: str, reason: str, remedy: str, *, line: int = 1) -> ConfigInvalid:
    """The same error for what only a program can find out, such as a key file that does not open."""
    return _invalid(str(source), [Problem(str(source), line, key, reason, remedy)])


def _is_divided(data: dict[str, Any]) -> bool:
    return environments_of(data) != (Environment.PLAIN,) or set(data) == {str(Environment.PLAIN)}


def _invalid(source: str, problems: list[Problem]) -> ConfigInvalid:
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.key))
    if len(ordered) == 1:
        only = ordered[0]
        message = str(Problem(only.file, only.line, only.key, only.reason, ""))
        hint = only.remedy
    else:
        listed = "".join(f"\n  {problem}" for problem in ordered)
        message, hint = f"{source} has {len(ordered)} problems:{listed}", ConfigInvalid.hint or ""
    return ConfigInvalid(message, hint=hint, fields={"problems": [asdict(problem) for problem in ordered]})


def _unreadable(path: Path, error: YamlInvalid) -> ConfigInvalid:
    line = error.fields.get("line", 1)
    reason = str(error).removeprefix(f"{path}:{line}: ").rstrip(".")
    problem = Problem(str(path), line, "", reason, error.hint or "")
    return ConfigInvalid(str(error), hint=error.hint, fields={"problems": [asdict(problem)]})


class _Substitution:
    """Puts environment variables into values and remembers the places where one was missing."""

    def __init__(self, document: Document, env: Mapping[str, str]) -> None:
        self._document = document
        self._env = env
        self.problems: list[Problem] = []
        self.places: set[Place] = set()

    def apply(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return {key: self.apply(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item, (*place, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _VARIABLE.sub(lambda match: self._variable(match, place), value)
        return value

    def _variable(self, match: re.Match[str], place: Place) -> str:
        name = match[1]
        if name is None:
            return "${"
        if not _VARIABLE_NAME.fullmatch(name):
            self._problem(place, f"${{{name}}} does not name an environment variable", "Write ${NAME}, or $${ for ${.")
            return ""
        if name not in self._env:
            self._problem(
                place, f"the environment variable {name} is not set", f"Set {name} before starting, or write the value."
            )
            return ""
        return self._env[name]

    def _problem(self, place: Place, reason: str, remedy: str) -> None:
        self.places.add(place)
        self.problems.append(Problem(self._document.source, self._document.line(place), _key(place), reason, remedy))


def _problems(
    document: Document, model: type[BaseModel], root: Place, error: ValidationError, broken: set[Place]
) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False):
        place, within = _place(document, root, detail["loc"]), tuple(detail["loc"])
        if any(place[: len(one)] == one for one in broken):
            continue  # its variable is missing: said already
        reason, remedy = _reason(detail, model, within)
        line = document.line(place)
        yield Problem(document.source, line, _key(place[len(root) :]), reason, remedy)


def _place(document: Document, root: Place, location: tuple[int | str, ...]) -> Place:
    """The place in the file; pydantic's location also holds names of union members, which are not in it."""
    place = root
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if (*place, step) in document.lines or (last and isinstance(step, str) and _looks_like_key(step)):
            place = (*place, step)
    return place


def _looks_like_key(step: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]+", step) is not None and step not in {"str", "int", "float", "bool", "none"}


def _key(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _reason(detail: ErrorDetails, model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "there is no such key", _did_you_mean(str(location[-1]), _keys_at(model, location[:-1]))
    if kind == "missing":
        return "is missing", _describe_missing(model, location)
    if kind in ("literal_error", "enum"):
        expected = str(detail.get("ctx", {}).get("expected", "one of the known values"))
        return f"must be {expected}", "Write one of these."
    if kind in _REASONS:
        return _REASONS[kind]
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be").replace("Input should", "must").rstrip(".")
    return message, "Correct the value."


def _did_you_mean(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known keys here: {', '.join(sorted(known))}." if known else "Remove it."


def _describe_missing(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    key = str(location[-1])
    for parent in _models_at(model, location[:-1]):
        field = parent.model_fields.get(key)
        if field is not None and field.description:
            return f"Add `{key}:` ({field.description.rstrip('.')})."
    return f"Add `{key}:`."


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    names: list[str] = []
    for parent in _models_at(model, location):
        names += [field.alias or name for name, field in parent.model_fields.items()]
    return list(dict.fromkeys(names))


def _models_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The models that may stand at `location`; steps that name a union's member are passed over."""
    current: list[Any] = [model]
    for step in location:
        inner = [found for one in current for found in _step_into(one, step)]
        current = inner or [one for one in current if _is_called(one, step)] or current
    return [one for one in current if isinstance(one, type) and issubclass(one, BaseModel)]


def _is_called(kind: Any, step: int | str) -> bool:
    """Whether pydantic means this member of a union by `step`: by its class or by the value that tells them apart."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    values = [value for field in kind.model_fields.values() for value in typing.get_args(field.annotation)]
    return kind.__name__ == step or step in values


def _step_into(kind: Any, step: int | str) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step in (name, field.alias):
                return _members(field.annotation)
        return []
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (list, tuple, set, frozenset) or (isinstance(step, int) and arguments):
        return _members(arguments[0]) if arguments else []
    return _members(arguments[1]) if len(arguments) == 2 else []


def _members(annotation: Any) -> list[Any]:
    """The types an annotation allows, with Annotated, Optional and unions taken apart."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [member for one in typing.get_args(annotation) for member in _members(one)]
    return [] if annotation is type(None) else [annotation]
