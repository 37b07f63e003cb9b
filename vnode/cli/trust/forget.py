"""`vnode trust forget`: an organization becomes a stranger again."""

import click

from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli.trust._meant import meant
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.trust_store import TrustStore


@cli_command("forget", short_help="Forget an organization's identity.")
@click.argument("organization")
@chosen_by_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(organization: str, choice: Choice, yes: bool, out: Out) -> None:
    """Forget ORGANIZATION: whoever the hub next shows under this name is met for the first time."""
    store = TrustStore(choice.load().places.trust_store)
    known = meant(store, organization)
    if not yes:
        out.confirm(f"Forget {known.log.name} ({known.words})?", option="--yes")
    store.forget(known.fingerprint)
    out.result({"name": known.log.name, "fingerprint": known.fingerprint}, f"{known.log.name} is forgotten.")
