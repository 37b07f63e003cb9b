"""`vnode trust show`: one organization's words and keys."""

import click

from vnode.cli import _shown
from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli.trust._meant import meant
from vnode.cli.trust.list import row
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.trust_store import TrustStore


@cli_command("show", short_help="Show an organization's words and keys.")
@click.argument("organization")
@chosen_by_options
def command(organization: str, choice: Choice, out: Out) -> None:
    """Show what is known of ORGANIZATION: a name, the first digits of a fingerprint, or the ten words."""
    known = meant(TrustStore(choice.load().places.trust_store), organization)
    now = int(SystemClock().now())
    keys = [_shown.certificate(found, now) for found in known.log.certificates.values()]
    answer = {**row(known), "keys": keys}

    def human() -> None:
        for what in ("name", "level", "words", "base32", "fingerprint"):
            out.line(f"{what:<12} {answer[what]}")
        rows = [(key["kind"], key["id"], key["subject"], key["state"], _shown.day(key["not_after"])) for key in keys]
        out.line()
        out.table(("kind", "key id", "subject", "state", "until"), rows)

    out.result(answer, human)
