"""What a node asks of whatever runs algorithms: plain values in, plain values out, no engine's types.

The caller decides everything (a `SandboxSpec`); an executor obeys. It enforces memory, CPU, processes and file sizes;
the *time* limit is the caller's: `wait` with what is left of it, then `kill`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, Protocol, runtime_checkable

Profile = Literal["strict", "compat"]


@dataclass(frozen=True)
class ImageRef:
    """An image as a plan names it. `config_digest` decides; `manifest_digest` says what to pull."""

    name: str
    config_digest: str | None = None
    manifest_digest: str | None = None


@dataclass(frozen=True)
class ResolvedImage:
    """An image that is here. `id` goes into `SandboxSpec.image`; `config_digest` into the receipt."""

    id: str
    config_digest: str
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    env_encoding: Literal["base32", "plain"] | None = None  # None: the image does not say


@dataclass(frozen=True)
class Layout:
    """Where things are, seen from inside the sandbox."""

    input_file: str
    output_file: str  # exists and is writable before the algorithm starts
    token_file: str
    temporary_folder: str
    inputs_folder: str  # further inputs, one file each
    outputs_folder: str  # further outputs, one regular file each
    proxy_host: str  # without scheme
    proxy_port: int
    sources_folder: str | None  # None: no isolation, a source is where it is on the host

    def source(self, label: str, host_path: str) -> str:
        """The path of a data source as seen inside. The file's own name is kept: readers look at its suffix."""
        if self.sources_folder is None:
            return host_path
        return str(PurePosixPath(self.sources_folder, label, PurePosixPath(host_path).name))


@dataclass(frozen=True)
class InputFile:
    """A file that must be inside before the algorithm starts; a `Path` is streamed, whatever its size."""

    path: str
    content: bytes | Path
    mode: int = 0o400


@dataclass(frozen=True)
class SourceMount:
    """A data source, always read-only. `open`: public or synthetic data, by the data holder's word."""

    label: str
    host_path: str
    inside_path: str
    open: bool = False


@dataclass(frozen=True)
class SandboxLimits:
    memory_bytes: int
    cpus: float
    pids: int
    time_s: float
    output_bytes: int
    scratch_bytes: int


@dataclass(frozen=True)
class SandboxSpec:
    """Everything about one sandbox, decided before anything is started."""

    name: str  # unique per node, run, generation and attempt; a legal container name
    image: str  # `ResolvedImage.id`
    command: tuple[str, ...] | None  # None: the image's own
    environment: Mapping[str, str]
    files: tuple[InputFile, ...]
    sources: tuple[SourceMount, ...]
    limits: SandboxLimits
    profile: Profile = "strict"
    labels: Mapping[str, str] = field(default_factory=dict)
    shared_scratch: str | None = None  # a job id: TEMPORARY_FOLDER shared by this job's runs at this node


@dataclass(frozen=True)
class Handle:
    """One started sandbox. `address`: its IP on its private network, as the proxy sees it."""

    name: str
    id: str
    address: str | None = None


@dataclass(frozen=True)
class Exit:
    """How a sandbox ended. Times are Unix times in seconds, None where the executor cannot know them."""

    code: int
    out_of_memory: bool = False
    started_at: float | None = None
    finished_at: float | None = None


@runtime_checkable
class Executor(Protocol):
    """All methods may be called from many threads. Errors are those of `vnode.executors.errors`."""

    name: str
    isolates: bool

    def prepare(self) -> None:
        """Once, before anything else: recover leftovers, fill pools, prove the isolation (`IsolationBroken`)."""

    def layout(self, name: str) -> Layout:
        """Where a sandbox of this name will find its things. Pure."""

    def resolve_image(self, image: ImageRef) -> ResolvedImage:
        """An image present by config digest is used without a registry, else pulled once however many ask.

        `ImageMissing`: not here and not to be had. `ImageRefused`: here, but not the one that was asked for.
        """

    def start(self, spec: SandboxSpec) -> Handle:
        """Files in, then run. `AlreadyStarted` if the name exists; a failure leaves nothing behind."""

    def wait(self, handle: Handle, timeout_s: float) -> Exit | None:
        """Until it ends; None if it still runs after `timeout_s`. `UnknownHandle` if there is no such sandbox."""

    def logs(self, handle: Handle, tail_bytes: int) -> bytes:
        """The last `tail_bytes` of stdout and stderr together, as bytes: they need not be UTF-8."""

    def fetch(self, handle: Handle, path: str, sink: BinaryIO, limit_bytes: int) -> int:
        """Stream one regular file out and return its size. `OutputMissing`, `OutputTooLarge` (sink is then partial)."""

    def outputs(self, handle: Handle) -> tuple[str, ...]:
        """Sorted names of the regular files directly in the outputs folder."""

    def kill(self, handle: Handle) -> None:
        """End it now. Killing what has ended or is gone is fine."""

    def remove(self, handle: Handle) -> None:
        """Forget it and all it wrote, running or not. Twice is fine. It may finish in the background."""

    def find(self, labels: Mapping[str, str]) -> list[Handle]:
        """This node's sandboxes that carry all these labels, running or ended: what a restarted node still owns."""

    def labels(self, handle: Handle) -> Mapping[str, str]:
        """At least the labels of its spec."""

    def end_job(self, job: str) -> None:
        """Remove what the job's runs shared. Doing so twice is fine."""

    def close(self) -> None:
        """Finish what happens in the background and give back what no running sandbox needs."""
