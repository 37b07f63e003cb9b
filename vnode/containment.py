"""A configured node as a container: what it is given, how it is started, and how long to wait for it.

The container gets a resolved configuration (secrets substituted, paths as it sees them) as a private file, the keys
without the root, and the folder of what the node knows, which `vnode keys` and `vnode trust` on the host write too.
"""

import json
import os
import queue
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from vnode.config import HubSettings, NodeSettings
from vnode.deployment import STOP_MARGIN_S, AlreadyRunning, Deployment, NotRunning, StartFailed, check_ready
from vnode.executors.docker_convert import SANDBOX_USER
from vnode.executors.errors import EngineUnreachable
from vnode.executors.node_container import (
    CONFIG_FILE,
    ENGINE_SOCKET,
    NodeContainer,
    NodeContainers,
    NodeContainerSpec,
    key_path,
    source_path,
)
from vnode.identity import open_identity
from vnode.launch import hub_address
from vprotocol.errors import ConfigInvalid, UsageError
from vruntime.atomic import make_private_folder, write_atomically
from vruntime.clock import Clock, Deadline
from vruntime.version import VERSION

READY_WITHIN_S = 240.0
ORGANIZATION_KEY, NODE_KEY, CA_BUNDLE = "organization.key", "node.key", "ca.pem"
HOST_NAME = "host.docker.internal"  # this machine, as a container calls it
LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1", "[::1]"))
_LONGEST_LINE_BYTES = 1 << 20


class HubOutOfReach(UsageError):
    """The hub's address means another machine inside the node's container."""

    code = "hub_out_of_reach"


def start(deployment: Deployment, clock: Clock, *, image: str | None = None, develop: Path | None = None) -> str:
    """Start the node's container and wait until the hub has answered it. Returns the container's id.

    :raises AlreadyRunning: it runs. :raises VestalError: why it did not start, in its own words.
    """
    _check_hub_address(deployment.settings)
    with closing(NodeContainers()) as containers:
        if (found := containers.find(deployment.name)) is not None and found.state == "running":
            raise AlreadyRunning(f"{deployment.name} runs already (container {found.id[:12]}).")
        if found is not None:
            containers.stop(deployment.name)
        started = containers.start(prepared(deployment, clock, image=image, develop=develop))
        _await_ready(containers, deployment, clock)
        return started.id


def stop(deployment: Deployment) -> None:
    """Let the node's container drain, and remove it; its volume stays.

    :raises NotRunning: there is none.
    """
    with closing(NodeContainers()) as containers:
        if not containers.stop(deployment.name, timeout_s=int(deployment.settings.drain + STOP_MARGIN_S)):
            raise NotRunning(f"{deployment.name} does not run.")


def find(deployment: Deployment) -> NodeContainer | None:
    """The node's container, if there is one and an engine that could know."""
    if deployment.settings.executor != "docker":
        return None
    with suppress(EngineUnreachable), closing(NodeContainers()) as containers:
        return containers.find(deployment.name)
    return None


# --- what the container is given -------------------------------------------------------------------------------------
def prepared(
    deployment: Deployment, clock: Clock, *, image: str | None = None, develop: Path | None = None
) -> NodeContainerSpec:
    """Keys (made if there are none), configuration and paths, ready to be mounted."""
    settings, places = deployment.settings, deployment.places
    open_identity(places, settings.organization or settings.name, settings.name, clock)
    user = _user()
    folder = make_private_folder(deployment.folder / "container")
    write_atomically(folder / "config.yaml", resolved(settings).encode())
    files = {ORGANIZATION_KEY: places.organization_key, NODE_KEY: places.node_key}
    if settings.hub.ca_bundle is not None:
        files[CA_BUNDLE] = settings.hub.ca_bundle
    if user[0] != os.getuid():
        files = {name: _copied(path, folder / name) for name, path in files.items()}
        _give((folder / "config.yaml", *files.values(), *_all_below(places.key_log.parent)), user)
    return NodeContainerSpec(
        node=settings.name,
        command=("vnode", "run", "--inside", CONFIG_FILE),
        config=folder / "config.yaml",
        keys={name: path.resolve(strict=True) for name, path in files.items()},
        sources={source.label: _existing(source.label, source.path) for source in settings.data_sources},
        known=places.key_log.parent,
        image=image or settings.image,
        engine_socket=_engine_socket(),
        user=user,
        labels={"vestal.version": VERSION, "vestal.configuration": str(deployment.context.config_file)},
        extra_hosts={HOST_NAME: "host-gateway"},
        develop=develop,
    )


