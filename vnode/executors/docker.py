"""Algorithms in containers: the isolating executor.

A start is two calls (create, start) and a line to the seat, an end is two (wait, inspect) and a line. Seats wait in a
pool; removing happens behind the run's back. What isolates stands in `docker_convert`, `network` and `seats`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, BinaryIO

import docker
from docker.errors import APIError, DockerException, NotFound
from urllib3.exceptions import ReadTimeoutError

from vnode.executors import docker_convert as convert
from vnode.executors.archive import CHUNK_BYTES, Entry, pack, regular_files, unpack_file
from vnode.executors.attachment import ProxyAttachment, attach, detach
from vnode.executors.base import Exit, Handle, ImageRef, Layout, ResolvedImage, SandboxSpec
from vnode.executors.channel import ChannelBroken
from vnode.executors.errors import (
    AlreadyStarted,
    EngineBusy,
    EngineUnreachable,
    ExecutorError,
    ImageMissing,
    OutputMissing,
    ProbeFailed,
    SourceMissing,
    StartFailed,
    UnknownHandle,
)
from vnode.executors.images import Images
from vnode.executors.network import NetworkPool
from vnode.executors.probe import check_isolation
from vnode.executors.seats import INLINE_BYTES, Seat, SeatPool

log = logging.getLogger(__name__)

MAX_OUTPUTS = 10_000
REMOVERS = 6
SEAT_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 60.0


class DockerExecutor:
    name = "docker"
    isolates = True

    def __init__(
        self,
        node: str,
        client: docker.DockerClient | None = None,
        proxy: ProxyAttachment | None = None,
        network_pool: str = "10.213.0.0/16",
        slots: int = 4,
        probe_targets: Sequence[tuple[str, int]] = (),
        relay_image: str | None = None,
        pull_timeout_s: float = 1800.0,
        call_timeout_s: float = 120.0,
    ):
        """`node`: part of every name made here. `slots`: sandboxes at once. `probe_targets`: hub host and port.

        `relay_image`: an image with python3, for the relay and the probe; without one nothing is probed or relayed and
        `prepare` fails.
        """
        self.node, self.proxy, self.probe_targets = node, proxy or ProxyAttachment(), tuple(probe_targets)
        self.relay_image = relay_image
        with _engine():
            client = client or docker.from_env(timeout=int(call_timeout_s), max_pool_size=3 * slots + 16)
        self._client, self._api = client, client.api
        self._images = Images(self._api, pull_timeout_s)
        spare = max(2, slots // 4)  # places of sandboxes that are just being removed
        self._networks = NetworkPool(self._api, node, IPv4Network(network_pool), slots + spare)
        self._seats = SeatPool()
        self._sitting: dict[str, Seat] = {}
        self._leaving: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._removers = ThreadPoolExecutor(REMOVERS, thread_name_prefix="sandbox-remover")

    # --- once ---------------------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        with _engine():
            engine_version = self._api.version()["Version"]
            sitting = {entry["Labels"][convert.LABEL_SEAT]: entry for entry in self._recover()}
            self._networks.prepare(engine_version, busy={seat.replace("-seat-", "-net-") for seat in sitting})
            image = self._helper_image()
            seats = [Seat(self._api, self.node, self._networks.network(name), image) for name in self._networks.names()]
            self._seats.fill(seats)
            for seat in seats:
                if seat.name in sitting:
                    seat.resume()
                    self._sitting[convert.handle_of(sitting[seat.name]).name] = seat
                else:
                    self._removers.submit(self._seats.make, seat)
            attach(self._api, self._networks, self.proxy, image)
            self._probe(image)

    def _recover(self) -> list[dict[str, Any]]:
        """Sandboxes of an earlier life stay if they were started; all else that it left halfway is removed."""
        kept, volumes = [], set()
        for entry in self._listed():
            if entry["Labels"].get(convert.LABEL_KIND) == "sandbox" and entry["State"] != "created":
                kept.append(entry)
                volumes.add(entry["Labels"][convert.LABEL_VOLUME])
            elif entry["Labels"].get(convert.LABEL_KIND) in ("sandbox", "probe", "listener"):
                with suppress(NotFound):
                    self._api.remove_container(entry["Id"], force=True, v=True)
        labels = [f"{convert.LABEL_NODE}={self.node}", f"{convert.LABEL_KIND}=volume"]
        for volume in self._api.volumes(filters={"label": labels})["Volumes"] or ():
            if volume["Name"] not in volumes:
                with suppress(APIError):
                    self._api.remove_volume(volume["Name"])
        return kept

    def _helper_image(self) -> str:
        if self.relay_image is None:
            raise ProbeFailed("No image with python3 is named (`relay_image`), so the isolation cannot be tested.")
        return self._images.resolve(ImageRef(self.relay_image)).id

    def _probe(self, image: str) -> None:
        seat = self._seats.acquire(SEAT_TIMEOUT_S)
        try:
            seat.ready()
            check_isolation(self._api, self.node, image, seat.name, self.probe_targets, (seat.network.gateway_address,))
        finally:
            self._seats.release(seat)

    def close(self) -> None:
        with self._lock:
            leaving = list(self._leaving.values())
        wait(leaving, CLOSE_TIMEOUT_S)
        self._removers.shutdown(wait=True)
        try:
            if not any(entry["Labels"].get(convert.LABEL_KIND) == "sandbox" for entry in self._listed()):
                detach(self._api, self._networks, self.proxy)
                self._seats.remove_all()
                self._networks.remove_all()
        except (DockerException, OSError) as error:
            log.warning("networks and relay of %s stay until the next start: %s", self.node, error)
        self._client.close()

    # --- before a run -------------------------------------------------------------------------------------------------
    def layout(self, name: str) -> Layout:
        return convert.layout(self.proxy.port)

    def resolve_image(self, image: ImageRef) -> ResolvedImage:
        with _engine():
            return self._images.resolve(image)

    # --- a run --------------------------------------------------------------------------------------------------------
    def start(self, spec: SandboxSpec) -> Handle:
        entries = tuple(convert.entries(spec))
        self._await_removal(spec.name)
        with _engine():
            seat = self._seats.acquire(SEAT_TIMEOUT_S)
            try:
                seat.take(entries if _small(entries) else ())
                container = self._create(spec, seat.place)
            except BaseException:
                self._removers.submit(self._seats.release, seat)
                raise
            handle = Handle(spec.name, container, seat.place.address)
            self._sitting[spec.name] = seat
            try:
                if not _small(entries):
                    self._api.put_archive(container, convert.SEAT_FOLDER, pack(entries))
                self._start(container)
            except BaseException:
                self._remove_later(handle, seat.name, convert.run_volume(self.node, spec.name))
                raise
            return handle

    def _create(self, spec: SandboxSpec, place: convert.Place) -> str:
        try:
            created = self._api.create_container_from_config(convert.create_body(spec, self.node, place), spec.name)
        except APIError as error:
            raise _create_error(error) from error
        return str(created["Id"])

    def _start(self, container: str) -> None:
        try:
            self._api.start(container)
        except APIError as error:
            raise StartFailed(f"The image could not be started: {error.explanation}") from error

    def wait(self, handle: Handle, timeout_s: float) -> Exit | None:
        with _known(handle), _engine():
            patience: Any = max(timeout_s, 0.001)  # requests takes fractions of seconds; docker's stubs do not
            try:
                self._api.wait(handle.id, timeout=patience)
            except OSError as error:
                if _timed_out(error):
                    return None
                raise
            return convert.exit_of(self._api.inspect_container(handle.id)["State"])

    def logs(self, handle: Handle, tail_bytes: int) -> bytes:
        """A line has a byte at least, so that many lines are enough."""
        tail: deque[bytes] = deque()
        held = 0
        with _known(handle), _engine():
            for piece in self._api.logs(handle.id, stream=True, follow=False, tail=max(tail_bytes, 1)):
                tail.append(piece)
                held += len(piece)
                while held - len(tail[0]) >= tail_bytes and len(tail) > 1:
                    held -= len(tail.popleft())
        return b"".join(tail)[-tail_bytes:] if tail_bytes > 0 else b""

    def fetch(self, handle: Handle, path: str, sink: BinaryIO, limit_bytes: int) -> int:
        seat, within = self._sitting.get(handle.name), convert.seat_path(path)
        if within is None:
            raise OutputMissing()
        if seat is not None:
            with suppress(ChannelBroken):
                content = seat.read(within, limit_bytes)
                if content is not None:
                    return sink.write(content)
        with self._archive(handle, path) as pieces:
            return unpack_file(pieces, sink, limit_bytes)

    def outputs(self, handle: Handle) -> tuple[str, ...]:
        folder = self.layout(handle.name).outputs_folder
        seat, within = self._sitting.get(handle.name), convert.seat_path(folder)
        if seat is not None and within is not None:
            with suppress(ChannelBroken):
                return seat.names(within, MAX_OUTPUTS)
        with self._archive(handle, folder) as pieces:
            return regular_files(pieces, MAX_OUTPUTS)

    @contextmanager
    def _archive(self, handle: Handle, path: str) -> Iterator[Iterator[bytes]]:
        with _known(handle), _engine():
            try:
                pieces, _ = self._api.get_archive(handle.id, path, chunk_size=CHUNK_BYTES)
            except NotFound as error:
                if "no such container" in str(error.explanation).lower():
                    raise
                raise OutputMissing() from error
            with contextlib.closing(pieces):
                yield pieces

    def kill(self, handle: Handle) -> None:
        with _engine():
            try:
                self._api.kill(handle.id)
            except APIError as error:
                if error.status_code not in (404, 409):  # gone, or ended already
                    raise

    # --- afterwards ---------------------------------------------------------------------------------------------------
    def remove(self, handle: Handle) -> None:
        """Behind the run's back: `find` does not show it from now on, its name is free when `start` needs it."""
        with self._lock:
            if handle.name in self._leaving:
                return
        labels = self._labels(handle)
        if labels is not None:
            if labels.get(convert.LABEL_PROFILE) == "compat" and (seat := self._sitting.get(handle.name)):
                seat.break_up()  # root may have changed the names file that a seat and its sandboxes share
            self._remove_later(handle, labels[convert.LABEL_SEAT], labels[convert.LABEL_VOLUME])

    def _remove_later(self, handle: Handle, seat: str, volume: str) -> None:
        with self._lock:
            if handle.name not in self._leaving:
                self._leaving[handle.name] = self._removers.submit(self._remove_now, handle, seat, volume)

    def _remove_now(self, handle: Handle, seat_name: str, volume: str) -> None:
        try:
            with suppress(NotFound):
                self._api.remove_container(handle.id, force=True, v=True)
            self._sitting.pop(handle.name, None)
            with suppress(NotFound):
                self._api.remove_volume(volume)
        except (DockerException, OSError) as error:
            log.warning("sandbox %s could not be removed; the next start tries again: %s", handle.name, error)
            return
        finally:
            with self._lock:
                self._leaving.pop(handle.name, None)
        seat = self._seats.by_name(seat_name)
        if seat is not None:
            self._seats.release(seat)

    def _await_removal(self, name: str) -> None:
        with self._lock:
            leaving = self._leaving.get(name)
        if leaving is not None:
            leaving.result(SEAT_TIMEOUT_S)

    def end_job(self, job: str) -> None:
        with self._lock:
            leaving = list(self._leaving.values())
            self._leaving[convert.scratch_volume(self.node, job)] = self._removers.submit(
                self._remove_scratch, job, leaving
            )

    def _remove_scratch(self, job: str, leaving: Collection[Future[None]]) -> None:
        volume = convert.scratch_volume(self.node, job)
        wait(leaving, SEAT_TIMEOUT_S)
        try:
            with suppress(NotFound):
                self._api.remove_volume(volume)
        except (DockerException, OSError) as error:
            log.warning("the scratch volume of job %s stays: %s", job, error)
        finally:
            with self._lock:
                self._leaving.pop(volume, None)

    # --- what there is ------------------------------------------------------------------------------------------------
    def find(self, labels: Mapping[str, str]) -> list[Handle]:
        with self._lock:
            leaving = set(self._leaving)
        with _engine():
            handles = map(convert.handle_of, self._listed({**labels, convert.LABEL_KIND: "sandbox"}))
            return [handle for handle in handles if handle.name not in leaving]

    def labels(self, handle: Handle) -> Mapping[str, str]:
        labels = self._labels(handle)
        if labels is None:
            raise UnknownHandle()
        return labels

    def _labels(self, handle: Handle) -> dict[str, str] | None:
        with _engine():
            try:
                labels: dict[str, str] = self._api.inspect_container(handle.id)["Config"]["Labels"]
            except NotFound:
                return None
            return labels

    def _listed(self, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        wanted = {**(labels or {}), convert.LABEL_NODE: self.node}
        listed: list[dict[str, Any]] = self._api.containers(
            all=True, filters={"label": [f"{key}={value}" for key, value in wanted.items()]}
        )
        return listed


@contextmanager
def _engine() -> Iterator[None]:
    """What the engine's client raises becomes ours."""
    try:
        yield
    except ExecutorError:
        raise
    except APIError as error:
        raise ExecutorError(f"The container engine answered: {error.explanation}") from error
    except DockerException as error:
        raise EngineUnreachable(f"The container engine does not answer: {error}") from error
    except OSError as error:
        if _timed_out(error):
            raise EngineBusy() from error
        raise EngineUnreachable(f"The container engine does not answer: {error}") from error


@contextmanager
def _known(handle: Handle) -> Iterator[None]:
    try:
        yield
    except ExecutorError as error:
        if isinstance(error.__cause__, NotFound) and "no such container" in str(error.__cause__.explanation).lower():
            raise UnknownHandle() from error
        raise


def _timed_out(error: OSError) -> bool:
    return isinstance(error, TimeoutError) or any(isinstance(cause, ReadTimeoutError) for cause in error.args)


def _small(entries: Collection[Entry]) -> bool:
    contents = [entry.content for entry in entries]
    return not any(isinstance(content, Path) for content in contents) and (
        sum(len(content) for content in contents if isinstance(content, bytes)) <= INLINE_BYTES
    )


CREATE_ERRORS: tuple[tuple[int, str, Callable[[], ExecutorError]], ...] = (
    (404, "no such image", ImageMissing),
    (409, "is already in use", AlreadyStarted),
    (400, "bind source path does not exist", SourceMissing),
)


def _create_error(error: APIError) -> ExecutorError:
    said = str(error.explanation).lower()
    for status, words, ours in CREATE_ERRORS:
        if error.status_code == status and words in said:
            return ours()
    return StartFailed(f"The engine refused the sandbox: {error.explanation}")
