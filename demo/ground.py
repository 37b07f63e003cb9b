"""What a federation stands on: containers if an engine answers, processes otherwise."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

import docker
from docker.errors import DockerException

from demo.programs import ROOT, DemoFailed, last_lines
from vclient.images import ImageRef
from vnode.executors.process_image import process_image

Executor = Literal["docker", "process"]
LOOPBACK = "127.0.0.1"
IMAGE = "vestal-statistics"
PACKAGE = "vestal_statistics.algorithm"
PROJECT = ROOT / "examples" / "vestal-statistics"
NODE_IMAGE = "vestal:latest"
IMAGES_WITHIN_S = 1800


@dataclass(frozen=True)
class Ground:
    """`address`: where the hub listens, so that the nodes reach it."""

    executor: Executor
    image: ImageRef
    address: str


def choose(wanted: str) -> Executor:
    """`auto` means containers if an engine answers.

    :raises DemoFailed: containers are demanded, and none does.
    """
    if wanted == "process":
        return "process"
    absent = why_no_engine()
    if absent is None:
        return "docker"
    if wanted == "docker":
        raise DemoFailed(
            f"no Docker engine answers: {absent}", "Start one, set DOCKER_HOST, or take --executor process."
        )
    return "process"


def why_no_engine() -> str | None:
    try:
        engine = docker.from_env(timeout=10)
        try:
            engine.ping()
        finally:
            engine.close()
    except (DockerException, OSError) as error:
        return str(error)
    return None


def processes() -> Ground:
    """An image is a Python package here, named by the digest of its code."""
    found = process_image(IMAGE, PACKAGE, PROJECT)
    return Ground("process", ImageRef(IMAGE, found.digest), LOOPBACK)


def containers(say: Callable[[str], None]) -> Ground:
    """Builds the images that are not there yet; the hub will listen where containers can reach this machine."""
    built = _script("images", "--json", say=say)
    digests = json.loads(built.strip().splitlines()[-1])
    return Ground("docker", ImageRef(IMAGE, digests[f"{IMAGE}:latest"]), _bridge_address())


def _script(name: str, *options: str, say: Callable[[str], None]) -> str:
    """One of our scripts; what it says is passed on."""
    process = subprocess.Popen(
        [ROOT / "script" / name, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    deadline = threading.Timer(IMAGES_WITHIN_S, process.kill)
    deadline.start()
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            say(line.strip()[:100])
        answer, _ = process.communicate()
    finally:
        deadline.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise DemoFailed(f"script/{name} failed", last_lines("".join(said)))
    return answer


def _bridge_address() -> str:
    """This machine's address on the engine's usual network: containers reach it, other machines do not."""
    engine = docker.from_env(timeout=30)
    try:
        settings = engine.networks.get("bridge").attrs["IPAM"]["Config"]
    finally:
        engine.close()
    for one in settings:
        # Engines leave the gateway out when nobody configured it: it is the first address then.
        address = one.get("Gateway") or str(next(IPv4Network(one["Subnet"]).hosts()))
        if _is_ours(address):
            return str(address)
    raise DemoFailed("this machine has no address on the engine's network `bridge`", "Is the engine on this machine?")


def _is_ours(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
