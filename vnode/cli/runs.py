"""`vnode runs`: what a node has begun, from its journal."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from vnode.cli._choice import Choice, chosen_node
from vnode.cli._journal import runs, runs_inside
from vnode.cli._status import status
from vnode.executors.node_container import DATA_FOLDER
from vruntime.cli import Out
from vruntime.cli import command as cli_command

COLUMNS = ("run", "task", "path", "attempt", "phase", "accepted", "job")


@cli_command("runs", short_help="Show a node's runs.")
@chosen_node
@click.option("--all", "all_", is_flag=True, help="Also those that have ended and whose plan has not expired.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most.")
@click.option("--inside", is_flag=True, hidden=True, help="In the node's own container.")
def command(choice: Choice, all_: bool, limit: int, inside: bool, out: Out) -> None:
    """Show the runs of the node NAME (or the only one) that are not finished, the newest first.

    Phases: accepted (about to start), started, sealed (the result waits for the hub), ended.
    """
    found = _found(choice, all_, limit, inside)
    out.result(found, lambda: out.table(COLUMNS, [[_human(run)[column] for column in COLUMNS] for run in found]))


def _found(choice: Choice, all_: bool, limit: int, inside: bool) -> list[dict[str, Any]]:
    if inside:
        return runs(Path(DATA_FOLDER) / "journal.sqlite", unfinished_only=not all_, limit=limit)
    node = choice.load()
    if status(node).runs_as == "container":
        return runs_inside(node, all_=all_, limit=limit)
    return runs(node.journal_file, unfinished_only=not all_, limit=limit)


def _human(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "accepted": datetime.fromtimestamp(run["accepted_at"]).isoformat(" ", "seconds")}
