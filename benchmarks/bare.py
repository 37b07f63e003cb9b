"""The floor of the hub: Flask with a JSON answer and nothing behind it, served just as the hub is.

It writes its address to stdout when it listens.
"""

if __name__ == "__main__":  # before anything else is imported, and never in a process that only imports this
    from gevent import monkey

    monkey.patch_all()

import sys
from typing import Any

from flask import Flask, Response, jsonify, request
from gunicorn.app.base import BaseApplication

KEEP_ALIVE_S = 75


def create_app() -> Flask:
    app = Flask("bare")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path: str) -> Response:
        body = request.get_json(silent=True) if request.method == "POST" else None
        return jsonify({"path": path, "fields": len(body) if isinstance(body, dict) else 0})

    return app


class BareServer(BaseApplication):
    def load_config(self) -> None:
        chosen = {
            "bind": "127.0.0.1:0",
            "workers": 1,
            "worker_class": "gevent",
            "worker_connections": 10_000,
            "keepalive": KEEP_ALIVE_S,
            "accesslog": None,
            "loglevel": "error",
            "control_socket_disable": True,
            "when_ready": self.tell_where,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return create_app()

    @staticmethod
    def tell_where(arbiter: Any) -> None:
        host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        print(f"http://{host}:{port}", flush=True)


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    BareServer().run()
