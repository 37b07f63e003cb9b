"""vclient whoami"""

from vclient.cli._connection import connected
from vclient.client import Client
from vruntime import cli


@cli.command()
@connected
def command(out: cli.Out, client: Client) -> None:
    """Show who is logged in, and what they may do."""
    who = client.whoami()
    key = client.key.id if client.folder.joinpath("keys", "user.key").exists() else None
    value = {
        "hub": client.url,
        "id": who.id,
        "name": who.name,
        "organization_id": who.organization.id if who.organization else None,
        "collaboration_ids": [one.id for one in who.collaborations],
        "permissions": list(who.permissions),
        "key": key,
        "folder": str(client.folder),
    }

    def human() -> None:
        out.table(("WHAT", "VALUE"), ((name, _joined(one)) for name, one in value.items()))

    out.result(value, human)


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
