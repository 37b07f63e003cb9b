"""vclient job logs"""

import re

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli

# Sequences that move a cursor or set a title are taken out whole; `Out` replaces what is left of control characters.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


@cli.command()
@click.argument("job_id")
@click.option("--all", "everything", is_flag=True, help="Of all runs, not only of those that failed.")
@connected
def command(out: cli.Out, client: Client, job_id: str, everything: bool) -> None:
    """Open the logs of a job's runs. Only the initiator can."""
    logs = client.job(job_id).logs(everything=everything)

    def human() -> None:
        for log in logs:
            out.result(None, f"--- {log.path} at {log.organization} ({log.state.value})")
            out.result(None, stripped(log.text))

    rows = [
        {"path": log.path, "organization": log.organization, "state": log.state.value, "text": log.text} for log in logs
    ]
    out.result(rows, human)


def stripped(text: str) -> str:
    """`text` without terminal escapes."""
    return _ESCAPES.sub("", text)
