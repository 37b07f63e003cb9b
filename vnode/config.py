"""The data holder's file. Everything a node may do stands here, and nothing of it comes from the hub."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from vprotocol.ids import HEX_128, Fingerprint, KeyId, Label, Name128
from vprotocol.workflow.definition import seconds, size
from vruntime.config import ConfigModel
from vruntime.trust_store import TrustLevel

ANY: Literal["any"] = "any"


def _seconds(value: Any) -> Any:
    read = seconds(value)
    if isinstance(read, str):
        raise ValueError("is no time; write 90s, 10m, 1h or 7d")
    return read


def _bytes(value: Any) -> Any:
    read = size(value)
    if isinstance(read, str):
        raise ValueError("is no size; write 512MiB or 4GiB")
    return read


def _address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s]+", value):
        raise ValueError("an address starts with https:// (or http://) and has no blank")
    return value


def _node_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,40}", value):
        raise ValueError("a node's name has small letters, digits, '_', '.' or '-', at most 41: such as hospital-a")
    return value


def _names(value: Any) -> Any:
    listed = isinstance(value, list | tuple) and all(isinstance(one, str) and HEX_128.fullmatch(one) for one in value)
    if value != ANY and not listed:
        raise ValueError("must be any, or a list of names of 32 hex digits each (`vclient collaborations` shows them)")
    return value


Grants = Annotated[tuple[Name128, ...] | Literal["any"], BeforeValidator(_names)]
Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path.cwd())
    return (Path(folder) / path.expanduser()).absolute()


FilePath = Annotated[Path, AfterValidator(_beside_the_file)]


class HubSettings(ConfigModel):
    url: Annotated[str, AfterValidator(_address)]
    api_key: Annotated[str, Field(min_length=16, repr=False)]
    ca_bundle: FilePath | None = None
    proxies: dict[str, str] = Field(default_factory=dict)


class DataSource(ConfigModel):
    """A named data set and who may use it. Nobody may, unless a grant says so."""

    label: Label
    type: Literal["csv", "tsv", "parquet", "excel", "sql", "folder", "other"]  # sql: an SQLite file
    path: FilePath
    query: str | None = None
    sheet_name: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict, repr=False)
    collaborations: Grants = ()
    projects: Grants = ()
    open: bool = False  # public or synthetic: may be used without isolation
    describe: Literal["none", "schema"] = "none"
    seen_at: FilePath | None = None  # where a node in a container reads it; written by `vnode start` only

    @model_validator(mode="after")
    def _is_granted(self) -> Self:
        if not self.collaborations and not self.projects:
            raise ValueError("grant it to `collaborations` or `projects` by their names, or write `any`")
        return self


class MaxLimits(ConfigModel):
    memory: Bytes = 4 * 2**30
    cpus: Annotated[float, Field(gt=0, le=1024)] = 2.0
    time: Seconds = 3600
    output: Bytes = 2**30
    scratch: Bytes = 16 * 2**30
    pids: Annotated[int, Field(ge=8, le=100_000)] = 256


class Policy(ConfigModel):
    """What runs here. An empty list allows nothing; leaving a key out allows everything that the others allow."""

    encrypted_only: bool = True
    trust: TrustLevel = TrustLevel.VERIFIED
    images: tuple[str, ...] | None = None  # patterns: NAME, or NAME@sha256:DIGEST, with * for any text
    organizations: tuple[Fingerprint, ...] | None = None  # whose people may ask
    users: tuple[KeyId, ...] | None = None
    functions: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # image pattern: methods
    max: MaxLimits = MaxLimits()
    downloads: Literal["allow", "none"] = "allow"
    logs: Literal["on failure", "never"] = "on failure"
    profiles: dict[str, Literal["strict", "compat"]] = Field(default_factory=dict)  # image pattern: profile


class ProcessImageSettings(ConfigModel):
    """What stands for an image with the executor `process`: a package in a folder or wheel."""

    name: str
    package: str
    path: FilePath


class NodeSettings(ConfigModel):
    name: Annotated[str, AfterValidator(_node_name)]
    hub: HubSettings
    organization: Annotated[str | None, Field(max_length=200)] = None  # its name in a new identity
    private_key: FilePath | None = None  # the organization key
    node_key: FilePath | None = None
    executor: Literal["docker", "process"] = "docker"
    max_runs: Annotated[int, Field(ge=1, le=256)] = 4
    tags: tuple[str, ...] = ()
    data_sources: tuple[DataSource, ...] = ()
    policy: Policy = Policy()
    algorithm_env: dict[str, str] = Field(default_factory=dict, repr=False)
    env_encoding: dict[str, Literal["base32", "plain"]] = Field(default_factory=dict)  # image pattern: encoding
    network_pool: str = "10.213.0.0/16"
    image: str = "vestal"  # the node's own image; relay and probe use it too
    process_images: tuple[ProcessImageSettings, ...] = ()
    max_key_log_age: Seconds = 7 * 86_400
    min_suite: Literal[1, 2] = 2
    drain: Seconds = 30  # how long a stop waits for running algorithms

    @field_validator("data_sources")
    @classmethod
    def _labels_once(cls, value: tuple[DataSource, ...]) -> tuple[DataSource, ...]:
        labels = [source.label.lower() for source in value]  # they become variables in upper case
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two data sources have the label {twice[0]}")
        return value

    @model_validator(mode="after")
    def _process_needs_open_data(self) -> Self:
        closed = [source.label for source in self.data_sources if not source.open]
        if self.executor == "process" and closed:
            raise ValueError(
                f"the executor `process` isolates nothing: {', '.join(closed)} must be marked `open: true`, "
                "which is for public or synthetic data only"
            )
        return self

    def source(self, label: str) -> DataSource | None:
        return next((source for source in self.data_sources if source.label == label), None)


def pattern_matches(pattern: str, name: str, digest: str) -> bool:
    """Whether an image pattern means this image. `*` stands for any text; a digest in the pattern must be equal."""
    wanted, _, wanted_digest = pattern.partition("@")
    if wanted_digest and wanted_digest not in ("sha256:*", "*") and wanted_digest != digest:
        return False
    return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), name) is not None


def first_match(table: dict[str, Any], name: str, digest: str) -> Any:
    """The value of the first pattern that means this image, or none."""
    return next((value for pattern, value in table.items() if pattern_matches(pattern, name, digest)), None)
