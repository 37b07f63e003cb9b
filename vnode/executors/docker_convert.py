"""From a `SandboxSpec` to what Docker's API is told. Pure: everything that isolates a sandbox can be read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from vnode.executors.archive import Entry
from vnode.executors.base import Exit, Handle, InputFile, Layout, SandboxSpec, SourceMount
from vnode.executors.errors import SpecRefused

SEAT_MOUNT = "/vestal"  # the seat's volume
SEAT_FOLDER = "/vestal/run"  # what a sandbox writes there, and nothing else
SOURCES = "/mnt/vestal"
# A fresh volume takes owner and mode of the folder that the image has at its place: this one is 1777 in nearly every
# image, so the scratch volume is writable by the sandbox's user without another step.
SCRATCH = "/var/tmp"  # noqa: S108
SANDBOX_USER = 65532
PROXY_ALIAS = "proxyserver"
TMP_BYTES = 64 << 20
# Not json-file: it replaces bytes that are not UTF-8.
LOG_CONFIG = {"Type": "local", "Config": {"max-size": "16m", "max-file": "2", "compress": "false"}}

# Sending to the broadcast address is refused at once, on every host and by every route: look-ups fail without a wait.
NO_DNS = "255.255.255.255"

LABEL_NODE = "vestal.node"
LABEL_KIND = "vestal.kind"  # sandbox, seat, relay, probe, listener, network, volume, scratch
LABEL_SEAT = "vestal.seat"
LABEL_ADDRESS = "vestal.address"
LABEL_VOLUME = "vestal.volume"
LABEL_PROFILE = "vestal.profile"
LABEL_JOB = "vestal.scratch-job"


@dataclass(frozen=True)
class Place:
    """Where a sandbox sits: the container whose network it joins, its address there, and the volume they share."""

    container: str
    address: str
    volume: str


def layout(proxy_port: int) -> Layout:
    return Layout(
        input_file=f"{SEAT_FOLDER}/in/input",
        output_file=f"{SEAT_FOLDER}/out/output",
        token_file=f"{SEAT_FOLDER}/in/token",
        temporary_folder=SCRATCH,
        inputs_folder=f"{SEAT_FOLDER}/in/files",
        outputs_folder=f"{SEAT_FOLDER}/out/files",
        proxy_host=PROXY_ALIAS,
        proxy_port=proxy_port,
        sources_folder=SOURCES,
    )


def run_volume(node: str, name: str) -> str:
    return f"vnode-{node}-run-{name}"


def scratch_volume(node: str, job: str) -> str:
    return f"vnode-{node}-job-{job}-tmp"


def create_body(spec: SandboxSpec, node: str, place: Place) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{key}={value}" for key, value in ({"HOME": "/tmp"} | dict(spec.environment)).items()],  # noqa: S108
        "User": "0:0" if spec.profile == "compat" else f"{SANDBOX_USER}:{SANDBOX_USER}",
        "Labels": _labels(spec, node, place),
        "HostConfig": _host_config(spec, node, place),
    }
    if spec.command is not None:
        body["Entrypoint"], body["Cmd"] = list(spec.command), []
    return body


def endpoint(network: str, address: str, aliases: tuple[str, ...] = ()) -> dict[str, Any]:
    """Given with the create call: connecting afterwards would cost another round trip."""
    return {
        "EndpointsConfig": {
            network: {"IPAMConfig": {"IPv4Address": address}, "Aliases": list(aliases)},
        }
    }


def hardened(memory_bytes: int, pids: int) -> dict[str, Any]:
    """What every container that a node starts has in common, its own helpers included."""
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "Memory": memory_bytes,
        "MemorySwap": memory_bytes,  # the same: no swap
        "PidsLimit": pids,
        "IpcMode": "private",
        "LogConfig": LOG_CONFIG,
    }


def _host_config(spec: SandboxSpec, node: str, place: Place) -> dict[str, Any]:
    limits = spec.limits
    largest_file = max(limits.output_bytes, limits.scratch_bytes)
    return hardened(limits.memory_bytes, limits.pids) | {
        "ReadonlyRootfs": spec.profile == "strict",
        "NetworkMode": f"container:{place.container}",  # look-ups and the proxy's name are the seat's, too
        "NanoCpus": int(limits.cpus * 1_000_000_000),
        "OomScoreAdj": 500,  # when the host itself runs out of memory, the sandbox goes before the house
        "Ulimits": [
            {"Name": "fsize", "Soft": largest_file, "Hard": largest_file},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={TMP_BYTES},mode=1777"},  # noqa: S108
        "Mounts": list(_mounts(spec, node, place)),
    }


def _mounts(spec: SandboxSpec, node: str, place: Place) -> Iterator[dict[str, Any]]:
    yield volume_mount(SEAT_MOUNT, place.volume, {LABEL_NODE: node, LABEL_KIND: "seat"})
    if spec.shared_scratch is None:
        labels = {LABEL_NODE: node, LABEL_KIND: "volume"}
        yield volume_mount(SCRATCH, run_volume(node, spec.name), labels, takes_after_image=True)
    else:
        labels = {LABEL_NODE: node, LABEL_KIND: "scratch", LABEL_JOB: spec.shared_scratch}
        yield volume_mount(SCRATCH, scratch_volume(node, spec.shared_scratch), labels, takes_after_image=True)
    yield from map(_source, spec.sources)


def volume_mount(target: str, name: str, labels: Mapping[str, str], takes_after_image: bool = False) -> dict[str, Any]:
    """The volume is made by the create call itself when it does not exist."""
    options = {"NoCopy": not takes_after_image, "Labels": dict(labels)}
    return {"Type": "volume", "Source": name, "Target": target, "VolumeOptions": options}


def _source(source: SourceMount) -> dict[str, Any]:
    # Not recursive: a file system mounted below the source would not become read-only with it.
    bind = {"Propagation": "rprivate", "NonRecursive": True}
    return {
        "Type": "bind",
        "Source": source.host_path,
        "Target": source.inside_path,
        "ReadOnly": True,
        "BindOptions": bind,
    }


def _labels(spec: SandboxSpec, node: str, place: Place) -> dict[str, str]:
    return {
        **spec.labels,
        LABEL_NODE: node,
        LABEL_KIND: "sandbox",
        LABEL_SEAT: place.container,
        LABEL_ADDRESS: place.address,
        LABEL_VOLUME: run_volume(node, spec.name),
        LABEL_PROFILE: spec.profile,
    }


def entries(spec: SandboxSpec) -> Iterator[Entry]:
    """What goes into the seat before a sandbox starts, folders first. All belong to the sandbox's user."""
    folders = {"in": 0o500, "in/files": 0o500, "out": 0o700, "out/files": 0o700}
    files = [(_inside(file), file) for file in spec.files]
    for path, _ in files:
        for parent in reversed(path.parents[:-1]):
            folders.setdefault(str(parent), 0o500)
    for folder, mode in folders.items():
        yield Entry(folder, _mode(mode, spec), SANDBOX_USER)
    yield Entry("out/output", _mode(0o600, spec), SANDBOX_USER, b"")
    for path, file in files:
        yield Entry(str(path), _mode(file.mode, spec), SANDBOX_USER, file.content)


