"""The serving process: gunicorn with one gevent worker. Started by `vserver start`, never imported by anything.

    python -m vserver.serve CONFIG_FILE LEVEL ENVIRONMENT [--record-requests FILE] [--ready-fd N]

Sockets, locks and threads of the standard library become cooperative before anything else is imported.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import argparse
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import gevent
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from vprotocol.errors import VestalError
from vruntime.cli import exit_code, show_error
from vruntime.clock import SystemClock
from vruntime.contexts import Level
from vruntime.logs import start_logging
from vserver import deployment as deployments
from vserver.app import create_app
from vserver.deployment import Deployment, Running
from vserver.hub import Chore, Hub
from vserver.version import VERSION

log = logging.getLogger("vserver.serve")
KEEP_ALIVE_S = 75
HANGS_AFTER_S = 120


class HubServer(BaseApplication):
    """gunicorn, told by our own configuration file and nothing else."""

    def __init__(self, deployment: Deployment, ready_fd: int | None) -> None:
        self.deployment = deployment
        self.ready_fd = ready_fd
        self.flask: Flask | None = None
        super().__init__()

    def load_config(self) -> None:
        settings = self.deployment.settings
        chosen = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": 1,
            "worker_class": HubWorker,
            "worker_connections": settings.limits.held_requests,
            "timeout": HANGS_AFTER_S,
            "graceful_timeout": int(settings.stop_within_s),
            "keepalive": KEEP_ALIVE_S,
            "accesslog": None,
            "logger_class": QuietLogger,
            "control_socket_disable": True,
            "proc_name": f"vserver {self.deployment.context.name}",
            "post_worker_init": self.worker_is_ready,
            "when_ready": self.tell_where,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        # In the worker, after the fork: a database connection must never be shared with another process.
        self.flask = create_app(self.deployment.settings)
        return self.flask

    def tell_where(self, arbiter: Any) -> None:
        """The port is known now, also one that was left to the machine to choose."""
        settings = self.deployment.settings
        host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        url = settings.public_url or f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
        deployments.write_state(self.deployment, Running(os.getpid(), url, SystemClock().now(), VERSION))

    def worker_is_ready(self, _worker: Any) -> None:
        if self.flask is None:
            raise RuntimeError("the worker is ready before its application")
        hub: Hub = self.flask.extensions["vestal"]
        for chore in hub.chores:
            gevent.spawn(repeat, hub, chore)
        log.info("ready", extra={"name_of_hub": self.deployment.context.name, "version": VERSION})
        if self.ready_fd is not None:
            self._tell_parent(self.ready_fd)

    @staticmethod
    def _tell_parent(ready_fd: int) -> None:
        try:
            os.write(ready_fd, b"1")
        except BrokenPipeError:
            log.info("a new worker has taken over")  # nobody waits any more: this is not the first one
        os.close(ready_fd)


def repeat(hub: Hub, chore: Chore) -> None:
    """Do a chore for ever; one that fails is logged and tried again the next time."""
    while not hub.signals.closed:
        try:
            chore.do(hub)
        except Exception:
            log.exception("a chore failed", extra={"chore": chore.name})
        hub.clock.sleep(chore.every_s)


class HubWorker(GeventWorker):
    """Stops without keeping anybody waiting: held requests answer, idle connections close, the rest may finish."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._idle: set[socket.socket] = set()

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        self._idle.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: socket.socket, addr: Any) -> Any:
        self._idle.discard(sock)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            self._idle.add(sock)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._let_go)  # a signal handler must not wait for a lock

    def _let_go(self) -> None:
        app = self.app
        if isinstance(app, HubServer) and app.flask is not None:
            app.flask.extensions["vestal"].signals.close()
        for client in list(self._idle):
            try:
                client.shutdown(socket.SHUT_RD)
            except OSError:
                log.debug("a connection was closed already")


class QuietLogger(Logger):
    """gunicorn's words go where all others go."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True
        self.error_log.setLevel(logging.INFO)
        self.access_log.disabled = True


def main() -> int:
    parser = argparse.ArgumentParser(prog="vserver.serve")
    parser.add_argument("config_file")
    parser.add_argument("level", type=Level)
    parser.add_argument("environment")
    parser.add_argument("--record-requests", type=Path)
    parser.add_argument("--ready-fd", type=int)
    given = parser.parse_args()
    try:
        deployment = deployments.load(given.config_file, environment=given.environment, level=given.level)
        if given.record_requests is not None:
            changed = deployment.settings.model_copy(update={"record_requests": given.record_requests})
            deployment = Deployment(deployment.context, changed)
        start_logging(
            level=deployment.settings.log_level.upper(),
            file=deployment.log_file,
            console=given.ready_fd is None,  # in the background standard error is the log file already
        )
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with deployments.locked(deployment):
            HubServer(deployment, given.ready_fd).run()
    except VestalError as error:
        show_error(error)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
