"""vclient trust verify"""

import click

from vclient.cli._connection import connected
from vclient.cli.trust._rows import known_row
from vclient.client import Client
from vprotocol.errors import IdentityChanged
from vruntime import cli


@cli.command()
@click.argument("organization")
@click.option("--words", help="The ten words as you heard them; they are compared here.")
@click.option("--yes", is_flag=True, help="You have compared the words yourself.")
@connected
def command(out: cli.Out, client: Client, organization: str, words: str | None, yes: bool) -> None:
    """Mark an organization as verified: its words were compared with it over another channel."""
    known = client.known_one(organization)
    if words is not None:
        if words.lower().split() != known.words.split():
            raise IdentityChanged(
                f"these are not the words of {known.log.name} as this client knows it",
                hint="Ask again, letter by letter. If they stay different, somebody stands in between.",
            )
    elif not yes:
        out.say(f"{known.log.name}: {known.words}")
        out.confirm("Are these the words that the organization itself told you?", option="--yes or --words")
    row = known_row(client.verify(known.fingerprint))
    out.result(row, f"{row['name']} is verified.")
