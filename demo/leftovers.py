"""What nodes in containers leave at the engine, removed by the names that only this demo's nodes have."""

from contextlib import suppress

import docker
from docker.errors import APIError, DockerException, NotFound

LOG_LINES = 20


def remove(nodes: list[str]) -> list[str]:
    """Containers, networks and volumes of these nodes; what could not be removed is returned by name."""
    engine = docker.from_env(timeout=60)
    left = []
    try:
        for kind, found in (
            ("container", engine.containers.list(all=True, ignore_removed=True)),
            ("network", engine.networks.list()),
            ("volume", engine.volumes.list()),
        ):
            for item in found:
                if not any(_belongs(item.name, node) for node in nodes):
                    continue
                try:
                    _remove(kind, item)
                except NotFound:
                    continue  # it went by itself
                except APIError as error:
                    left.append(f"{kind} {item.name}: {error.explanation}")
    finally:
        engine.close()
    return left


def container_log(node: str) -> str:
    """The last lines of a node's container; empty if there is none."""
    with suppress(DockerException, OSError):
        engine = docker.from_env(timeout=10)
        try:
            return str(engine.containers.get(f"vnode-{node}").logs(tail=LOG_LINES).decode(errors="replace"))
        finally:
            engine.close()
    return ""


def _belongs(name: str, node: str) -> bool:
    return name == f"vnode-{node}" or name.startswith(f"vnode-{node}-")


def _remove(kind: str, item: docker.models.resource.Model) -> None:
    if kind == "container":
        item.remove(force=True, v=True)
    else:
        item.remove()