def _mode(mode: int, spec: SandboxSpec) -> int:
    """Root without capabilities is just another user: what the owner may, it must be allowed as well."""
    return mode | mode >> 6 if spec.profile == "compat" else mode


def seat_path(path: str) -> str | None:
    """A path inside the sandbox as its seat's attendant names it; None if it is not in the outputs."""
    inside = PurePosixPath(path)
    if not inside.is_relative_to(f"{SEAT_FOLDER}/out") or ".." in inside.parts:
        return None
    return str(inside.relative_to(SEAT_FOLDER))


def _inside(file: InputFile) -> PurePosixPath:
    path = PurePosixPath(file.path)
    inputs = PurePosixPath(SEAT_FOLDER, "in")
    if not path.is_relative_to(inputs) or ".." in path.parts or path == inputs:
        raise SpecRefused(f"An input file must be below {inputs}.")
    return path.relative_to(SEAT_FOLDER)


def handle_of(listed: Mapping[str, Any]) -> Handle:
    """A sandbox out of an entry of `GET /containers/json`."""
    return Handle(listed["Names"][0].lstrip("/"), listed["Id"], listed["Labels"].get(LABEL_ADDRESS))


def exit_of(state: Mapping[str, Any]) -> Exit:
    """`State` of an inspected container that has ended."""
    return Exit(
        code=int(state["ExitCode"]),
        out_of_memory=bool(state["OOMKilled"]),
        started_at=unix_time(state["StartedAt"]),
        finished_at=unix_time(state["FinishedAt"]),
    )


def unix_time(text: str) -> float | None:
    """Docker's nanosecond RFC 3339 times; the year 1 stands for never."""
    if text.startswith("0001-"):
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")
