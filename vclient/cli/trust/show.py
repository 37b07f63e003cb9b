"""vclient trust show"""

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("organization")
@click.option("--collaboration", help="Title, number or 128-bit name.")
@connected
def command(out: cli.Out, client: Client, organization: str, collaboration: str | None) -> None:
    """Show an organization's words. Looking accepts nobody."""
    view = client.organization(organization, collaboration)
    text = f"{view.name} ({view.trust})\n{view.words or 'no identity yet'}\n{view.fingerprint or ''}"
    out.result(view.to_json(), text)
