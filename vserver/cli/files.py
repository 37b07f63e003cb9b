"""`vserver files`: where a hub keeps its things."""

from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Level
from vserver.cli._choice import chosen_hub, load


@cli_command("files", short_help="Show a hub's files.")
@chosen_hub
def command(name: str | None, environment: str | None, level: Level | None, out: Out) -> None:
    """Show where the hub NAME (or the only one) keeps configuration, database, payloads and log."""
    files = load(name, environment, level).files()
    out.result(files, lambda: out.table(("what", "where"), list(files.items())))
