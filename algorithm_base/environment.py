"""What a node tells a container through its environment, parsed once.

Values are base32 of the UTF-8 text with `=` written `!`, or plain. Which of the two is decided once for the whole
container, by a value that cannot be both: INPUT_FILE is a path, and a path has a `/`, which base32 does not. Guessing
for each value apart would corrupt a plain `PASSWORD`, which is legal base32.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from algorithm_base.data import DataSource
from algorithm_base.errors import ContractError, SourceError


class Environment:
    """Variables with their encoding undone."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._encoded = _from_base32(variables.get("INPUT_FILE", "")) is not None

    def get(self, name: str) -> str | None:
        value = self._variables.get(name)
        if value is None or not self._encoded:
            return value
        decoded = _from_base32(value)
        return value if decoded is None else decoded  # an image's own ENV lines stay plain in an encoded container

    def require(self, name: str) -> str:
        value = self.get(name)
        if not value:
            raise ContractError(f"the variable {name} is not set: start this container through a node")
        return value

    def folder(self, name: str) -> Path | None:
        value = self.get(name)
        return Path(value) if value else None

    def starting_with(self, prefix: str) -> dict[str, str]:
        """Every variable under a prefix, by the rest of its name."""
        return {name.removeprefix(prefix): self.get(name) or "" for name in self._variables if name.startswith(prefix)}


@dataclass(frozen=True)
class ProxyAddress:
    """Where the node's proxy listens and the file with the token that it accepts."""

    url: str
    token_file: Path


@dataclass(frozen=True)
class Container:
    """One run's files, data sources and proxy."""

    input_file: Path
    output_file: Path
    inputs_folder: Path | None
    outputs_folder: Path | None
    proxy: ProxyAddress | None
    sources: dict[str, DataSource]

    @classmethod
    def from_environment(cls, environment: Environment) -> "Container":
        return cls(
            input_file=Path(environment.require("INPUT_FILE")),
            output_file=Path(environment.require("OUTPUT_FILE")),
            inputs_folder=environment.folder("INPUTS_FOLDER"),
            outputs_folder=environment.folder("OUTPUTS_FOLDER"),
            proxy=_proxy(environment),
            sources={label: _source(environment, label) for label in _labels(environment)},
        )


def setting(name: str, default: str | None = None) -> str | None:
    """A value that the data holder set for algorithms (`algorithm_env` in the node's file), or `default`."""
    value = Environment(os.environ).get(name)
    return default if value is None else value


def _from_base32(value: str) -> str | None:
    if not value:
        return None
    try:
        return base64.b32decode(value.replace("!", "=")).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _proxy(environment: Environment) -> ProxyAddress | None:
    host, port, token_file = (environment.get(name) for name in ("HOST", "PORT", "TOKEN_FILE"))
    if not (host and port and token_file):
        return None
    return ProxyAddress(f"{host}:{port}{environment.get('API_PATH') or ''}", Path(token_file))


def _labels(environment: Environment) -> list[str]:
    return [
        label.strip() for label in (environment.get("USER_REQUESTED_DATABASE_LABELS") or "").split(",") if label.strip()
    ]


def _source(environment: Environment, label: str) -> DataSource:
    prefix = label.upper()
    uri, kind = environment.get(f"{prefix}_DATABASE_URI"), environment.get(f"{prefix}_DATABASE_TYPE")
    if not uri or not kind:
        raise ContractError(f"the data source '{label}' was asked for and not passed: check the node's file")
    if (environment.get(f"{prefix}_PREPROCESSING") or "[]").strip() not in ("[]", "null"):
        # Ignoring it would analyse rows that somebody meant to leave out.
        raise SourceError(f"the data source '{label}' asks for preprocessing, which this SDK does not do")
    return DataSource(
        label=label,
        type=kind.lower(),
        uri=uri,
        query=environment.get(f"{prefix}_QUERY"),
        sheet=environment.get(f"{prefix}_SHEET_NAME"),
        params=environment.starting_with(f"{prefix}_DB_PARAM_"),
    )
