"""`vnode files`: where a node keeps its things."""

from vnode.cli._choice import Choice, chosen_node
from vnode.deployment import Deployment
from vnode.executors.node_container import data_volume
from vruntime.cli import Out
from vruntime.cli import command as cli_command


@cli_command("files", short_help="Show a node's files.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Show where the node NAME (or the only one) keeps configuration, keys, journal, log and the rest."""
    found = files(choice.load())
    out.result(found, lambda: out.table(("what", "where"), list(found.items())))


def files(node: Deployment) -> dict[str, str]:
    """Everything that this node reads or writes, by what it is."""
    places = node.places
    found = {
        "configuration": node.context.config_file,
        "data": node.folder,
        "organization key": places.organization_key,
        "node key": places.node_key,
        "root key": places.root,
        "key log": places.key_log,
        "known organizations": places.trust_store,
        "journal": node.journal_file,
        "outbox": node.folder / "outbox",
        "audit": node.folder / "audit.jsonl",
        "log": node.log_file,
    }
    texts = {what: str(where) for what, where in found.items()}
    texts |= {f"data source {source.label}": str(source.path) for source in node.settings.data_sources}
    if node.settings.executor == "docker":
        texts["volume, when it runs as a container"] = data_volume(node.name)
    return texts
