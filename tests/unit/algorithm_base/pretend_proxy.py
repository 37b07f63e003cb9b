"""The container contract over real HTTP, on a port that the system chose: what a node's proxy answers."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from algorithm_base.environment import ProxyAddress

SUBJECT = {
    "client_type": "container",
    "node_id": 7,
    "organization_id": 2,
    "collaboration_id": 5,
    "study_id": None,
    "store_id": None,
    "task_id": 40,
    "image": "registry.example.org/stats@sha256:00",
    "databases": [{"label": "default"}],
}


def token(subject: dict[str, Any] | None = None) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'sub': subject or SUBJECT})}.{part('signature')}"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class PretendProxy:
    """Answers every order with `answer(organization_id, order)`: bytes, or None for a failed run."""

    answer: Callable[[int, dict[str, Any]], bytes | None]
    address: ProxyAddress
    statuses: list[str] = field(default_factory=lambda: ["completed"])  # the last one stays
    results_name_their_organization: bool = True
    requests: list[Request] = field(default_factory=list)
    interrupt: list[Any] = field(default_factory=list)  # what happens to the next requests: (status, body) or "drop"
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, int] = field(default_factory=dict)
    percents: list[int] = field(default_factory=list)

    def reply(self, request: Request) -> tuple[int, Any]:
        match (request.method, request.path.strip("/").split("/")):
            case ("GET", ["api", "organization"]):
                return 200, page([{"id": n, "name": f"hospital-{n}"} for n in (1, 2, 3)])
            case ("POST", ["api", "task"]):
                return 201, {"id": self._create(request)}
            case ("GET", ["api", "task", task_id, "status"]):
                assert int(task_id) in self.tasks
                return 200, {"status": self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]}
            case ("GET", ["api", "result"]):
                return 200, page(self._results(int(request.query["task_id"])))
            case ("GET", ["api", "run"]):
                return 200, page(self._runs(int(request.query["task_id"])))
            case ("PUT", ["api", "progress"]):
                self.percents.append(request.body["percent"])
                return 200, {}
        return 404, {"msg": "there is no such call"}

    def _create(self, request: Request) -> int:
        key = request.headers["Idempotency-Key"]
        if key not in self.by_key:
            self.by_key[key] = len(self.tasks) + 100
            self.tasks[self.by_key[key]] = request.body
        return self.by_key[key]

    def _runs(self, task_id: int) -> list[dict[str, Any]]:
        """Newest first, and not in the order in which the organizations were asked."""
        asked = self.tasks[task_id]["organizations"]
        runs = [{"id": task_id * 10 + number, "organization": {"id": each["id"]}} for number, each in enumerate(asked)]
        return sorted(runs, key=lambda run: run["id"], reverse=True)

    def _results(self, task_id: int) -> list[dict[str, Any]]:
        orders = {e["id"]: json.loads(base64.b64decode(e["input"])) for e in self.tasks[task_id]["organizations"]}
        items = []
        for run in self._runs(task_id):
            organization_id = run["organization"]["id"]
            content = self.answer(organization_id, orders[organization_id])
            item = {
                "id": run["id"] + 5000,
                "result": None if content is None else base64.b64encode(content).decode(),
                "blob_storage_used": False,
                "run": {"id": run["id"], "link": f"/run/{run['id']}", "methods": ["GET"]},
            }
            if self.results_name_their_organization:
                item["organization_id"] = organization_id
            items.append(item)
        return items


def page(items: list[Any]) -> dict[str, Any]:
    return {"data": items, "links": {"self": "/"}}


@contextmanager
def pretend_proxy(
    folder: Path, answer: Callable[[int, dict[str, Any]], bytes | None] = lambda _, order: json.dumps(order).encode()
) -> Iterator[PretendProxy]:
    token_file = folder / "token"
    token_file.write_text(token())

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            request = Request(
                self.command, url.path, query, dict(self.headers), json.loads(content) if content else None
            )
            request.headers["Idempotency-Key"] = self.headers.get("Idempotency-Key", "")
            proxy.requests.append(request)
            happens = proxy.interrupt.pop(0) if proxy.interrupt else None
            if happens == "drop after work":  # the answer is lost, the work is done
                proxy.reply(request)
            if happens in ("drop", "drop after work"):
                self.close_connection = True
                return
            status, body = happens or proxy.reply(request)
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = PretendProxy(answer, ProxyAddress(f"http://127.0.0.1:{server.server_port}/api", token_file))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
