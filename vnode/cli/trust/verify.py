"""`vnode trust verify`: a person has compared an organization's ten words."""

import click

from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli.trust._meant import meant
from vnode.cli.trust.list import row
from vprotocol.errors import IdentityChanged
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.trust_store import Known, TrustStore


@cli_command("verify", short_help="Mark an organization as verified.")
@click.argument("organization")
@chosen_by_options
@click.option("--words", help="The ten words as the other side reads them out; compared here instead of by you.")
@click.option("--yes", is_flag=True, help="You have compared the words.")
def command(organization: str, choice: Choice, words: str | None, yes: bool, out: Out) -> None:
    """Mark ORGANIZATION as verified, after its ten words were compared with it: by telephone, not through the hub."""
    store = TrustStore(choice.load().places.trust_store)
    known = meant(store, organization)
    if words is not None:
        _compare(known, words)
    else:
        out.say(f"{known.log.name} is shown with these words:")
        out.say(f"  {known.words}")
        if not yes:
            out.confirm(f"Does {known.log.name} itself read out the same ten words?", option="--yes or --words")
    changed = store.mark_verified(known.fingerprint)
    out.result(row(changed), f"{changed.log.name} is verified.")


def _compare(known: Known, words: str) -> None:
    if words.lower().split() != known.words.split():
        raise IdentityChanged(
            f"These are not the words of {known.log.name}, which are: {known.words}",
            hint="Do not go on: compare again with them, by another way than the hub.",
        )
