"""`vnode list`: every node on this machine."""

from dataclasses import asdict
from typing import Any

from vnode import deployment as deployments
from vnode.cli._status import runs_under_way, status
from vprotocol.errors import VestalError
from vruntime import contexts
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.contexts import Environment, Kind, Listed

COLUMNS = ("name", "level", "environment", "state", "runs_as", "runs", "executor", "hub", "version")


@cli_command("list", short_help="Show the nodes on this machine.")
def command(out: Out) -> None:
    """Show every configuration of a node at both levels, its environments, whether it runs and what it runs."""
    rows = [row for listed in contexts.listing(Kind.NODE) for row in _rows(listed)]
    out.result(rows, lambda: out.table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows]))


def _rows(listed: Listed) -> list[dict[str, Any]]:
    if listed.problem is not None:
        return [_row(listed, None, state="invalid", problem=listed.problem)]
    return [_state(listed, environment) for environment in listed.environments]


def _state(listed: Listed, environment: Environment) -> dict[str, Any]:
    try:
        node = deployments.load(
            str(listed.config_file), environment=environment, level=listed.level, variables_needed=False
        )
        found = asdict(status(node))
        settings = node.settings
    except (VestalError, OSError) as error:
        return _row(listed, environment, state="invalid", problem=str(error))
    return _row(
        listed, environment, **found, node=node.name, hub=settings.hub.url, executor=settings.executor,
        runs=runs_under_way(node),
    )  # fmt: skip


def _row(listed: Listed, environment: Environment | None, **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"name": listed.name, "level": listed.level, "environment": environment}
    unknown = dict.fromkeys(("node", "hub", "executor", "runs", "runs_as", "pid", "container", "version", "problem"))
    return {**base, **unknown, **more}
