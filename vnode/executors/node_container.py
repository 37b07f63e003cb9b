"""The node as a container: what `vnode start`, `stop`, `list`, `attach` ask of the engine. Knows no configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from vnode.executors.docker_convert import LOG_CONFIG, SANDBOX_USER, SOURCES
from vnode.executors.errors import (
    AlreadyStarted,
    EngineUnreachable,
    ExecutorError,
    ImageMissing,
    StartFailed,
    UnknownHandle,
)

LABEL_NODE_CONTAINER = "vestal.node-container"  # its value is the node's name; the node finds itself by it
SOURCES_FOLDER = "/mnt/sources"
KEYS_FOLDER = "/run/vestal/keys"
CONFIG_FILE = "/run/vestal/config.yaml"
ENGINE_SOCKET = "/var/run/docker.sock"
DATA_FOLDER = "/var/lib/vestal"
KNOWN = "known"  # below the data folder
SOURCE_CODE_FOLDER = "/vestal"  # of development.Dockerfile
STOP_TIMEOUT_S = 60

assert SOURCES_FOLDER != SOURCES  # a path in the node is never mistaken for one in a sandbox


@dataclass(frozen=True)
class NodeContainerSpec:
    """Everything about a node's container. Paths are the host's, already resolved; no secret is in here."""

    node: str
    command: tuple[str, ...]
    config: Path  # the resolved configuration, 0600
    keys: Mapping[str, Path] = field(default_factory=dict)  # file name → path
    sources: Mapping[str, Path] = field(default_factory=dict)  # label → path
    known: Path | None = None  # the folder of key log and trust store, which commands on the host write too
    image: str = "vestal:latest"
    network: str = "bridge"  # the outside one: how the hub is reached
    engine_socket: Path = Path(ENGINE_SOCKET)
    user: tuple[int, int] = (SANDBOX_USER, SANDBOX_USER)  # must be able to read config, keys and sources
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    develop: Path | None = None  # a checkout to run instead of what the image has installed


@dataclass(frozen=True)
class NodeContainer:
    """What is known about a node's container. `state`: the engine's own word (running, exited, restarting ...)."""

    node: str
    id: str
    state: str
    running: bool
    started_at: str
    exit_code: int | None
    image: str
    labels: Mapping[str, str]


def container_name(node: str) -> str:
    return f"vnode-{node}"


def data_volume(node: str) -> str:
    return f"vnode-{node}-vol"


def source_path(label: str, host_path: Path) -> str:
    """Where a node finds a data source inside its own container."""
    return f"{SOURCES_FOLDER}/{label}/{host_path.name}"


def key_path(name: str) -> str:
    return f"{KEYS_FOLDER}/{name}"


def create_body(spec: NodeContainerSpec, socket_group: int) -> dict[str, Any]:
    """The body of `POST /containers/create`. Pure."""
    uid, gid = spec.user
    environment = dict(spec.environment)
    mounts = [
        _bind(spec.config, CONFIG_FILE),
        *(_bind(path, key_path(name)) for name, path in spec.keys.items()),
        *(_bind(path, source_path(label, path)) for label, path in spec.sources.items()),
        _bind(spec.engine_socket, ENGINE_SOCKET, read_only=False),
        {"Type": "volume", "Source": data_volume(spec.node), "Target": DATA_FOLDER},
    ]
    if spec.known is not None:
        mounts.append(_bind(spec.known, f"{DATA_FOLDER}/{KNOWN}", read_only=False))
    if spec.develop is not None:
        mounts.append(_bind(spec.develop, SOURCE_CODE_FOLDER))
        environment["PYTHONPATH"] = SOURCE_CODE_FOLDER
    return {
        "Image": spec.image,
        "Entrypoint": list(spec.command),
        "Cmd": [],
        "User": f"{uid}:{gid}",
        "Env": [f"{key}={value}" for key, value in environment.items()],
        "Labels": {**spec.labels, LABEL_NODE_CONTAINER: spec.node},
        "StopTimeout": STOP_TIMEOUT_S,
        "HostConfig": {
            "Mounts": mounts,
            "NetworkMode": spec.network,
            "GroupAdd": [str(socket_group)],  # the engine's socket: as good as root on the host, and documented so
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"},  # noqa: S108
            "Sysctls": {"net.ipv4.ip_forward": "0"},  # it stands on every run's network and must not join them
            "RestartPolicy": {"Name": "unless-stopped"},
            "ExtraHosts": [f"{name}:{address}" for name, address in spec.extra_hosts.items()],
            "LogConfig": LOG_CONFIG,
        },
    }


def _bind(path: Path, target: str, read_only: bool = True) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(path), "Target": target, "ReadOnly": read_only}


class NodeContainers:
    """The node containers of one engine."""

    def __init__(self, client: docker.DockerClient | None = None):
        try:
            self._client = client or docker.from_env()
        except DockerException as error:
            raise EngineUnreachable() from error
        self._api = self._client.api

    def start(self, spec: NodeContainerSpec) -> NodeContainer:
        """A container of that name which has ended is replaced; one that runs is `AlreadyStarted`."""
        found = self.find(spec.node)
        if found is not None:
            if found.running:
                raise AlreadyStarted(f"The node {spec.node} runs already.", hint="Use `vnode restart`.")
            self._remove(found.id)
        self._own_data_volume(spec)
        body = create_body(spec, spec.engine_socket.stat().st_gid)
        try:
            container = self._api.create_container_from_config(body, container_name(spec.node))["Id"]
        except ImageNotFound as error:
            raise ImageMissing(f"There is no image {spec.image}.", hint="Build it with script/images.") from error
        except APIError as error:
            raise StartFailed(f"The node could not be started: {error.explanation}") from error
        try:
            self._api.start(container)
        except APIError as error:
            self._remove(container)
            raise StartFailed(f"The node could not be started: {error.explanation}") from error
        return self._get(spec.node)

    def stop(self, node: str, timeout_s: int = STOP_TIMEOUT_S) -> bool:
        """Let it drain, then remove it; its data volume stays. False if there was none."""
        found = self.find(node)
        if found is None:
            return False
        with suppress(NotFound):
            self._api.stop(found.id, timeout=timeout_s)
        self._remove(found.id)
        return True

    def find(self, node: str) -> NodeContainer | None:
        return next((each for each in self.list() if each.node == node), None)

    def list(self) -> list[NodeContainer]:
        listed = self._api.containers(all=True, filters={"label": [LABEL_NODE_CONTAINER]})
        found = []
        for entry in listed:
            with suppress(NotFound):  # it went while we were looking
                found.append(_seen(self._api.inspect_container(entry["Id"])))
        return sorted(found, key=lambda each: each.node)

    def logs(self, node: str, follow: bool = False, tail: int | Literal["all"] = "all") -> Iterator[bytes]:
        """Pieces of stdout and stderr; with `follow` until the container ends or the caller stops reading."""
        container = self._get(node).id
        stream = self._api.logs(container, stream=True, follow=follow, tail=tail)
        try:
            yield from stream
        finally:
            stream.close()

    def run_inside(self, node: str, command: Sequence[str]) -> bytes:
        """What a short command says on stdout in the running container.

        :raises ExecutorError: it failed, or the container does not run.
        """
        container = self._get(node).id
        try:
            made = self._api.exec_create(container, list(command), stdout=True, stderr=True)["Id"]
            said, complaint = self._api.exec_start(made, demux=True)
            code = self._api.exec_inspect(made)["ExitCode"]
        except APIError as error:
            raise ExecutorError(f"The node's container could not be asked: {error.explanation}") from error
        if code:
            raise ExecutorError(f"The node's container answered: {(complaint or b'').decode(errors='replace').strip()}")
        return bytes(said or b"")

    def close(self) -> None:
        self._client.close()

    def _get(self, node: str) -> NodeContainer:
        found = self.find(node)
        if found is None:
            raise UnknownHandle(f"There is no container of the node {node}.", hint="Start it with `vnode start`.")
        return found

    def _remove(self, container: str) -> None:
        with suppress(NotFound):
            self._api.remove_container(container, force=True)

    def _own_data_volume(self, spec: NodeContainerSpec) -> None:
        """A fresh volume is root's. A short-lived container without network gives it to the node's user."""
        name = data_volume(spec.node)
        try:
            self._api.inspect_volume(name)
            return
        except NotFound:
            self._api.create_volume(name, labels={LABEL_NODE_CONTAINER: spec.node})
        uid, gid = spec.user
        body = {
            "Image": spec.image,
            "Entrypoint": ["chown", f"{uid}:{gid}", DATA_FOLDER],
            "Cmd": [],
            "User": "0:0",
            "HostConfig": {
                "NetworkMode": "none",
                "CapDrop": ["ALL"],
                "CapAdd": ["CHOWN"],
                "Mounts": [{"Type": "volume", "Source": name, "Target": DATA_FOLDER}],
            },
        }
        try:
            container = self._api.create_container_from_config(body, f"{container_name(spec.node)}-chown")["Id"]
            try:
                self._api.start(container)
                code = self._api.wait(container)["StatusCode"]
            finally:
                self._remove(container)
        except ImageNotFound as error:
            self._api.remove_volume(name)
            raise ImageMissing(f"There is no image {spec.image}.", hint="Build it with script/images.") from error
        if code:
            self._api.remove_volume(name)
            raise ExecutorError(f"The volume {name} could not be given to user {uid}.")


def find_self(client: docker.DockerClient, node: str) -> str | None:
    """The id of the node's own container, asked by the daemon that runs in it. None: it runs on the host."""
    if not Path("/.dockerenv").exists():
        return None
    listed = client.api.containers(filters={"label": [f"{LABEL_NODE_CONTAINER}={node}"]})
    return str(listed[0]["Id"]) if listed else None


def _seen(inspected: dict[str, Any]) -> NodeContainer:
    state, labels = inspected["State"], inspected["Config"]["Labels"]
    return NodeContainer(
        node=labels[LABEL_NODE_CONTAINER],
        id=inspected["Id"],
        state=state["Status"],
        running=bool(state["Running"]),
        started_at=state["StartedAt"],
        exit_code=None if state["Running"] else int(state["ExitCode"]),
        image=inspected["Config"]["Image"],
        labels=labels,
    )
