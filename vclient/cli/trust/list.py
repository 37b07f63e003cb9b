"""vclient trust list"""

from vclient.cli._connection import connected
from vclient.cli.trust._rows import known_row
from vclient.client import Client
from vruntime import cli


@cli.command()
@connected
def command(out: cli.Out, client: Client) -> None:
    """List the organizations that were accepted here."""
    rows = [known_row(one) for one in client.known()]
    out.result(
        rows,
        lambda: out.table(
            ("ID", "NAME", "TRUST", "WORDS"), ((r["id"], r["name"], r["trust"], r["words"]) for r in rows)
        ),
    )
