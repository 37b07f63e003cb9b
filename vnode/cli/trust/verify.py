"""`vnode trust verify`: a person has compared an organization's ten words."""

import click

from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli._key_log import door
from vnode.cli.trust._meant import meant, meet
from vnode.cli.trust.list import row
from vprotocol.errors import IdentityChanged, OrganizationUnknown
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.trust_store import Known, TrustStore


@cli_command("verify", short_help="Mark an organization as verified.")
@click.argument("organization")
@chosen_by_options
@click.option("--words", help="The ten words as the other side reads them out; compared here instead of by you.")
@click.option("--yes", is_flag=True, help="You have compared the words.")
def command(organization: str, choice: Choice, words: str | None, yes: bool, out: Out) -> None:
    """Mark ORGANIZATION as verified, after its ten words were compared with it: by telephone, not through the hub.

    One that this node has not met yet is asked for at the hub, by its name.
    """
    node = choice.load()
    store = TrustStore(node.places.trust_store)
    try:
        known = meant(store, organization)
    except OrganizationUnknown:
        clock = SystemClock()
        known = meet(store, door(choice.load(variables_needed=True), clock), organization, clock)
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
