"""`vnode trust list`: every organization that this node has met."""

from vnode.cli import _shown
from vnode.cli._choice import Choice, chosen_node
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.trust_store import Known, TrustStore


@cli_command("list", short_help="Show known organizations.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Show the organizations that the node NAME (or the only one) has met, and whether their words were compared."""
    known = TrustStore(choice.load().places.trust_store).all()
    columns = ("name", "level", "words", "fingerprint")
    rows = [row(one) for one in known]
    out.result(rows, lambda: out.table(columns, [[each[column] for column in columns] for each in rows]))


def row(known: Known) -> dict[str, object]:
    return {
        **_shown.identity(known.log),
        "level": known.level.value,
        "first_seen": known.first_seen,
        "hub_id": known.hub_id,
    }
