"""`vserver stop`: end a running hub gracefully."""

from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Level
from vserver import deployment as deployments
from vserver.cli._choice import chosen_hub, load


@cli_command("stop", short_help="Stop a hub.")
@chosen_hub
def command(name: str | None, environment: str | None, level: Level | None, out: Out) -> None:
    """Stop the hub NAME (or the only one): held requests are answered, the others may finish."""
    hub = load(name, environment, level)
    with out.progress(f"stopping {hub.context.name}"):
        found = deployments.stop(hub)
    out.result({"name": hub.context.name, "pid": found.pid}, f"{hub.context.name} has stopped.")
