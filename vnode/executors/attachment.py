"""How the proxy gets onto the private networks: as the node's own container, or through a relay to a Unix socket."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import docker
from docker.errors import APIError, NotFound

from vnode.executors.docker_convert import LABEL_KIND, LABEL_NODE, PROXY_ALIAS, endpoint, hardened
from vnode.executors.errors import ExecutorError
from vnode.executors.helper import await_line
from vnode.executors.network import NetworkPool

LABEL_MADE_FROM = "vestal.made-from"
RELAY_SOURCE = Path(__file__).parents[1] / "relay.py"
RELAY_FOLDER = "/run/vestal/proxy"
RELAY_MEMORY_BYTES = 256 << 20
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ProxyAttachment:
    """Where the proxy is. One of `self_container` and `socket`; with neither, sandboxes are on their own."""

    port: int = 7654
    self_container: str | None = None  # the node is this container, and its proxy listens on `port`
    socket: Path | None = None  # the node is a process on the host, and its proxy listens on this Unix socket


def attach(api: docker.APIClient, networks: NetworkPool, proxy: ProxyAttachment, relay_image: str | None) -> None:
    if proxy.self_container is not None:
        _connect(api, networks, proxy.self_container)
    elif proxy.socket is not None:
        if relay_image is None:
            raise ExecutorError("A node on the host needs `relay_image`, an image with python3.")
        _start_relay(api, networks, proxy, relay_image)


def detach(api: docker.APIClient, networks: NetworkPool, proxy: ProxyAttachment) -> None:
    if proxy.self_container is not None:
        for name in networks.names():
            with suppress(APIError):  # not connected, or gone
                api.disconnect_container_from_network(proxy.self_container, name, force=True)
    with suppress(NotFound):
        api.remove_container(relay_name(networks.node), force=True, v=True)


def relay_name(node: str) -> str:
    return f"vnode-{node}-relay"


def _connect(api: docker.APIClient, networks: NetworkPool, container: str, but: Collection[str] = ()) -> None:
    connected = api.inspect_container(container)["NetworkSettings"]["Networks"]
    for name in networks.names():
        if name not in connected and name not in but:
            address = networks.network(name).proxy_address
            api.connect_container_to_network(container, name, ipv4_address=address, aliases=[PROXY_ALIAS])


def _start_relay(api: docker.APIClient, networks: NetworkPool, proxy: ProxyAttachment, image: str) -> None:
    body = relay_body(networks, proxy, image)
    name = relay_name(networks.node)
    if _same_and_running(api, name, body):
        return
    with suppress(NotFound):
        api.remove_container(name, force=True, v=True)
    created = api.create_container_from_config(body, name)["Id"]
    _connect(api, networks, created, but={body["HostConfig"]["NetworkMode"]})
    api.start(created)
    await_line(api, created, "listening", START_TIMEOUT_S)


def _same_and_running(api: docker.APIClient, name: str, body: dict[str, Any]) -> bool:
    try:
        found = api.inspect_container(name)
    except NotFound:
        return False
    same = found["Config"]["Labels"].get(LABEL_MADE_FROM) == body["Labels"][LABEL_MADE_FROM]
    return bool(same and found["State"]["Running"])


def relay_body(networks: NetworkPool, proxy: ProxyAttachment, image: str) -> dict[str, Any]:
    assert proxy.socket is not None
    socket = proxy.socket.resolve()
    first = networks.network(networks.names()[0])
    inside = str(PurePosixPath(RELAY_FOLDER, socket.name))
    body: dict[str, Any] = {
        "Image": image,
        "Entrypoint": ["python3", "-I", "-c", RELAY_SOURCE.read_text(), str(proxy.port), inside],
        "Cmd": [],
        "User": f"{os.getuid()}:{os.getgid()}",  # whoever owns the socket
        "HostConfig": hardened(RELAY_MEMORY_BYTES, pids=32)
        | {
            "NetworkMode": first.name,
            # The folder, not the socket: a proxy that restarts makes a new one.
            "Binds": [f"{socket.parent}:{RELAY_FOLDER}:ro"],
            "Sysctls": {"net.ipv4.ip_forward": "0"},  # it stands on all networks and must not join them
            "RestartPolicy": {"Name": "unless-stopped"},
        },
        "NetworkingConfig": endpoint(first.name, first.proxy_address, (PROXY_ALIAS,)),
    }
    made_from = json.dumps([body, sorted(networks.names())], sort_keys=True)
    body["Labels"] = {
        LABEL_NODE: networks.node,
        LABEL_KIND: "relay",
        LABEL_MADE_FROM: hashlib.sha256(made_from.encode()).hexdigest(),
    }
    return body
