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

ROOT = "/vestal"  # the run's own volume
SOURCES = "/mnt/vestal"
SANDBOX_USER = 65532
PROXY_ALIAS = "proxyserver"
TMP_BYTES = 64 << 20
LOG_OPTIONS = {"max-size": "16m", "max-file": "2"}

# Sending to the broadcast address is refused at once, on every host and by every route: look-ups fail without a wait.
NO_DNS = "255.255.255.255"

LABEL_NODE = "vestal.node"
LABEL_KIND = "vestal.kind"  # sandbox, relay, probe, listener, network, volume, scratch
LABEL_NETWORK = "vestal.network"
LABEL_ADDRESS = "vestal.address"
LABEL_VOLUME = "vestal.volume"
LABEL_JOB = "vestal.scratch-job"


@dataclass(frozen=True)
class Seat:
    """A place on a private network: who sits there, and where its proxy is."""

    network: str
    address: str
    proxy_address: str


def layout(proxy_port: int) -> Layout:
    return Layout(
        input_file=f"{ROOT}/in/input",
        output_file=f"{ROOT}/out/output",
        token_file=f"{ROOT}/in/token",
        temporary_folder=f"{ROOT}/tmp",
        inputs_folder=f"{ROOT}/in/files",
        outputs_folder=f"{ROOT}/out/files",
        proxy_host=PROXY_ALIAS,
        proxy_port=proxy_port,
        sources_folder=SOURCES,
    )


def run_volume(node: str, name: str) -> str:
    return f"vnode-{node}-run-{name}"


def scratch_volume(node: str, job: str) -> str:
    return f"vnode-{node}-job-{job}-tmp"


def create_body(spec: SandboxSpec, node: str, seat: Seat) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{key}={value}" for key, value in ({"HOME": "/tmp"} | dict(spec.environment)).items()],  # noqa: S108
        "User": f"{owner(spec)}:{owner(spec)}",
        "Labels": _labels(spec, node, seat),
        "HostConfig": _host_config(spec, node, seat),
        "NetworkingConfig": endpoint(seat.network, seat.address),
    }
    if spec.command is not None:
        body["Entrypoint"], body["Cmd"] = list(spec.command), []
    return body


def owner(spec: SandboxSpec) -> int:
    return 0 if spec.profile == "compat" else SANDBOX_USER


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
        "LogConfig": {"Type": "json-file", "Config": LOG_OPTIONS},
    }


def _host_config(spec: SandboxSpec, node: str, seat: Seat) -> dict[str, Any]:
    limits = spec.limits
    largest_file = max(limits.output_bytes, limits.scratch_bytes)
    return hardened(limits.memory_bytes, limits.pids) | {
        "ReadonlyRootfs": spec.profile == "strict",
        "NetworkMode": seat.network,
        "Dns": [NO_DNS],
        "DnsSearch": ["."],
        "ExtraHosts": [f"{PROXY_ALIAS}:{seat.proxy_address}"],
        "NanoCpus": int(limits.cpus * 1_000_000_000),
        "OomScoreAdj": 500,  # when the host itself runs out of memory, the sandbox goes before the house
        "Ulimits": [
            {"Name": "fsize", "Soft": largest_file, "Hard": largest_file},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={TMP_BYTES},mode=1777"},  # noqa: S108
        "Mounts": list(_mounts(spec, node)),
    }


def _mounts(spec: SandboxSpec, node: str) -> Iterator[dict[str, Any]]:
    yield _volume(ROOT, run_volume(node, spec.name), {LABEL_NODE: node, LABEL_KIND: "volume"})
    if spec.shared_scratch is not None:
        labels = {LABEL_NODE: node, LABEL_KIND: "scratch", LABEL_JOB: spec.shared_scratch}
        yield _volume(f"{ROOT}/tmp", scratch_volume(node, spec.shared_scratch), labels)
    yield from map(_source, spec.sources)


def _volume(target: str, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Made by the create call itself when it does not exist."""
    options = {"NoCopy": True, "Labels": dict(labels)}
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


def _labels(spec: SandboxSpec, node: str, seat: Seat) -> dict[str, str]:
    return {
        **spec.labels,
        LABEL_NODE: node,
        LABEL_KIND: "sandbox",
        LABEL_NETWORK: seat.network,
        LABEL_ADDRESS: seat.address,
        LABEL_VOLUME: run_volume(node, spec.name),
    }


def entries(spec: SandboxSpec) -> Iterator[Entry]:
    """What goes into the run's volume before it starts: folders first. A fresh volume's root is root's, 0755."""
    user = owner(spec)
    folders = {"in": 0o500, "in/files": 0o500, "out": 0o700, "out/files": 0o700, "tmp": 0o1777}
    files = [(_inside(file), file) for file in spec.files]
    for path, _ in files:
        for parent in reversed(path.parents[:-1]):
            folders.setdefault(str(parent), 0o500)
    for folder, mode in folders.items():
        yield Entry(folder, mode, user)
    yield Entry("out/output", 0o600, user, b"")
    for path, file in files:
        yield Entry(str(path), file.mode, user, file.content)


def _inside(file: InputFile) -> PurePosixPath:
    path = PurePosixPath(file.path)
    inputs = PurePosixPath(ROOT, "in")
    if not path.is_relative_to(inputs) or ".." in path.parts or path == inputs:
        raise SpecRefused(f"An input file must be below {inputs}.")
    return path.relative_to(ROOT)


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
