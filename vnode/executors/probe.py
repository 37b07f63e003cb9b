"""Prove the isolation before any algorithm runs: a container where an algorithm would be tries what must fail.

A second container on the host's own network listens on every address of the host, so that a way out would be seen.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, NotFound

from vnode.executors.docker_convert import (
    LABEL_KIND,
    LABEL_NODE,
    SANDBOX_USER,
    hardened,
)
from vnode.executors.errors import ExecutorError, IsolationBroken, ProbeFailed
from vnode.executors.helper import await_line

INSIDE = Path(__file__).parent / "inside"
TIMEOUT_S = 30.0
MEMORY_BYTES = 128 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PUBLIC_NAME = "example.com"  # some name that the world knows


def check_isolation(
    api: docker.APIClient,
    node: str,
    image: str,
    seat: str,
    targets: Sequence[tuple[str, int]],
    gateways: Sequence[str],
) -> None:
    """`targets`: the hub and whatever else must be out of reach. Raises `IsolationBroken` with what answered."""
    if answered := what_answers(api, node, image, seat, targets, gateways):
        raise IsolationBroken(answered)


def what_answers(
    api: docker.APIClient,
    node: str,
    image: str,
    seat: str | None,
    targets: Sequence[tuple[str, int]],
    gateways: Sequence[str] = (),
) -> tuple[str, ...]:
    """`seat`: the container whose network a sandbox would join. None: from an ordinary container, on Docker's default
    bridge; that is how this test is tested.
    """
    try:
        with _running(api, node, "listener", _listener_body(image)) as listener:
            host = json.loads(await_line(api, listener, "listening", TIMEOUT_S).partition(" ")[2])
            wanted = attempts(host["addresses"], host["port"], targets, gateways)
            with _running(api, node, "probe", _probe_body(image, seat, wanted)) as probe:
                return tuple(json.loads(await_line(api, probe, "answered", TIMEOUT_S).partition(" ")[2]))
    except (DockerException, OSError, ValueError) as error:
        raise ProbeFailed(f"The isolation could not be tested: {error}") from error
    except ExecutorError as error:
        raise ProbeFailed(str(error)) from error


def attempts(
    host_addresses: Sequence[str], port: int, targets: Sequence[tuple[str, int]], gateways: Sequence[str]
) -> dict[str, list[Any]]:
    """What the probe tries. The sandbox's own loopback is its own business."""
    reachable = [address for address in (*host_addresses, *gateways) if address not in LOOPBACK]
    names = [host for host, _ in targets if not _is_address(host) and host not in LOOPBACK]
    return {
        "connect": [[address, port] for address in reachable]
        + [[host, number] for host, number in targets if host not in LOOPBACK],
        "send": [[address, port] for address in reachable],
        "look_up": [*names, PUBLIC_NAME],
    }


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _listener_body(image: str) -> dict[str, Any]:
    return _body(image, "listen.py", str(2 * TIMEOUT_S)) | {
        "HostConfig": hardened(MEMORY_BYTES, pids=16) | {"NetworkMode": "host"},
    }


def _probe_body(image: str, seat: str | None, wanted: dict[str, list[Any]]) -> dict[str, Any]:
    body = _body(image, "probe.py", json.dumps(wanted))
    limits = hardened(MEMORY_BYTES, pids=1024)
    if seat is None:
        return body | {"HostConfig": limits}
    return body | {"HostConfig": limits | {"NetworkMode": f"container:{seat}"}}


def _body(image: str, program: str, argument: str) -> dict[str, Any]:
    return {
        "Image": image,
        "Entrypoint": ["python3", "-I", "-c", (INSIDE / program).read_text(), argument],
        "Cmd": [],
        "User": f"{SANDBOX_USER}:{SANDBOX_USER}",
    }


@contextmanager
def _running(api: docker.APIClient, node: str, kind: str, body: dict[str, Any]) -> Iterator[str]:
    labels = {LABEL_NODE: node, LABEL_KIND: kind}
    name = f"vnode-{node}-{kind}-{secrets.token_hex(4)}"
    container = api.create_container_from_config(body | {"Labels": labels}, name)["Id"]
    try:
        api.start(container)
        yield container
    finally:
        with suppress(NotFound):
            api.remove_container(container, force=True, v=True)
