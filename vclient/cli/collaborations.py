"""vclient collaborations"""

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@connected
def command(out: cli.Out, client: Client) -> None:
    """List the collaborations that you see."""
    rows = [
        {
            "id": one.id,
            "title": one.display_name,
            "name": one.name,
            "encrypted": one.encrypted,
            "members": len(one.organization_ids),
        }
        for one in client.collaborations()
    ]
    out.result(
        rows,
        lambda: out.table(("ID", "TITLE", "NAME", "ENCRYPTED", "MEMBERS"), (tuple(row.values()) for row in rows)),
    )
