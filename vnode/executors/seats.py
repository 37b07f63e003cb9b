"""Places for sandboxes, made ahead of time: a private network, a volume, and a small container that holds both.

A sandbox joins its seat's network namespace, so nothing is set up when it starts: that halves the time of a start
(docs/adr/0009-seats.md). A seat is cleaned before somebody else gets it; one that cannot be cleaned is made anew.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, NotFound

from vnode.executors.archive import Entry, pack
from vnode.executors.channel import Channel, ChannelBroken
from vnode.executors.docker_convert import (
    LABEL_KIND,
    LABEL_NODE,
    LABEL_SEAT,
    NO_DNS,
    PROXY_ALIAS,
    SANDBOX_USER,
    SEAT_FOLDER,
    SEAT_MOUNT,
    Place,
    endpoint,
    hardened,
    volume_mount,
)
from vnode.executors.errors import ExecutorError, NetworksExhausted, OutputInvalid, OutputMissing, OutputTooLarge
from vnode.executors.network import PrivateNetwork

log = logging.getLogger(__name__)

ATTENDANT = Path(__file__).parent / "inside" / "attend.py"
MEMORY_BYTES = 96 << 20
INLINE_BYTES = 1 << 20  # larger files take the archive API, whose price is then lost in their own
CLEAN_TIMEOUT_S = 120.0
REMOVERS = 6


class Seat:
    """One place. `ready` makes or mends it; only its holder calls it."""

    def __init__(self, api: docker.APIClient, node: str, network: PrivateNetwork, image: str):
        self._api, self.node, self.network, self.image = api, node, network, image
        self._container: str | None = None
        self._channel: Channel | None = None

    @property
    def name(self) -> str:
        return self.network.name.replace("-net-", "-seat-")

    @property
    def place(self) -> Place:
        return Place(self.name, self.network.sandbox_address, self.name)

    def ready(self) -> None:
        if self._channel is None:
            self._make()

    def resume(self) -> bool:
        """After a restart of the node, with a sandbox still sitting here."""
        try:
            self._channel = Channel(self._api, self.name)
        except ExecutorError:
            return False
        return True

    def take(self, entries: Iterable[Entry]) -> None:
        """Put a run's files here. A seat that died meanwhile (the engine was restarted, say) is made anew first."""
        written = [_written(entry) for entry in entries]
        self.ready()
        try:
            reply = self._ask(do="fill", entries=written)
        except ChannelBroken:
            self.break_up()
            self.ready()
            reply = self._ask(do="fill", entries=written)
        if "error" in reply:
            self.break_up()
            raise ChannelBroken(f"The place of a sandbox could not be filled: {reply['error']}.")

    def read(self, path: str, limit_bytes: int) -> bytes | None:
        """A small file's content; None for a larger one, if its size is within the limit."""
        reply = self._ask(do="read", path=path, inline_bytes=min(INLINE_BYTES, limit_bytes))
        match reply:
            case {"missing": True}:
                raise OutputMissing()
            case {"invalid": True}:
                raise OutputInvalid()
            case {"content": str(content)}:
                return base64.b64decode(content)
            case {"size": int(size)} if size > limit_bytes:
                raise OutputTooLarge(f"The output has {size} bytes; the limit is {limit_bytes}.")
            case {"size": int()}:
                return None
        raise ChannelBroken()

    def names(self, path: str, limit: int) -> tuple[str, ...]:
        reply = self._ask(do="names", path=path, limit=limit)
        if "error" in reply:
            raise OutputTooLarge(f"There are more than {limit} outputs, which is the limit.")
        return tuple(sorted(reply["names"]))

    def clean(self) -> None:
        """Empty, or to be made anew: never as it is."""
        try:
            if "error" not in self._ask(timeout_s=CLEAN_TIMEOUT_S, do="clean"):
                return
        except ChannelBroken:
            pass
        self.break_up()

    def break_up(self) -> None:
        """`ready` makes it anew."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def remove(self) -> None:
        self.break_up()
        with suppress(NotFound):
            self._api.remove_container(self.name, force=True, v=True)
        with suppress(NotFound):
            self._api.remove_volume(self.name)

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._channel is None:
            raise ChannelBroken()
        return self._channel.ask(**request)

    def _make(self) -> None:
        self.remove()
        container = self._api.create_container_from_config(self._body(), self.name)["Id"]
        # A fresh volume's root is root's: the sandbox's user gets a folder in it.
        self._api.put_archive(container, SEAT_MOUNT, pack([Entry(Path(SEAT_FOLDER).name, 0o755, SANDBOX_USER)]))
        self._api.start(container)
        self._channel = Channel(self._api, container)

    def _body(self) -> dict[str, Any]:
        network = self.network
        labels = {LABEL_NODE: self.node, LABEL_KIND: "seat", LABEL_SEAT: self.name}
        return {
            "Image": self.image,
            "Entrypoint": ["python3", "-I", "-S", "-c", ATTENDANT.read_text(), SEAT_FOLDER],
            "Cmd": [],
            "Hostname": "sandbox",
            "User": f"{SANDBOX_USER}:{SANDBOX_USER}",
            "OpenStdin": True,
            "StdinOnce": False,
            "Labels": labels,
            "HostConfig": hardened(MEMORY_BYTES, pids=16)
            | {
                "NetworkMode": network.name,
                "Dns": [NO_DNS],
                "DnsSearch": ["."],
                "DnsOptions": ["timeout:1", "attempts:1"],  # a look-up fails, and soon
                "ExtraHosts": [f"{PROXY_ALIAS}:{network.proxy_address}"],
                "Mounts": [volume_mount(SEAT_MOUNT, self.name, labels)],
                "LogConfig": {"Type": "none", "Config": {}},  # it says what files hold
            },
            "NetworkingConfig": endpoint(network.name, network.sandbox_address),
        }


def _written(entry: Entry) -> dict[str, Any]:
    content = base64.b64encode(entry.content).decode() if isinstance(entry.content, bytes) else None
    return {"path": entry.path, "mode": entry.mode, "content": content}


class SeatPool:
    """Who has which seat. A seat that is not ready is in no list, so that nobody waits for one in vain."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._free: list[Seat] = []
        self._changed = threading.Condition()

    def fill(self, seats: Collection[Seat]) -> None:
        with self._changed:
            self._seats = {seat.name: seat for seat in seats}
            self._free = []

    def by_name(self, name: str) -> Seat | None:
        return self._seats.get(name)

    def make(self, seat: Seat) -> None:
        """Ready or not, it is free afterwards: whoever takes one that is not learns why."""
        try:
            seat.ready()
        except (ExecutorError, DockerException, OSError) as error:
            log.warning("seat %s could not be made ahead of time: %s", seat.name, error)
        with self._changed:
            if seat not in self._free:
                self._free.append(seat)
            self._changed.notify()

    def acquire(self, timeout_s: float) -> Seat:
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout_s):
                raise NetworksExhausted()
            return self._free.pop(0)

    def release(self, seat: Seat) -> None:
        """Clean, then free."""
        seat.clean()
        self.make(seat)

    def remove_all(self) -> None:
        with self._changed:
            seats, self._seats, self._free = list(self._seats.values()), {}, []
        with ThreadPoolExecutor(REMOVERS) as removers:
            list(removers.map(Seat.remove, seats))
