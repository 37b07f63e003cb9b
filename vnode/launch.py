"""From settings to what the daemon needs around it: an executor, and a place where the proxy listens."""

import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from vnode.config import NodeSettings
from vnode.daemon import Surroundings
from vnode.executors.attachment import ProxyAttachment
from vnode.executors.docker import DockerExecutor
from vnode.executors.node_container import container_name
from vnode.executors.process import LOOPBACK, ProcessExecutor
from vnode.executors.process_image import process_image
from vprotocol.errors import ConfigInvalid
from vruntime.atomic import make_private_folder, write_atomically

PROXY_PORT = 7654  # on the private networks, where nobody else is
BACKLOG = 256
LONGEST_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108, its end included


def surroundings(settings: NodeSettings, data_folder: Path, *, inside_container: bool) -> Surroundings:
    """What a daemon in this process works with. Nothing is started yet, but the proxy's port is taken.

    :param data_folder: the node's own, where nobody else writes.
    :param inside_container: this process runs in the container `vnode-NAME`.
    :raises EngineUnreachable: the executor is `docker` and no engine answers.
    :raises ImageMissing: a process image is not where the configuration says.
    """
    make_private_folder(data_folder)
    if settings.executor == "process":
        return _with_processes(settings, data_folder)
    if inside_container:
        attachment = ProxyAttachment(port=PROXY_PORT, self_container=container_name(settings.name))
        executor = docker_executor(settings, attachment)
        return Surroundings(data_folder, executor, proxy_address=("0.0.0.0", PROXY_PORT))
    place = _socket_place(data_folder)
    executor = docker_executor(settings, ProxyAttachment(port=PROXY_PORT, socket=place))
    return Surroundings(data_folder, executor, proxy_socket=place)


def docker_executor(settings: NodeSettings, attachment: ProxyAttachment | None = None) -> DockerExecutor:
    """The executor `docker` as these settings want it."""
    return DockerExecutor(
        settings.name,
        proxy=attachment,
        network_pool=settings.network_pool,
        slots=2 * settings.max_runs,  # as many again may wait for subtasks
        probe_targets=(hub_address(settings),),
        relay_image=settings.image,
    )


def hub_address(settings: NodeSettings) -> tuple[str, int]:
    """Host and port of the hub: what no sandbox may reach."""
    url = urlsplit(settings.hub.url)
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        raise ConfigInvalid(f"hub.url: {settings.hub.url} has no valid port") from None
    return url.hostname or "", port


def _with_processes(settings: NodeSettings, data_folder: Path) -> Surroundings:
    images = [process_image(one.name, one.package, one.path) for one in settings.process_images]
    listener = _listener(data_folder / "proxy-port")
    port: int = listener.getsockname()[1]
    executor = ProcessExecutor(data_folder / "sandboxes", images, proxy_port=port)
    return Surroundings(data_folder, executor, proxy_listener=listener)


def _listener(remembered: Path) -> socket.socket:
    """On a free port; after a restart on the same, because algorithms that still run were told that one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listener.bind((LOOPBACK, int(remembered.read_text())))
        except (OSError, ValueError, OverflowError):  # the first start, or somebody else has the port now
            listener.bind((LOOPBACK, 0))
        listener.listen(BACKLOG)
        write_atomically(remembered, str(listener.getsockname()[1]).encode())
    except BaseException:
        listener.close()
        raise
    return listener


def _socket_place(data_folder: Path) -> Path:
    """In the data folder, or, where that path is too long for a socket, in a private folder below /tmp."""
    place = data_folder.resolve() / "proxy" / "proxy.sock"
    if len(os.fsencode(place)) <= LONGEST_SOCKET_PATH_BYTES:
        return place
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
    folder = make_private_folder(Path(tempfile.gettempdir()) / f"vestal-{os.getuid()}-{digest}")
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigInvalid(
            f"{folder} belongs to somebody else or is open to others",
            hint="Remove it, or choose a data folder with a shorter path (VESTAL_HOME).",
        )
    return folder / "proxy.sock"
