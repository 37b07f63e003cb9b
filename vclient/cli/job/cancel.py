"""vclient job cancel"""

import click

from vclient.cli._connection import connected
from vclient.cli._showing import job_details
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("job_id")
@connected
def command(out: cli.Out, client: Client, job_id: str) -> None:
    """Stop a job; containers that run are stopped too."""
    job = client.job(job_id)
    job.cancel()
    out.result(job_details(job), job.state.value)
