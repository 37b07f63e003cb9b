"""Whether a node runs, and how."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vnode import containment
from vnode import deployment as deployments
from vnode.cli._journal import runs
from vnode.deployment import Deployment
from vprotocol.errors import ConfigInvalid
from vruntime import contexts
from vruntime.contexts import Kind, Level


@dataclass(frozen=True)
class Status:
    state: Literal["online", "offline", "restarting"]
    runs_as: Literal["process", "container"] | None = None
    pid: int | None = None
    container: str | None = None
    version: str | None = None


def status(node: Deployment) -> Status:
    if (found := deployments.running(node)) is not None:
        return Status("online", "process", pid=found.pid, version=found.version)
    container = containment.find(node)
    if container is None:
        return Status("offline")
    version = container.labels.get("vestal.version")
    if container.state == "restarting":
        return Status("restarting", "container", container=container.id, version=version)
    return Status("online" if container.running else "offline", "container", container=container.id, version=version)


def is_running(node: Deployment) -> bool:
    return status(node).state != "offline"


def every(level: Level | None = None) -> Iterator[Deployment]:
    """Every environment of every configuration that can be read."""
    for listed in contexts.listing(Kind.NODE, level):
        for environment in listed.environments:
            try:
                yield deployments.load(
                    str(listed.config_file), environment=environment, level=listed.level, variables_needed=False
                )
            except ConfigInvalid:  # `vnode list` shows what is wrong with it
                continue


def runs_under_way(node: Deployment) -> int | None:
    """How many runs the node has begun and not finished; None where its journal is not on this file system."""
    return len(runs(node.journal_file, unfinished_only=True)) if node.journal_file.exists() else None
