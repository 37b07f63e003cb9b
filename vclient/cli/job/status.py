"""vclient job status"""

import click

from vclient.cli._connection import connected
from vclient.cli._showing import show_job
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("job_id")
@connected
def command(out: cli.Out, client: Client, job_id: str) -> None:
    """Show a job and all its runs."""
    show_job(out, client.job(job_id))
