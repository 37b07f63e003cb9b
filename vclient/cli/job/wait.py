"""vclient job wait"""

import click

from vclient.cli._connection import connected
from vclient.cli._showing import job_details, watch
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("job_id")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), help="Seconds.")
@connected
def command(out: cli.Out, client: Client, job_id: str, timeout_s: float | None) -> None:
    """Return when a job has ended, and say how."""
    job = client.job(job_id)
    state = watch(out, job, timeout_s)
    out.result(job_details(job), state.value)
