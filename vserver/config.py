"""The hub's configuration file, as one frozen model. Everything has a default: an empty file is a working hub."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vruntime.config import ConfigModel

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]
MIB = 1024 * 1024


class PasswordCost(ConfigModel):
    """What one Argon2id computation costs the hub, and therefore whoever guesses."""

    memory_kib: Annotated[int, Field(ge=64, le=4 * 1024 * 1024)] = 19 * 1024
    iterations: Annotated[int, Field(ge=1, le=100)] = 2
    at_once: Annotated[int, Field(ge=1, le=1024)] = 16  # running or waiting; later ones are told to come again


class Limits(ConfigModel):
    body_bytes: Annotated[int, Field(ge=1024)] = 16 * MIB  # of a JSON request; payload segments have their own
    login_burst: Annotated[int, Field(ge=1)] = 20
    logins_per_s: Annotated[float, Field(gt=0)] = 0.5
    write_burst: Annotated[int, Field(ge=1)] = 5_000
    writes_per_s: Annotated[float, Field(gt=0)] = 1_000.0
    held_requests: Annotated[int, Field(ge=1)] = 10_000


class Settings(ConfigModel):
    """`vserver new` writes this with comments."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = 7600
    public_url: str | None = Field(None, description="how others reach the hub, if a proxy stands in front of it")
    proxies: Annotated[int, Field(ge=0, le=10, description="trusted reverse proxies in front of the hub")] = 0
    database: str | None = Field(None, description="SQLAlchemy URL; default: hub.sqlite in the data folder")
    durable: bool = Field(True, description="sync to disk at each commit; false is for tests only")
    data_folder: Path | None = Field(None, description="default: where `vserver files` says")
    log_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    record_requests: Path | None = Field(None, description="append every request with its body to this file")
    access_token_s: Seconds = 15 * 60
    refresh_token_s: Seconds = 14 * 86_400
    first_administrator_code_s: Seconds = 86_400
    lease_s: Seconds = 60.0
    longest_wait_s: Seconds = 20.0  # of a held request; nodes ask for at most a third of the lease
    node_online_s: Seconds = 60.0  # a node that has synced within this time is online
    stop_within_s: Seconds = 20.0
    password: PasswordCost = PasswordCost()
    limits: Limits = Limits()

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must start with https:// (or http://)")
        return url.rstrip("/") if url else url

    @model_validator(mode="after")
    def _waits_fit_leases(self) -> "Settings":
        if self.longest_wait_s > self.lease_s / 3:
            raise ValueError("longest_wait_s must be at most a third of lease_s, or leases end while nodes wait")
        return self

    @property
    def folder(self) -> Path:
        """Where the hub keeps its database and payloads; the caller that loads the file sets `data_folder`."""
        if self.data_folder is None:
            raise ValueError("data_folder is not set")
        return self.data_folder

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.folder / 'hub.sqlite'}"

    @property
    def payload_folder(self) -> Path:
        return self.folder / "payloads"
