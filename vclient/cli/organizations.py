"""vclient organizations"""

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.option("--collaboration", help="Title, number or 128-bit name.")
@connected
def command(out: cli.Out, client: Client, collaboration: str | None) -> None:
    """List organizations with their words, and whether they were accepted and verified here."""
    views = client.organizations(collaboration)
    out.result(
        [view.to_json() for view in views],
        lambda: out.table(
            ("ID", "NAME", "TRUST", "WORDS"), ((view.id, view.name, view.trust, view.words) for view in views)
        ),
    )
