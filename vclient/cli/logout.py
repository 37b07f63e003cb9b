"""vclient logout"""

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@connected
def command(out: cli.Out, client: Client) -> None:
    """End this log-in, here and at the hub."""
    client.logout()
    out.result({"hub": client.url, "logged_in": False}, "Logged out.")