def resolved(settings: NodeSettings) -> str:
    """The settings as the node in its container reads them: nothing is left to be looked up there."""
    document = settings.model_dump(mode="json", exclude_none=True, exclude={"process_images"})
    document["private_key"], document["node_key"] = key_path(ORGANIZATION_KEY), key_path(NODE_KEY)
    if settings.hub.ca_bundle is not None:
        document["hub"]["ca_bundle"] = key_path(CA_BUNDLE)
    for written, source in zip(document["data_sources"], settings.data_sources, strict=True):
        path = source.path.resolve()
        written["path"], written["seen_at"] = str(path), source_path(source.label, path)
    return json.dumps(_literal(document), indent=1)  # JSON is YAML


def _literal(value: Any) -> Any:
    """So that nothing in a value is taken for a variable a second time."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else value


def _user() -> tuple[int, int]:
    """Whoever starts it; never root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (SANDBOX_USER, SANDBOX_USER)


def _copied(source: Path, target: Path) -> Path:
    write_atomically(target, source.read_bytes())
    return target


def _give(paths: Iterator[Path] | tuple[Path, ...], user: tuple[int, int]) -> None:
    for path in paths:
        os.chown(path, *user)


def _all_below(folder: Path) -> tuple[Path, ...]:
    return (folder, *folder.iterdir())


def _existing(label: str, path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except OSError as error:
        raise ConfigInvalid(
            f"the data source {label} is not there: {path} ({error.strerror})", hint="Correct its `path`."
        ) from None


def _engine_socket() -> Path:
    address = os.environ.get("DOCKER_HOST", f"unix://{ENGINE_SOCKET}")
    if not address.startswith("unix://"):
        raise UsageError(
            f"The engine is at {address}; a node in a container needs a Unix socket.",
            hint="Use an engine on this machine, or `vnode start --foreground`.",
        )
    path = Path(address.removeprefix("unix://")).resolve()
    if not path.is_socket():
        raise EngineUnreachable(f"There is no engine's socket at {path}.")
    return path


def _check_hub_address(settings: NodeSettings) -> None:
    host, port = hub_address(settings)
    if host in LOOPBACK_NAMES:
        raise HubOutOfReach(
            f"In the node's container, {host} is that container itself, not this machine.",
            hint=f"Let the hub listen on 0.0.0.0 and write http://{HOST_NAME}:{port}, or use `--foreground`.",
        )


def hub_from_here(hub: HubSettings) -> HubSettings:
    """The hub as a process of this machine reaches it, where the node's container calls this machine by its name."""
    if f"//{HOST_NAME}" not in hub.url or _is_known(HOST_NAME):
        return hub
    return hub.model_copy(update={"url": hub.url.replace(HOST_NAME, "127.0.0.1", 1)})


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


# --- waiting for it --------------------------------------------------------------------------------------------------
def _await_ready(containers: NodeContainers, deployment: Deployment, clock: Clock) -> None:
    line = _first_word(containers, deployment.name, Deadline.after(clock, READY_WITHIN_S))
    try:
        check_ready(line, f"see `vnode attach {deployment.context.name}`")
    except Exception:
        if b'"runs": true' not in line:
            containers.stop(deployment.name, timeout_s=10)  # it would be started again and again, to the same end
        raise


def _first_word(containers: NodeContainers, node: str, deadline: Deadline) -> bytes:
    """The line by which a node says that it is ready, or why not; nothing if it ended without one.

    :raises StartFailed: no word in time.
    """
    said: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        try:
            for line in lines(containers.logs(node, follow=True)):
                said.put(line)
        finally:
            said.put(None)

    threading.Thread(target=read, name="first-word", daemon=True).start()
    while True:
        try:
            line = said.get(timeout=max(0.01, deadline.remaining_s()))
        except queue.Empty:
            containers.stop(node, timeout_s=10)
            raise StartFailed(f"The node was not ready after {READY_WITHIN_S:.0f} s.") from None
        if line is None:
            return b""
        if is_first_word(line):
            return line


def is_first_word(line: bytes) -> bool:
    try:
        message = json.loads(line)
    except ValueError:
        return False
    return isinstance(message, dict) and ("ready" in message or "error" in message) and "message" not in message


def lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines out of a stream of pieces."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE_BYTES:
            rest = b""
    if rest:
        yield rest


def remove_staged(folder: Path) -> None:
    """The configuration with its secrets and the copies of keys, once no container needs them."""
    shutil.rmtree(folder / "container", ignore_errors=True)
