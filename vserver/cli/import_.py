"""`vserver import`: organizations, collaborations, users and nodes from a YAML file."""

from pathlib import Path
from typing import Any

import click

from vprotocol.errors import AlreadyExists, UsageError
from vruntime import config
from vruntime.atomic import make_private_folder, write_new
from vruntime.cli import NoTerminal, Out, has_terminal
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.contexts import Level
from vserver import fixtures, migrations
from vserver.accounts import passwords
from vserver.cli._choice import chosen_hub, load
from vserver.config import Settings
from vserver.db import Database
from vserver.fixtures import Fixtures, Imported, UserFixture


@cli_command("import", short_help="Add organizations, users and nodes from a file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@chosen_hub
@click.option(
    "--api-keys",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the API keys of new nodes go: one file each, readable by you alone.",
)
def command(
    file: Path, name: str | None, environment: str | None, level: Level | None, api_keys: Path | None, out: Out
) -> None:
    """Add what FILE (YAML) names to the hub NAME (or the only one). What is there already stays as it is.

    \b
    organizations: [{name: Hospital A}]
    collaborations: [{display_name: Stroke, organizations: [Hospital A]}]
    users: [{username: ada, organization: Hospital A, roles: [Researcher], password_file: ada.password}]
    nodes: [{name: hospital-a, organization: Hospital A}]
    """
    hub = load(name, environment, level)
    wanted = config.load(file, Fixtures)
    if wanted.nodes and api_keys is None:
        raise UsageError("The file names nodes.", hint="Say with --api-keys FOLDER where their API keys go.")
    make_private_folder(hub.folder)
    database = Database(hub.settings.database_url)
    try:
        migrations.migrate(database)
        with database.read() as session:
            people = fixtures.new_users(session, wanted)
        hashes = {user.username: _hash(user, file.parent, hub.settings) for user in people}
        with database.write() as session:
            done = fixtures.load(session, wanted, lambda user: hashes[user.username], SystemClock().now())
            # Inside the transaction: nodes whose keys could not be written down are not made.
            key_files = _write_keys(done, api_keys)
    finally:
        database.dispose()
    _tell(out, done, key_files)


def _hash(user: UserFixture, folder: Path, settings: Settings) -> str:
    if user.password_file is not None:
        password = fixtures.read_password(folder / user.password_file)
    elif has_terminal():
        typed = click.prompt(f"Password for {user.username}", hide_input=True, confirmation_prompt=True, err=True)
        password = fixtures.checked_password(typed, "the terminal")
    else:
        raise NoTerminal(f"There is no password for {user.username}.", hint="Give it a `password_file`.")
    return passwords.hash_password(password, settings.password)


def _write_keys(done: Imported, folder: Path | None) -> dict[str, str]:
    if folder is None or not done.api_keys:
        return {}
    make_private_folder(folder)
    files = {}
    for name, api_key in done.api_keys.items():
        path = folder / f"{name}.api_key"
        try:
            write_new(path, api_key.encode() + b"\n")
        except FileExistsError:
            raise AlreadyExists(
                f"There is an API key of another node called {name} already: {path}",
                hint="Nothing was imported. Choose another --api-keys folder, or move that file away.",
            ) from None
        files[name] = str(path)
    return files


def _tell(out: Out, done: Imported, key_files: dict[str, str]) -> None:
    kinds = ("organizations", "collaborations", "users", "nodes")
    made: dict[str, dict[str, int]] = {kind: getattr(done, kind) for kind in kinds}
    notes = {name: f"API key in {file}" for name, file in key_files.items()}
    rows = [
        (kind.removesuffix("s"), name, made_id, notes.get(name, "") if kind == "nodes" else "")
        for kind in kinds
        for name, made_id in made[kind].items()
    ]
    names = done.collaboration_names
    answer: dict[str, Any] = {
        **made,
        "collaboration_names": names,
        "existed": done.existed,
        "api_key_files": key_files,
    }
    if rows or out.as_json:
        out.result(answer, lambda: out.table(("new", "name", "id", ""), rows))
    if out.as_json:
        return
    if done.existed:
        out.say(f"There already, left as it is: {', '.join(done.existed)}.")
    for title, name in names.items():
        out.say(f"Data holders name the collaboration {title} in their files as {name}.")
