"""`vnode keys show`: this organization's identity and the keys that its log certifies."""

from vnode.cli import _shown
from vnode.cli._choice import Choice, chosen_node
from vnode.cli._key_log import own_log
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock


@cli_command("show", short_help="Show the identity, its words and its keys.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Show the identity of the organization of the node NAME (or the only one): others compare its ten words."""
    places = choice.load().places
    log = own_log(places)
    now = int(SystemClock().now())
    keys = [_shown.certificate(found, now) for found in log.certificates.values()]
    answer = {**_shown.identity(log), "keys": keys, "root": str(places.root) if places.root.exists() else None}

    def human() -> None:
        out.line(f"{log.name}")
        out.line(f"  words        {answer['words']}")
        out.line(f"  base32       {answer['base32']}")
        out.line(f"  fingerprint  {answer['fingerprint']}")
        out.line()
        rows = [(key["kind"], key["id"], key["subject"], key["state"], _shown.day(key["not_after"])) for key in keys]
        out.table(("kind", "key id", "subject", "state", "until"), rows)

    out.result(answer, human)
    if answer["root"]:
        out.say(f"The root is on this machine ({answer['root']}): move it away when you can.")
