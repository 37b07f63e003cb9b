"""vclient run"""

import click

from vclient.cli._connection import connected
from vclient.cli._job_options import JobWanted, describes_job
from vclient.cli._showing import job_line, show_results, watch
from vclient.client import Client
from vruntime import cli


@cli.command()
@describes_job
@click.option("--detach", is_flag=True, help="Do not wait: print the job's id.")
@connected
def command(out: cli.Out, client: Client, wanted: JobWanted, detach: bool) -> None:
    """Ask IMAGE's METHOD at the members of a collaboration, wait, and show the opened answers.

    What you ask travels sealed: only the organizations that run it can read method and arguments. On a machine that
    you share, keep arguments out of the process list: --args @FILE.
    """
    job = client.run(wanted.what, wanted.method, **wanted.settings)
    if detach:
        out.result(job_line(job.view), job.id)
        return
    out.say(f"job {job.id}")
    watch(out, job)
    show_results(out, job.id, job.results())
