"""vclient trust accept"""

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("organization")
@click.option("--collaboration", help="Title, number or 128-bit name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def command(out: cli.Out, client: Client, organization: str, collaboration: str | None, yes: bool) -> None:
    """Let an organization into plans of a collaboration. It stays unverified until its words were compared."""
    shown = client.organization(organization, collaboration)
    out.say(f"{shown.name}: {shown.words or 'no identity yet'}")
    if not yes:
        out.confirm(f"Accept {shown.name} under these words?", option="--yes")
    view = client.accept(organization, collaboration)
    out.result(view.to_json(), f"{view.name} is accepted ({view.trust}).")
