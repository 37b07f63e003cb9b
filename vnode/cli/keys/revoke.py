"""`vnode keys revoke`: a key is no longer the organization's."""

from pathlib import Path

import click

from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli._key_log import door, own_log, revoke
from vprotocol.errors import Conflict, KeyUnknown
from vprotocol.keylog import Certificate, KeyLog
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock

LEAST_DIGITS = 6


@cli_command("revoke", short_help="Revoke a key for good.")
@click.argument("key_id")
@chosen_by_options
@click.option(
    "--root", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The organization's root."
)
@click.option("--reason", default="", help="Why, for everybody to read.")
@click.option("--offline", is_flag=True, help="Only write it down here; the node brings it to the hub when it runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(key_id: str, choice: Choice, root: Path | None, reason: str, offline: bool, yes: bool, out: Out) -> None:
    """Revoke the key KEY_ID (or its first digits). This cannot be undone; a new key needs a new request."""
    node = choice.load(variables_needed=not offline)
    found = meant(own_log(node.places), key_id)
    out.say(f"The {found.key.kind.value} key of {found.subject} ({found.key.id}) is revoked for good.")
    if not yes:
        out.confirm("Go ahead?", option="--yes")
    clock = SystemClock()
    hub = None if offline else door(node, clock)
    changed = revoke(node.places, root or node.places.root, found.key.id, reason, clock, hub)
    answer = {"key_id": found.key.id, "subject": found.subject, "entries": len(changed.entries)}
    out.result({**answer, "uploaded": not offline}, f"{found.key.id} is revoked.")


def meant(log: KeyLog, digits: str) -> Certificate:
    """:raises KeyUnknown: no key, or several, begin like this. Conflict: it is revoked already."""
    found = [one for one in log.certificates.values() if one.key.id.startswith(digits.lower())]
    if len(digits) < LEAST_DIGITS or len(found) != 1:
        raise KeyUnknown(f"{digits!r} does not mean one key of {log.name}", hint="`vnode keys show` lists them.")
    if found[0].revoked_at is not None:
        raise Conflict(f"The key {found[0].key.id} was revoked before.", hint="Nothing is left to do.")
    return found[0]
