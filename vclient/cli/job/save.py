"""vclient job save"""

from pathlib import Path

import click

from vclient.cli._connection import connected
from vclient.cli._showing import watch
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("job_id")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--step")
@click.option("--organization", help="Name, number or fingerprint.")
@click.option("--output", help="Name of the output.")
@connected
def command(
    out: cli.Out,
    client: Client,
    job_id: str,
    path: Path,
    step: str | None,
    organization: str | None,
    output: str | None,
) -> None:
    """Stream one final output of any size to the file PATH, which appears whole and checked or not at all."""
    job = client.job(job_id)
    watch(out, job)
    with out.progress(f"fetching {path.name}", in_bytes=True) as steps:
        fetched = 0

        def progress(done: int, total: int) -> None:
            nonlocal fetched
            steps.total(total)
            steps.advance(done - fetched)
            fetched = done

        job.save(path, step, organization, output, progress)
    out.result({"job": job.id, "path": str(path), "bytes": path.stat().st_size}, str(path))
