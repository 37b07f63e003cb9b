"""`vnode stop`: end a running node."""

import click

from vnode import containment
from vnode import deployment as deployments
from vnode.cli._choice import Choice, chosen_node
from vnode.cli._status import every, is_running
from vnode.deployment import Deployment, NotRunning
from vprotocol.errors import UsageError
from vruntime.cli import Out
from vruntime.cli import command as cli_command


@cli_command("stop", short_help="Stop a node.")
@chosen_node
@click.option("--all", "all_", is_flag=True, help="Every node that runs.")
def command(choice: Choice, all_: bool, out: Out) -> None:
    """Stop the node NAME (or the only one): it takes nothing new, and what runs may finish for a while.

    What still runs after that is found again at the next start.
    """
    if all_ and (choice.name or choice.config):
        raise UsageError("--all means every node.", hint="Leave the name out.")
    nodes = [node for node in every(choice.level) if is_running(node)] if all_ else [choice.load()]
    for node in nodes:
        with out.progress(f"stopping {node.name}"):
            stop(node)
    names = [node.name for node in nodes]
    out.result({"stopped": names}, f"Stopped: {', '.join(names)}." if names else "No node runs.")


def stop(node: Deployment) -> None:
    """:raises NotRunning: neither a process nor a container is this node."""
    if deployments.running(node) is not None:
        deployments.stop(node)
    elif containment.find(node) is not None:
        containment.stop(node)
        containment.remove_staged(node.folder)
    else:
        raise NotRunning(f"{node.name} does not run.")
