"""vclient jobs"""

from itertools import islice

import click

from vclient.cli._connection import connected
from vclient.cli._showing import job_line
from vclient.client import Client
from vprotocol.states import RunState
from vruntime import cli


@cli.command()
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Newest first.")
@connected
def command(out: cli.Out, client: Client, state: str | None, limit: int) -> None:
    """List the jobs that you may see, newest first."""
    filters = {"sort": "-created_at", **({"state": state} if state else {})}
    rows = [job_line(view) for view in islice(client.jobs(**filters), limit)]
    out.result(
        rows,
        lambda: out.table(("ID", "NAME", "STATE"), ((row["id"], row["name"], row["state"]) for row in rows)),
    )
