"""`vnode keys certify`: take a person's or a node's key into the organization's key log."""

import json
from pathlib import Path

import click

from vnode.cli import _shown
from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli._key_log import DAY_S, certify, door, own_log
from vprotocol.errors import Conflict, DocumentInvalid
from vprotocol.key_request import REQUEST_LIMIT_BYTES, KeyRequest
from vprotocol.keylog import KeyLog
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock

DEFAULT_DAYS = 365
MOST_DAYS = 3660


@cli_command("certify", short_help="Certify the key of a person's device or of a node.")
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@chosen_by_options
@click.option(
    "--root",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The organization's root; default: where it was made.",
)
@click.option("--subject", help="Whose key it is, instead of what the request says.")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=DEFAULT_DAYS, show_default=True)
@click.option("--offline", is_flag=True, help="Only write it down here; the node brings it to the hub when it runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    request: Path,
    choice: Choice,
    root: Path | None,
    subject: str | None,
    days: int,
    offline: bool,
    yes: bool,
    out: Out,
) -> None:
    """Certify the key in the file REQUEST, which `vclient keys request` or `vnode keys new` wrote.

    The request proves that its sender holds the key, not who the sender is: compare the key id with that person.
    """
    node = choice.load(variables_needed=not offline)
    found = read_request(request)
    log = own_log(node.places)
    _check_new(found, log)
    who = subject or found.subject
    out.say(f"{log.name} takes a {found.key.kind.value} key into its key log, for {days} days:")
    out.say(f"  subject  {who}")
    out.say(f"  key id   {found.key_id}")
    if not yes:
        out.confirm("Is this key id the one that its holder reads out to you?", option="--yes")
    clock = SystemClock()
    not_after = int(clock.now()) + days * DAY_S
    hub = None if offline else door(node, clock)
    changed = certify(node.places, root or node.places.root, found.key, who, not_after, clock, hub)
    answer = {
        "key_id": found.key_id,
        "kind": found.key.kind.value,
        "subject": who,
        "not_after": not_after,
        "fingerprint": changed.fingerprint,
        "entries": len(changed.entries),
        "uploaded": not offline,
    }
    out.result(answer, f"{who} is certified until {_shown.day(not_after)} (key {found.key_id}).")


def read_request(path: Path) -> KeyRequest:
    """:raises DocumentInvalid: not a key request. SignatureInvalid: not signed with the key that it shows."""
    with path.open("rb") as file:
        raw = file.read(4 * REQUEST_LIMIT_BYTES)
    try:
        return KeyRequest.from_wire(json.loads(raw))
    except ValueError:
        raise DocumentInvalid(f"{path} is not a key request", hint="`vclient keys request` writes one.") from None


def _check_new(request: KeyRequest, log: KeyLog) -> None:
    there = log.certificates.get(request.key_id)
    if there is not None:
        state = "was revoked" if there.revoked_at is not None else f"is certified until {_shown.day(there.not_after)}"
        raise Conflict(f"This key ({there.subject}) {state}.", hint="A new certificate needs a new key.")
