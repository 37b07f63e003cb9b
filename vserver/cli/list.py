"""`vserver list`: every hub on this machine."""

from typing import Any

from vprotocol.errors import VestalError
from vruntime import contexts
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Environment, Kind, Listed
from vserver import deployment as deployments


@cli_command("list", short_help="Show the hubs on this machine.")
def command(out: Out) -> None:
    """Show every configuration of a hub at both levels, its environments, and whether it runs."""
    rows = [row for listed in contexts.listing(Kind.SERVER) for row in _rows(listed)]
    columns = ("name", "level", "environment", "state", "url", "version")
    out.result(rows, lambda: out.table(columns, [[row[column] for column in columns] for row in rows]))


def _rows(listed: Listed) -> list[dict[str, Any]]:
    if listed.problem is not None:
        return [_row(listed, None, "invalid", problem=listed.problem)]
    return [_state(listed, environment) for environment in listed.environments]


def _state(listed: Listed, environment: Environment) -> dict[str, Any]:
    try:
        hub = deployments.load(str(listed.config_file), environment=environment, level=listed.level)
        found = deployments.running(hub)
    except (VestalError, OSError) as error:
        return _row(listed, environment, "invalid", problem=str(error))
    if found is None:
        return _row(listed, environment, "offline")
    return _row(listed, environment, "online", url=found.url, version=found.version, pid=found.pid)


def _row(listed: Listed, environment: Environment | None, state: str, **more: Any) -> dict[str, Any]:
    base = {"name": listed.name, "level": listed.level, "environment": environment, "state": state}
    return {**base, "url": None, "version": None, "pid": None, "problem": None, **more}
