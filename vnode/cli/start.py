"""`vnode start`: run a node."""

from pathlib import Path
from typing import Any

import click

from vnode import containment
from vnode import deployment as deployments
from vnode.cli._choice import Choice, chosen_node
from vnode.cli.attach import follow
from vnode.deployment import AlreadyRunning, Deployment
from vnode.launch import surroundings
from vnode.serving import serve, told_through
from vprotocol.errors import UsageError
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.logs import start_logging
from vruntime.version import VERSION


@cli_command("start", short_help="Start a node.")
@chosen_node
@click.option("--foreground", is_flag=True, help="Run in this process, logs on standard error, until Ctrl-C.")
@click.option("--image", help="The node's image, instead of the configured one.")
@click.option("--attach", is_flag=True, help="Show the node's log once it runs.")
@click.option(
    "--develop",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="SOURCE",
    help="Run this checkout inside the container, instead of what the image has installed.",
)
def command(choice: Choice, foreground: bool, image: str | None, attach: bool, develop: Path | None, out: Out) -> None:
    """Start the node NAME (or the only one) and wait until the hub has answered it.

    With the executor `docker` it becomes a container; with `process`, a process in the background.
    """
    node = choice.load(variables_needed=True)
    check_options(node, foreground=foreground, image=image, develop=develop)
    if foreground:
        run_here(node, out)
        return
    tell_started(start_behind(node, image, develop, out), node, out)
    if attach:
        follow(node, out)


def check_options(node: Deployment, *, foreground: bool, image: str | None, develop: Path | None) -> None:
    if foreground and develop is not None:
        raise UsageError("--develop is for a container.", hint="In the foreground, run the checkout's own vnode.")
    if node.settings.executor == "process" and (image or develop):
        raise UsageError("The executor `process` uses no image.", hint="Leave --image and --develop out.")
    if containment.find(node) is not None and foreground:
        raise AlreadyRunning(f"{node.name} runs as a container.", hint="`vnode stop` ends it.")


def run_here(node: Deployment, out: Out) -> None:
    """Be the node until Ctrl-C or SIGTERM."""
    start_logging(file=node.log_file)
    out.say("Ctrl-C ends this node when what runs has finished; a second Ctrl-C ends it at once.")
    with deployments.alone(node, VERSION, SystemClock()):
        settings = node.settings.model_copy(update={"hub": containment.hub_from_here(node.settings.hub)})
        around = surroundings(settings, node.folder, inside_container=False)
        serve(settings, around, told_through(None))


def start_behind(node: Deployment, image: str | None, develop: Path | None, out: Out) -> dict[str, Any]:
    """Start it and return how it runs."""
    if (found := deployments.running(node)) is not None:
        raise AlreadyRunning(f"{node.name} runs already (process {found.pid}).")
    with out.progress(f"starting {node.name}"):
        if node.settings.executor == "docker":
            container = containment.start(node, SystemClock(), image=image, develop=develop)
            return {"runs_as": "container", "container": container, "pid": None}
        return {"runs_as": "process", "container": None, "pid": deployments.start_in_background(node).pid}


def tell_started(how: dict[str, Any], node: Deployment, out: Out) -> None:
    answer = {"name": node.context.name, "node": node.name, "hub": node.settings.hub.url, **how}
    what = f"container {how['container'][:12]}" if how["container"] else f"process {how['pid']}"
    out.result(answer, f"{node.name} is connected to {node.settings.hub.url} ({what}).")
