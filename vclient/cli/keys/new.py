"""vclient keys new"""

import getpass
import socket

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@click.option("--about", help="Whose key it is; written into the file for people.")
@connected
def command(out: cli.Out, client: Client, about: str | None) -> None:
    """Make this machine's user key. It never leaves this machine."""
    key = client.new_key(about or f"{getpass.getuser()} on {socket.gethostname()}")
    path = client.folder / "keys" / "user.key"
    out.result({"key": key.id, "path": str(path)}, f"{key.id}  {path}")
    out.say("Next: `vclient keys request FILE`, and give FILE to your organization.")
