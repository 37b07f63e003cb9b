"""Where configurations, data and logs live, and which environments a configuration file holds.

    LEVEL/config/KIND/NAME.yaml     LEVEL/data/KIND/NAME/ENVIRONMENT/     LEVEL/log/KIND/NAME/ENVIRONMENT/

At user level these are the folders that `appdirs` names for the person; at system level those of the machine.
`VESTAL_HOME` moves both levels into one folder, for tests and for the demo.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import appdirs

from vprotocol.errors import AlreadyExists, ConfigInvalid, NotFound, UsageError
from vruntime.yaml_source import YamlInvalid, read_yaml

APPLICATION = "vestal"
HOME_VARIABLE = "VESTAL_HOME"
SUFFIX = ".yaml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Kind(StrEnum):
    """What a configuration is for."""

    NODE = "node"
    SERVER = "server"
    CLIENT = "client"


class Level(StrEnum):
    """Whose configuration it is."""

    USER = "user"
    SYSTEM = "system"


class Environment(StrEnum):
    """One of the settings a file may hold; `PLAIN` is a file without environments."""

    PROD = "prod"
    ACC = "acc"
    TEST = "test"
    DEV = "dev"
    PLAIN = "plain"


USUAL_LEVEL = {Kind.NODE: Level.USER, Kind.SERVER: Level.SYSTEM, Kind.CLIENT: Level.USER}


class ContextNotFound(NotFound):
    """There is no configuration of this name."""

    code = "context_not_found"
    hint = "`list` shows the configurations that exist, `new` makes one."


class EnvironmentNeeded(UsageError):
    """The configuration does not say which environment is meant."""

    code = "environment_needed"


class NameInvalid(UsageError):
    """A name has small letters, digits, - and _ only, starts with a letter or digit and has at most 63 of them."""

    code = "name_invalid"
    hint = "Choose a name such as hospital-a; containers and volumes are named after it."


@dataclass(frozen=True, slots=True)
class Folders:
    """The three roots of one kind at one level."""

    config: Path
    data: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Context:
    """One environment of one configuration and its places on disk (which need not exist yet)."""

    kind: Kind
    level: Level
    name: str
    environment: Environment
    config_file: Path
    data_folder: Path
    log_folder: Path


@dataclass(frozen=True, slots=True)
class Listed:
    """A configuration file that was found, with its environments or with what is wrong with it."""

    kind: Kind
    level: Level
    name: str
    config_file: Path
    environments: tuple[Environment, ...]
    problem: str | None = None


def folders(kind: Kind, level: Level, *, env: Mapping[str, str] | None = None) -> Folders:
    """Where things of `kind` live at `level`."""
    home = (os.environ if env is None else env).get(HOME_VARIABLE)
    if home:
        root = Path(home).expanduser().absolute() / level
        return Folders(root / "config" / kind, root / "data" / kind, root / "log" / kind)
    if level is Level.USER:
        roots = (
            appdirs.user_config_dir(APPLICATION),
            appdirs.user_data_dir(APPLICATION),
            appdirs.user_log_dir(APPLICATION),
        )
    else:
        roots = (appdirs.site_config_dir(APPLICATION), *_system_state())
    return Folders(*(Path(root) / kind for root in roots))


def _system_state() -> tuple[str, str]:
    # appdirs names /usr/local/share for site data, which is for read-only files, and has no site-wide log folder.
    if sys.platform.startswith("linux"):
        return f"/var/lib/{APPLICATION}", f"/var/log/{APPLICATION}"
    site = appdirs.site_data_dir(APPLICATION)
    return site, str(Path(site) / "log")


def new_config_file(kind: Kind, name: str, level: Level | None = None, *, env: Mapping[str, str] | None = None) -> Path:
    """Where a new configuration goes; raises `AlreadyExists` if one is there."""
    where = level or USUAL_LEVEL[kind]
    path = folders(kind, where, env=env).config / f"{checked_name(name)}{SUFFIX}"
    if path.exists():
        raise AlreadyExists(f"There is a {kind} configuration {name} already: {path}")
    return path


def find(
    kind: Kind,
    name: str,
    *,
    level: Level | None = None,
    environment: Environment | str | None = None,
    env: Mapping[str, str] | None = None,
) -> Context:
    """The context called `name`; `name` may also be the path of a configuration file.

    Without `level` the usual level of the kind is searched first, then the other one. Without `environment` the
    file must hold exactly one.
    """
    if _is_path(name):
        config_file, found_level = Path(name).expanduser().absolute(), level or USUAL_LEVEL[kind]
        if not config_file.is_file():
            raise ContextNotFound(f"There is no file {config_file}.")
        return _context(kind, found_level, config_file, environment, env)
    checked_name(name)
    levels = [level] if level else sorted(Level, key=lambda one: one is not USUAL_LEVEL[kind])
    for candidate in levels:
        config_file = folders(kind, candidate, env=env).config / f"{name}{SUFFIX}"
        if config_file.is_file():
            return _context(kind, candidate, config_file, environment, env)
    raise ContextNotFound(
        f"There is no {kind} configuration called {name} at {' or '.join(levels)} level.",
        fields={"known": [one.name for one in listing(kind, env=env)]},
    )


def listing(kind: Kind, level: Level | None = None, *, env: Mapping[str, str] | None = None) -> list[Listed]:
    """Every configuration of `kind`, also those that cannot be read."""
    found = []
    for one in [level] if level else list(Level):
        for config_file in sorted(folders(kind, one, env=env).config.glob(f"*{SUFFIX}")):
            try:
                names, problem = environments(config_file), None
            except ConfigInvalid as error:
                names, problem = (), str(error)
            found.append(Listed(kind, one, config_file.stem, config_file, names, problem))
    return found


def environments(config_file: Path) -> tuple[Environment, ...]:
    """The environments that a file holds: `(PLAIN,)` unless all its top-level keys are names of environments."""
    try:
        document = read_yaml(config_file)
    except YamlInvalid as error:
        raise ConfigInvalid(str(error), hint=error.hint, fields=error.fields) from error
    return environments_of(document.data)


def environments_of(data: object) -> tuple[Environment, ...]:
    """Like `environments`, for the content of a file."""
    known = {str(one) for one in Environment}
    if isinstance(data, dict) and data and set(data) <= known:
        return tuple(Environment(key) for key in data)
    return (Environment.PLAIN,)


def choose_environment(
    available: Iterable[Environment], wanted: Environment | str | None, config_file: Path
) -> Environment:
    """The wanted environment, or the only one; an error that names the choices otherwise."""
    choices = tuple(available)
    if wanted is None:
        if len(choices) == 1:
            return choices[0]
        raise EnvironmentNeeded(
            f"{config_file} holds several environments: {', '.join(choices)}.",
            hint="Name one of them with --environment.",
        )
    if wanted not in choices:
        raise EnvironmentNeeded(
            f"{config_file} has no environment {wanted}.", hint=f"It has: {', '.join(choices)}. Use --environment."
        )
    return Environment(wanted)


def checked_name(name: str) -> str:
    """`name`, or `NameInvalid`: names become parts of paths and of the names of containers."""
    if not _NAME.fullmatch(name):
        raise NameInvalid(f"{name!r} is not a name: small letters, digits, - and _, at most 63.")
    return name


def _is_path(name: str) -> bool:
    return os.sep in name or name.endswith((SUFFIX, ".yml"))


def _context(
    kind: Kind,
    level: Level,
    config_file: Path,
    wanted: Environment | str | None,
    env: Mapping[str, str] | None,
) -> Context:
    name = checked_name(config_file.stem)
    environment = choose_environment(environments(config_file), wanted, config_file)
    places = folders(kind, level, env=env)
    return Context(
        kind,
        level,
        name,
        environment,
        config_file,
        # Environments never share a database, so each has a folder of its own.
        data_folder=places.data / name / environment,
        log_folder=places.log / name / environment,
    )
