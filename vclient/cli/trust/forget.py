"""vclient trust forget"""

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.argument("organization")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def command(out: cli.Out, client: Client, organization: str, yes: bool) -> None:
    """Forget an organization: its next sight is a first contact again."""
    known = client.known_one(organization)
    if not yes:
        out.confirm(f"Forget {known.log.name} ({known.words})?", option="--yes")
    client.forget(known.fingerprint)
    out.result({"forgotten": known.fingerprint, "name": known.log.name}, f"{known.log.name} is forgotten.")
