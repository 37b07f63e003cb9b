"""Algorithms as plain processes of this host: for demo and tests. **No isolation**, and it says so.

Only for data that the data holder marked open (public or synthetic). Each sandbox is a folder; a small supervisor
process writes the exit code there, so that a node that was killed finds it again.
"""

from __future__ import annotations

import json
import logging
import math
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from vnode.executors.archive import CHUNK_BYTES
from vnode.executors.base import Exit, Handle, ImageRef, Layout, ResolvedImage, SandboxSpec
from vnode.executors.errors import (
    AlreadyStarted,
    ExecutorError,
    ImageMissing,
    ImageRefused,
    OutputInvalid,
    OutputMissing,
    OutputTooLarge,
    SourceMissing,
    SourceNotOpen,
    SpecRefused,
    UnknownHandle,
)
from vnode.executors.process_image import ProcessImage

log = logging.getLogger(__name__)

SUPERVISOR = Path(__file__).parent / "inside" / "supervise.py"
KILLED = 128 + signal.SIGKILL
LOOPBACK = "127.0.0.1"


class ProcessExecutor:
    name = "process"
    isolates = False

    def __init__(self, root: Path, images: Iterable[ProcessImage] = (), proxy_port: int = 7654):
        """`root`: a folder of this node alone; every sandbox is a folder below it."""
        self.root, self.proxy_port = root.resolve(), proxy_port
        self._by_name = {image.name: image for image in images}
        self._by_digest = {image.digest: image for image in self._by_name.values()}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        log.warning("executor `process`: algorithms are NOT isolated; only data marked `open: true` may be used")
        self._runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in self._runs.iterdir():
            if not (folder / "pid.json").exists():  # the node died before it had started
                shutil.rmtree(folder)

    def close(self) -> None:
        """Running sandboxes go on: a restarted node finds them."""

    @property
    def _runs(self) -> Path:
        return self.root / "runs"

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"

    def _folder(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise SpecRefused("This is no name for a sandbox.")
        return self._runs / name

    # --- before a run -------------------------------------------------------------------------------------------------
    def layout(self, name: str) -> Layout:
        folder = self._folder(name)
        return Layout(
            input_file=f"{folder}/in/input",
            output_file=f"{folder}/out/output",
            token_file=f"{folder}/in/token",
            temporary_folder=f"{folder}/tmp",  # noqa: S108
            inputs_folder=f"{folder}/in/files",
            outputs_folder=f"{folder}/out/files",
            proxy_host=LOOPBACK,
            proxy_port=self.proxy_port,
            sources_folder=None,
        )

    def resolve_image(self, image: ImageRef) -> ResolvedImage:
        found = self._by_digest.get(image.config_digest or "") or self._by_name.get(image.name)
        if found is None:
            raise ImageMissing(f"No Python package stands for the image {image.name} here.")
        if image.config_digest not in (None, found.digest):
            raise ImageRefused(f"{image.name} is {found.digest}; the plan names {image.config_digest}.")
        return ResolvedImage(id=found.digest, config_digest=found.digest, environment={"PKG_NAME": found.package})

    # --- a run --------------------------------------------------------------------------------------------------------
    def start(self, spec: SandboxSpec) -> Handle:
        folder = self._folder(spec.name)
        image = self._by_digest.get(spec.image)
        if image is None:
            raise ImageMissing()
        for source in spec.sources:
            if not source.open:
                raise SourceNotOpen()
            if not Path(source.host_path).exists():
                raise SourceMissing()
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError as error:
            raise AlreadyStarted() from error
        try:
            self._fill(folder, spec, image)
            return self._launch(folder, spec.name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _fill(self, folder: Path, spec: SandboxSpec, image: ProcessImage) -> None:
        for name in ("in/files", "out/files"):
            (folder / name).mkdir(parents=True)
        (folder / "out/output").touch(mode=0o600)
        self._scratch(folder, spec.shared_scratch)
        for file in spec.files:
            path = Path(file.path)
            if not path.is_relative_to(folder / "in") or ".." in path.parts:
                raise SpecRefused(f"An input file must be below {folder / 'in'}.")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as sink:
                if isinstance(file.content, bytes):
                    sink.write(file.content)
                else:
                    with file.content.open("rb") as content:
                        shutil.copyfileobj(content, sink, CHUNK_BYTES)
            path.chmod(file.mode)
        (folder / "spec.json").write_text(json.dumps(self._written(folder, spec, image)))
        (folder / "spec.json").chmod(0o600)

    def _scratch(self, folder: Path, job: str | None) -> None:
        if job is None:
            (folder / "tmp").mkdir()
            return
        shared = self._job_folder(job)
        shared.mkdir(exist_ok=True, mode=0o700)
        (folder / "tmp").symlink_to(shared)

    def _job_folder(self, job: str) -> Path:
        return self._jobs / self._folder(job).name

    def _written(self, folder: Path, spec: SandboxSpec, image: ProcessImage) -> dict[str, Any]:
        threads = str(max(1, math.ceil(spec.limits.cpus)))
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(folder / "tmp"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": os.pathsep.join(image.python_path),
            # Compiled once a node, and not beside the sources, which may be somebody else's.
            "PYTHONPYCACHEPREFIX": str(self.root / "pycache"),
            # Nothing here enforces a number of cores; numeric libraries take as many as there are unless told.
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PKG_NAME": image.package,
        }
        return {
            "command": list(spec.command or image.command),
            "environment": environment | dict(spec.environment),
            "cwd": str(folder / "tmp"),
            "largest_file_bytes": max(spec.limits.output_bytes, spec.limits.scratch_bytes),
            "labels": dict(spec.labels),
        }

    def _launch(self, folder: Path, name: str) -> Handle:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(folder)],
            cwd=folder,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own: killed as one, and not with the node
        )
        with self._lock:
            self._children[name] = child
        half = folder / "pid.half"
        half.write_text(json.dumps({"pid": child.pid, "born": born(child.pid)}))
        half.rename(folder / "pid.json")
        return Handle(name, str(child.pid), LOOPBACK)

    def wait(self, handle: Handle, timeout_s: float) -> Exit | None:
        folder = self._known(handle)
        with self._open_pid(folder) as process:
            if process.fd is not None:
                poll = select.poll()
                poll.register(process.fd, select.POLLIN)
                if not poll.poll(max(timeout_s, 0) * 1000):
                    return None
        self._reap(handle.name)
        try:
            ended = json.loads((folder / "exit.json").read_text())
        except FileNotFoundError:  # the supervisor was killed with its group, or with the machine
            return Exit(KILLED)
        return Exit(ended["code"], False, ended["started_at"], ended["finished_at"])

    def logs(self, handle: Handle, tail_bytes: int) -> bytes:
        path = self._known(handle) / "log"
        if not path.exists():
            return b""
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - tail_bytes))
            return file.read(tail_bytes)

    def fetch(self, handle: Handle, path: str, sink: BinaryIO, limit_bytes: int) -> int:
        folder = self._known(handle)
        if not Path(path).is_relative_to(folder / "out") or ".." in Path(path).parts:
            raise OutputMissing()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise OutputMissing() from error
        except OSError as error:
            raise OutputInvalid() from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise OutputInvalid()
        with os.fdopen(descriptor, "rb") as file:
            if status.st_size > limit_bytes:
                raise OutputTooLarge(f"The output has {status.st_size} bytes; the limit is {limit_bytes}.")
            copied = 0
            while chunk := file.read(CHUNK_BYTES):
                copied += len(chunk)
                if copied > limit_bytes:
                    raise OutputTooLarge(f"The output has more than {limit_bytes} bytes, which is the limit.")
                sink.write(chunk)
            return copied

    def outputs(self, handle: Handle) -> tuple[str, ...]:
        folder = self._known(handle) / "out" / "files"
        if folder.is_symlink() or not folder.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)))

    def kill(self, handle: Handle) -> None:
        # It may be gone, or be removed at this very moment: either way there is nothing to end.
        with suppress(FileNotFoundError), self._open_pid(self._runs / handle.name) as process:
            if process.fd is not None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    # --- afterwards ---------------------------------------------------------------------------------------------------
    def remove(self, handle: Handle) -> None:
        folder = self._folder(handle.name)
        if not folder.exists():
            return
        self.kill(handle)
        if self.wait(handle, 10.0) is None:
            raise ExecutorError(f"The sandbox {handle.name} does not end.")
        _remove_tree(folder)

    def end_job(self, job: str) -> None:
        _remove_tree(self._job_folder(job))

    def find(self, labels: Mapping[str, str]) -> list[Handle]:
        handles = [self._handle(folder) for folder in sorted(self._runs.glob("*")) if (folder / "pid.json").exists()]
        return [handle for handle in handles if labels.items() <= self.labels(handle).items()]

    def labels(self, handle: Handle) -> Mapping[str, str]:
        labels: dict[str, str] = json.loads((self._known(handle) / "spec.json").read_text())["labels"]
        return labels

    def _handle(self, folder: Path) -> Handle:
        pid = json.loads((folder / "pid.json").read_text())["pid"]
        return Handle(folder.name, str(pid), LOOPBACK)

    def _known(self, handle: Handle) -> Path:
        folder = self._folder(handle.name)
        if not (folder / "pid.json").exists() or self._handle(folder).id != handle.id:
            raise UnknownHandle()
        return folder

    def _open_pid(self, folder: Path) -> _OpenPid:
        written = json.loads((folder / "pid.json").read_text())
        return _OpenPid(written["pid"], written["born"])

    def _reap(self, name: str) -> None:
        with self._lock:
            child = self._children.pop(name, None)
        if child is not None:
            child.wait(10)


class _OpenPid:
    """A process held by a descriptor, so that its number cannot come to mean another one. `fd` None: it is gone."""

    def __init__(self, pid: int, born_at: int | None):
        self.pid = pid
        self.fd: int | None
        try:
            self.fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self.fd = None
        if self.fd is not None and born(pid) != born_at:  # asked after opening: now the number is pinned
            self._close()

    def __enter__(self) -> _OpenPid:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def born(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[19])


def _remove_tree(folder: Path) -> None:
    """An algorithm may have taken its own folders' permissions away."""

    def allow_and_repeat(call: Any, path: str, _: object) -> None:
        with suppress(OSError):
            Path(path).parent.chmod(0o700)
            if not Path(path).is_symlink():
                Path(path).chmod(0o700)
            call(path)

    shutil.rmtree(folder, onerror=allow_and_repeat)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
