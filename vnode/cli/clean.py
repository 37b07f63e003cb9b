"""`vnode clean`: remove what a node has left and no unfinished run needs."""

from collections.abc import Mapping
from contextlib import closing

import click

from vnode.cli._choice import Choice, chosen_node
from vnode.cli._journal import open_jobs, runs
from vnode.cli._status import is_running
from vnode.compile import LABEL_NODE, LABEL_RUN
from vnode.deployment import AlreadyRunning, Deployment
from vnode.executors.leftovers import Engine
from vnode.executors.process import ProcessExecutor
from vruntime.cli import Out
from vruntime.cli import command as cli_command


@cli_command("clean", short_help="Remove leftovers.")
@chosen_node
@click.option("--all", "all_", is_flag=True, help="Also what unfinished runs need: their work is lost.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(choice: Choice, all_: bool, yes: bool, out: Out) -> None:
    """Remove containers, networks and volumes (or processes' folders) that the node NAME (or the only one) has left.

    The node must not run: while it does, it looks after them itself. Its own volume, keys and results stay.
    """
    node = choice.load()
    if is_running(node):
        raise AlreadyRunning(f"{node.name} runs, and cleans up after itself.", hint="`vnode stop` first.")
    if all_ and not yes:
        out.confirm("Remove the sandboxes of unfinished runs too?", option="--yes")
    removed = _folders(node, all_) if node.settings.executor == "process" else _at_the_engine(node, all_, out)
    rows = [{"what": what, "name": name} for what, name in removed]
    out.result(rows, lambda: out.table(("removed", "name"), removed))


def _folders(node: Deployment, all_: bool) -> list[tuple[str, str]]:
    needed = set() if all_ else {run["key"] for run in runs(node.journal_file, unfinished_only=True)}
    executor = ProcessExecutor(node.folder / "sandboxes")
    removed = []
    for handle in executor.find({LABEL_NODE: node.name}):
        if executor.labels(handle).get(LABEL_RUN) not in needed:
            executor.kill(handle)
            executor.remove(handle)
            removed.append(("sandbox", handle.name))
    return removed


def _at_the_engine(node: Deployment, all_: bool, out: Out) -> list[tuple[str, str]]:
    readable = node.journal_file.exists()
    if not (readable or all_):
        out.say("The journal of a node in a container is in its volume: whatever was started is kept (see --all).")
    needed = {run["key"] for run in runs(node.journal_file, unfinished_only=True)}

    def keeps(labels: Mapping[str, str]) -> bool:
        return not all_ and (not readable or labels.get(LABEL_RUN) in needed)

    jobs = () if all_ else open_jobs(node.journal_file) if readable else None
    removed: list[tuple[str, str]] = []
    with closing(Engine()) as engine:
        found = engine.leftovers(node.name, keeps, jobs)
        with out.progress(f"cleaning up after {node.name}", len(found)) as steps:
            for leftover in found:
                engine.remove(leftover)
                steps.advance()
                removed.append((leftover.what, leftover.name))
    return removed
