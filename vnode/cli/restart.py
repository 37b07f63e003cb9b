"""`vnode restart`: stop and start, for a new configuration or data source."""

from vnode.cli._choice import Choice, chosen_node
from vnode.cli._status import is_running
from vnode.cli.start import start_behind, tell_started
from vnode.cli.stop import stop
from vruntime.cli import Out
from vruntime.cli import command as cli_command


@cli_command("restart", short_help="Stop and start a node.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Stop the node NAME (or the only one) if it runs, and start it: a new configuration or data source needs this."""
    node = choice.load(variables_needed=True)  # first: a node whose file has a mistake goes on running
    if is_running(node):
        with out.progress(f"stopping {node.name}"):
            stop(node)
    tell_started(start_behind(node, None, None, out), node, out)
