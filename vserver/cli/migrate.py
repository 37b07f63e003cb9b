"""`vserver migrate`: bring a hub's database up to date without starting it."""

from vruntime.atomic import make_private_folder
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Level
from vserver import migrations
from vserver.cli._choice import chosen_hub, load
from vserver.db import Database


@cli_command("migrate", short_help="Bring a hub's database up to date.")
@chosen_hub
def command(name: str | None, environment: str | None, level: Level | None, out: Out) -> None:
    """Bring the database of the hub NAME (or the only one) to this version's shape, as every start does."""
    hub = load(name, environment, level)
    make_private_folder(hub.folder)
    database = Database(hub.settings.database_url)
    try:
        before, after = migrations.migrate(database)
    finally:
        database.dispose()
    words = f"up to date ({after})" if before == after else f"migrated from {before or 'nothing'} to {after}"
    out.result({"before": before, "after": after}, words)
