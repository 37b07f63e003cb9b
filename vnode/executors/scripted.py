"""An executor without processes: images are Python functions. A twin to be used like the real one."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vnode.executors.base import Exit, Handle, ImageRef, Layout, ResolvedImage, SandboxSpec
from vnode.executors.errors import (
    AlreadyStarted,
    ImageMissing,
    ImageRefused,
    OutputMissing,
    OutputTooLarge,
    SourceMissing,
    UnknownHandle,
)

KILLED = 137


@dataclass
class Sandbox:
    """What a behaviour sees. `files` is its file system; `shared` is the job's scratch, or its own."""

    spec: SandboxSpec
    layout: Layout
    files: dict[str, bytes]
    shared: dict[str, bytes]
    killed: threading.Event = field(default_factory=threading.Event)
    log: bytearray = field(default_factory=bytearray)

    @property
    def input(self) -> bytes:
        return self.files[self.layout.input_file]

    def write_output(self, content: bytes, name: str | None = None) -> None:
        path = self.layout.output_file if name is None else f"{self.layout.outputs_folder}/{name}"
        self.files[path] = content


Behaviour = Callable[[Sandbox], int | Exit]


class ScriptedExecutor:
    name = "scripted"
    isolates = True

    def __init__(self, script: Mapping[str, Behaviour] | None = None, proxy_port: int = 7654):
        """`script`: image name → what it does. An exception in a behaviour is exit code 1, its text the log."""
        self.script, self.proxy_port = dict(script or {}), proxy_port
        self._sandboxes: dict[str, _Running] = {}
        self._scratch: dict[str, dict[str, bytes]] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Nothing to give back."""

    def layout(self, name: str) -> Layout:
        root = f"/sandbox/{name}"
        return Layout(
            input_file=f"{root}/in/input",
            output_file=f"{root}/out/output",
            token_file=f"{root}/in/token",
            temporary_folder=f"{root}/tmp",  # noqa: S108
            inputs_folder=f"{root}/in/files",
            outputs_folder=f"{root}/out/files",
            proxy_host="127.0.0.1",
            proxy_port=self.proxy_port,
            sources_folder=f"{root}/sources",
        )

    def resolve_image(self, image: ImageRef) -> ResolvedImage:
        by_digest = {digest_of(name): name for name in self.script}
        if image.config_digest in by_digest:
            return ResolvedImage(image.config_digest, image.config_digest)
        if image.name not in self.script:
            raise ImageMissing()
        if image.config_digest is not None:
            raise ImageRefused()
        return ResolvedImage(digest_of(image.name), digest_of(image.name))

    def start(self, spec: SandboxSpec) -> Handle:
        by_digest = {digest_of(name): behaviour for name, behaviour in self.script.items()}
        if spec.image not in by_digest:
            raise ImageMissing()
        if any(not Path(source.host_path).exists() for source in spec.sources):
            raise SourceMissing()
        layout = self.layout(spec.name)
        files = {file.path: _content(file.content) for file in spec.files} | {layout.output_file: b""}
        files |= {source.inside_path: _content(Path(source.host_path)) for source in spec.sources}
        with self._lock:
            if spec.name in self._sandboxes:
                raise AlreadyStarted()
            shared = self._scratch.setdefault(spec.shared_scratch, {}) if spec.shared_scratch else {}
            running = _Running(Sandbox(spec, layout, files, shared), by_digest[spec.image])
            self._sandboxes[spec.name] = running
        running.start()
        return running.handle

    def wait(self, handle: Handle, timeout_s: float) -> Exit | None:
        running = self._known(handle)
        return running.exit if running.ended.wait(max(timeout_s, 0)) else None

    def logs(self, handle: Handle, tail_bytes: int) -> bytes:
        log = bytes(self._known(handle).sandbox.log)
        return log[-tail_bytes:] if tail_bytes > 0 else b""

    def fetch(self, handle: Handle, path: str, sink: BinaryIO, limit_bytes: int) -> int:
        content = self._known(handle).sandbox.files.get(path)
        if content is None:
            raise OutputMissing()
        if len(content) > limit_bytes:
            raise OutputTooLarge(f"The output has {len(content)} bytes; the limit is {limit_bytes}.")
        return sink.write(content)

    def outputs(self, handle: Handle) -> tuple[str, ...]:
        sandbox = self._known(handle).sandbox
        folder = sandbox.layout.outputs_folder + "/"
        names = (path.removeprefix(folder) for path in sandbox.files if path.startswith(folder))
        return tuple(sorted(name for name in names if "/" not in name))

    def kill(self, handle: Handle) -> None:
        with self._lock:
            running = self._sandboxes.get(handle.name)
        if running is not None:
            running.kill()

    def remove(self, handle: Handle) -> None:
        self.kill(handle)
        with self._lock:
            self._sandboxes.pop(handle.name, None)

    def find(self, labels: Mapping[str, str]) -> list[Handle]:
        with self._lock:
            everything = list(self._sandboxes.values())
        return [each.handle for each in everything if labels.items() <= each.sandbox.spec.labels.items()]

    def labels(self, handle: Handle) -> Mapping[str, str]:
        return self._known(handle).sandbox.spec.labels

    def end_job(self, job: str) -> None:
        with self._lock:
            self._scratch.pop(job, None)

    def _known(self, handle: Handle) -> _Running:
        with self._lock:
            running = self._sandboxes.get(handle.name)
        if running is None or running.handle != handle:
            raise UnknownHandle()
        return running


class _Running:
    """One behaviour in its thread. A kill ends it at once for the caller, however long the thread goes on."""

    def __init__(self, sandbox: Sandbox, behaviour: Behaviour):
        self.sandbox, self.behaviour = sandbox, behaviour
        self.handle = Handle(sandbox.spec.name, f"{sandbox.spec.name}-{id(self):x}", "127.0.0.1")
        self.ended, self.exit = threading.Event(), Exit(KILLED)
        self._lock = threading.Lock()
        self._started_at = time.time()

    def start(self) -> None:
        threading.Thread(target=self._run, name=self.handle.name, daemon=True).start()

    def kill(self) -> None:
        self.sandbox.killed.set()
        self._end(KILLED)

    def _run(self) -> None:
        try:
            self._end(self.behaviour(self.sandbox))
        except Exception as error:
            self.sandbox.log += f"{type(error).__name__}: {error}\n".encode()
            self._end(1)

    def _end(self, result: int | Exit) -> None:
        with self._lock:
            if self.ended.is_set():
                return
            if isinstance(result, Exit):
                self.exit = result
            else:
                self.exit = Exit(result, False, self._started_at, time.time())
            self.ended.set()


def digest_of(name: str) -> str:
    """A scripted image's digest is that of its name."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def _content(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content
    return b"" if content.is_dir() else content.read_bytes()
