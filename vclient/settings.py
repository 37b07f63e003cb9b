"""The client's configuration (a context), and where a client keeps what it must remember."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from vprotocol.keylog import DEFAULT_MAX_HEAD_AGE_S
from vruntime.config import ConfigModel, load
from vruntime.contexts import Context, Kind, Level, find, folders, listing
from vruntime.trust_store import TrustLevel

MinSuite = Literal[0, 1, 2]


class HubSettings(ConfigModel):
    url: str = Field(description="where the hub is")
    ca_bundle: Path | None = Field(None, description="own certificates, behind an inspecting proxy")
    proxies: dict[str, str] = Field(default_factory=dict)


class CollaborationSettings(ConfigModel):
    """What holds for one collaboration only, by its 32 hex digits."""

    min_suite: MinSuite = 2


class ClientSettings(ConfigModel):
    """A client's file. Nothing in it is secret."""

    hub: HubSettings
    username: str | None = None
    trust: TrustLevel = TrustLevel.UNVERIFIED  # least level of whoever is named in a plan
    first_contact: bool = Field(False, description="accept new members without asking; they stay unverified")
    min_suite: MinSuite = 2
    collaborations: dict[str, CollaborationSettings] = Field(default_factory=dict)
    max_key_log_age_s: Annotated[int, Field(ge=60)] = DEFAULT_MAX_HEAD_AGE_S

    def suite_for(self, collaboration: str) -> int:
        """The weakest suite that is accepted in this collaboration."""
        own = self.collaborations.get(collaboration)
        return self.min_suite if own is None else own.min_suite


@dataclass(frozen=True)
class Places:
    """The files of one client, all in one folder that only its owner may look into."""

    folder: Path

    @property
    def user_key(self) -> Path:
        return self.folder / "keys" / "user.key"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.json"

    @property
    def trust_store(self) -> Path:
        return self.folder / "trust.json"

    @property
    def members(self) -> Path:
        return self.folder / "members.json"


def name_for(url: str) -> str:
    """The name of the context that belongs to a hub's address."""
    parts = urlsplit(url)
    plain = re.sub(r"[^a-z0-9]+", "-", f"{parts.netloc}{parts.path}".lower()).strip("-")
    return plain[:60].strip("-") or "hub"


def folder_for(url: str) -> Path:
    """Where the client of this hub keeps its things, unless told otherwise."""
    return folders(Kind.CLIENT, Level.USER).data / name_for(url) / "plain"


def settings_for(url: str) -> ClientSettings:
    """The settings of this hub's context if there is a file, else the usual ones."""
    path = folders(Kind.CLIENT, Level.USER).config / f"{name_for(url)}.yaml"
    return load(path, ClientSettings) if path.is_file() else ClientSettings(hub=HubSettings(url=url))


def context_named(name: str | None) -> tuple[ClientSettings, Context] | None:
    """A context by name, or the only one there is; None when none or several are there and none is named."""
    if name is None:
        known = listing(Kind.CLIENT)
        if len(known) != 1:
            return None
        name = known[0].name
    context = find(Kind.CLIENT, name)
    return load(context.config_file, ClientSettings, environment=context.environment), context
