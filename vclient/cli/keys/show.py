"""vclient keys show"""

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@connected
def command(out: cli.Out, client: Client) -> None:
    """Show the public half of this machine's user key."""
    key = client.key
    out.result({"key": key.id, "record": key.public.record()}, key.id)
