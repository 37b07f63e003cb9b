"""vclient keys request"""

from pathlib import Path

import click

from vclient.cli._connection import connected
from vclient.client import Client
from vclient.sealing import write_request
from vruntime import cli


@cli.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--subject", help="Whose key it is, as your organization knows you; default: your user name.")
@connected
def command(out: cli.Out, client: Client, path: Path, subject: str | None) -> None:
    """Write FILE for your organization: the holder of its root certifies this machine's key with it.

    The file holds nothing secret.
    """
    request = client.key_request(subject or client.whoami().name)
    write_request(path, request)
    out.result({"key": request.key_id, "subject": request.subject, "path": str(path)}, str(path))
    out.say(f"Your organization runs `vnode keys certify {path.name}`; compare the key id {request.key_id} with it.")
