"""`vnode run`: be a node in this process. `vnode start` uses it; people do not."""

import logging
from pathlib import Path

import click

from vnode import deployment as deployments
from vnode.config import NodeSettings
from vnode.executors.node_container import DATA_FOLDER
from vnode.launch import surroundings
from vnode.serving import Tell, serve, told_through
from vprotocol.errors import VestalError
from vruntime import config
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.contexts import Level
from vruntime.logs import start_logging
from vruntime.version import VERSION

log = logging.getLogger(__name__)


@cli_command("run", hidden=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--inside", is_flag=True, help="This process runs in the node's own container.")
@click.option("--level", type=Level, default=Level.USER)
@click.option("--environment", default=None)
@click.option("--ready-fd", type=int, default=None, help="Where to say that the node is ready, or why not.")
def command(file: Path, inside: bool, level: Level, environment: str | None, ready_fd: int | None, out: Out) -> None:
    """Be the node of the configuration FILE until SIGTERM."""
    tell = told_through(1 if inside else ready_fd)
    try:
        if inside:
            _inside(file, tell)
        else:
            _outside(file, level, environment, tell)
    except VestalError as error:
        log.error("%s", error)
        tell(error.to_wire())
        raise
    except Exception as error:
        # Its text may hold anything: only its class leaves the process, the rest is in the log.
        log.exception("the node met a mistake of its own")
        tell(VestalError(f"The node met a mistake of its own ({type(error).__name__}); its log has more.").to_wire())
        raise


def _inside(file: Path, tell: Tell) -> None:
    start_logging(json_lines=True)
    settings = config.load(file, NodeSettings)
    serve(settings, surroundings(settings, Path(DATA_FOLDER), inside_container=True), tell)


def _outside(file: Path, level: Level, environment: str | None, tell: Tell) -> None:
    node = deployments.load(str(file), environment=environment, level=level)
    start_logging(file=node.log_file, console=False)
    with deployments.alone(node, VERSION, SystemClock()):
        serve(node.settings, surroundings(node.settings, node.folder, inside_container=False), tell)
