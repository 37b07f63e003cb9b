"""vclient job results"""

import click

from vclient.cli._connection import connected
from vclient.cli._showing import show_results, watch
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("job_id")
@click.option("--step", help="Of this step only.")
@click.option("--output", help="Of this name only.")
@click.option("--partial", is_flag=True, help="Show what is there, also of a job that failed.")
@connected
def command(out: cli.Out, client: Client, job_id: str, step: str | None, output: str | None, partial: bool) -> None:
    """Wait for a job, check its receipts, open its final outputs and show them."""
    job = client.job(job_id)
    watch(out, job)
    results = job.results(step, output, partial=partial)
    for failure in results.failures:
        out.say(str(failure))
    show_results(out, job.id, results)
