"""`vserver new`: write a configuration, with comments."""

from pathlib import Path
from typing import Any

import click
import yaml

from vprotocol.errors import ConfigInvalid
from vruntime import config, contexts
from vruntime.atomic import make_private_folder, write_new
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Environment, Kind, Level
from vruntime.wizard import Question, answerable, ask
from vserver.cli._choice import level_option
from vserver.config import Settings
from vserver.db import Database


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError("a port is a number from 0 to 65535")
    return int(text)


def _database(text: str) -> str:
    if text:
        try:
            Database(text).dispose()
        except ConfigInvalid as error:
            raise ValueError(str(error)) from None
    return text


QUESTIONS = (
    Question("host", "Address to listen on?", default="127.0.0.1"),
    Question("port", "Port to listen on? (0: any free one)", default="7600", check=_port),
    Question("public_url", "Address at which others reach it, if a proxy stands in front? (empty: none)", default=""),
    Question(
        "database", "SQLAlchemy URL of the database? (empty: SQLite in the data folder)", default="", check=_database
    ),
)

_TEMPLATE = """\
# The hub `{name}`. Everything that is not here has a default. `${{NAME}}` in a value is that environment variable.
host: {host}
port: {port}

# How others reach the hub, if a reverse proxy (with TLS) stands in front of it, and how many such proxies there are.
{public_url}
{proxies}

# Any SQLAlchemy URL, such as postgresql://vestal:${{DATABASE_PASSWORD}}@db.example.org/vestal.
# Default: SQLite in the data folder (`vserver files {name}` says where).
{database}

# How long a node keeps a run without renewing its lease, and how long a request is held (at most a third of that).
# lease_s: 60
# longest_wait_s: 20

# debug, info, warning, error
# log_level: info
"""


def written(name: str, answers: dict[str, Any]) -> str:
    """The text of a new configuration file."""

    def line(key: str, value: Any, example: str) -> str:
        return f"{key}: {_scalar(value)}" if value else f"# {key}: {example}"

    return _TEMPLATE.format(
        name=name,
        host=_scalar(answers["host"]),
        port=answers["port"],
        public_url=line("public_url", answers["public_url"], "https://hub.example.org"),
        proxies=line("proxies", 1 if answers["public_url"] else 0, "1"),
        database=line("database", answers["database"], "sqlite:////var/lib/vestal/hub.sqlite"),
    )


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]


@cli_command("new", short_help="Make a hub's configuration.")
@click.argument("name")
@level_option[0]
@level_option[1]
@answerable(QUESTIONS)
def command(name: str, level: Level | None, out: Out, **given: Any) -> None:
    """Make the configuration of a hub called NAME. Questions that no option answers are asked."""
    path = contexts.new_config_file(Kind.SERVER, name, level)
    text = written(name, ask(QUESTIONS, given))
    config.loads(text, Settings, source=path.name, env={"DATABASE_PASSWORD": ""})
    make_private_folder(path.parent)
    write_new(path, text.encode())
    _tell(out, name, path)


def _tell(out: Out, name: str, path: Path) -> None:
    out.result({"name": name, "configuration": str(path), "environment": Environment.PLAIN}, str(path))
    out.say(f"`vserver start {name}` starts it and prints the code for its first administrator.")
