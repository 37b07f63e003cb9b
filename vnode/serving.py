"""The process that is a node: from its start to the end of its drain, and what it tells whoever started it.

Whoever started it reads one JSON line: `{"ready": true}` as soon as the hub has answered, or the error that ended it
(with `"runs": true` if it goes on trying).
"""

import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from vnode.config import NodeSettings
from vnode.daemon import Daemon, Surroundings
from vprotocol.errors import Unreachable, VestalError

log = logging.getLogger(__name__)

CONNECT_WITHIN_S = 60.0
Tell = Callable[[dict[str, Any]], None]


def serve(settings: NodeSettings, around: Surroundings, tell: Tell) -> None:
    """Run a node in this process until SIGTERM or SIGINT, then drain. A second SIGINT does not wait.

    :raises VestalError: what must be mended before this node can work.
    """
    daemon = Daemon(settings, around)
    _stop_on_signals(daemon)
    try:
        daemon.start()
        threading.Thread(target=_tell_when_connected, args=(daemon, tell), name="readiness", daemon=True).start()
        daemon.wait()
        log.info("stopping: waiting at most %d s for what runs", settings.drain)
    finally:
        daemon.stop()


def told_through(descriptor: int | None) -> Tell:
    """Writes one line to an inherited descriptor, and only the first time."""
    left = [descriptor]

    def tell(message: dict[str, Any]) -> None:
        target, left[0] = left[0], None
        if target is None:
            return
        try:
            os.write(target, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            log.info("nobody waits any more for this node to be ready")
        if target > 2:
            os.close(target)

    return tell


def _tell_when_connected(daemon: Daemon, tell: Tell) -> None:
    if daemon.poller.connected.wait(CONNECT_WITHIN_S):
        log.info("connected to %s", daemon.settings.hub.url)
        tell({"ready": True})
        return
    late: VestalError = Unreachable(
        f"The node started, and {daemon.settings.hub.url} has not answered it for {CONNECT_WITHIN_S:.0f} s.",
        hint="It goes on trying; its log says what it meets.",
    )
    log.warning("%s", late)
    tell({**late.to_wire(), "runs": True})


def _stop_on_signals(daemon: Daemon) -> None:
    def stop(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        daemon.request_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
