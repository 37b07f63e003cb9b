"""A whole federation in one process: a hub that keeps what it is given, sites that really open, run, seal and sign.

The hub speaks WSGI. `lie` may change any answer before it leaves the hub, `do` is what the algorithms compute; with
both a test can be every kind of hub and site that it needs. The cryptography is the real one.
"""

import base64
import io
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import requests

from tests.wsgi_adapter import WsgiAdapter
from vprotocol.envelope import Context, Parts, PayloadKind, Suite, inspect, open_bytes, seal_bytes
from vprotocol.envelope.format import write_prefix, write_suffix
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.messages.orders import Order
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedRun, SignedPlan, expected_root_run, root_runs
from vprotocol.reasons import Reason
from vprotocol.receipt import OpenedInput, Receipt, ReceiptOutput, SignedReceipt
from vprotocol.subtask import RunName
from vprotocol.workflow.check import check_acyclic

DIGEST = "sha256:" + "d1" * 32
IMAGE = f"registry.example.org/stats@{DIGEST}"
YEAR_S = 365 * 86_400
INLINE = 64 * 1024


class Fails(Exception):
    """Raised by `do`: the run ends like this."""

    def __init__(self, reason: Reason, state: str = "failed") -> None:
        super().__init__(reason.value)
        self.reason, self.state = reason, state


@dataclass
class Asked:
    """What an algorithm gets at a site."""

    site: "Site"
    path: str
    order: Order
    inputs: dict[str, list[Any]]


@dataclass
class Site:
    number: int
    name: str
    log: KeyLog
    root: PrivateKey
    organization: PrivateKey
    node: PrivateKey

    @classmethod
    def new(cls, number: int, name: str, now: int, users: dict[str, PublicKey] | None = None) -> "Site":
        root, organization, node = (
            PrivateKey.generate(kind) for kind in (KeyKind.ROOT, KeyKind.ORGANIZATION, KeyKind.NODE)
        )
        log = KeyLog.create(root, name, now)
        for subject, key in (("organization", organization.public), ("node", node.public), *(users or {}).items()):
            log = log.certify(root, key, subject, now, now + YEAR_S)
        return cls(number, name, log.sign_head(node, now), root, organization, node)

    def certify(self, key: PublicKey, subject: str, now: int) -> None:
        self.log = self.log.certify(self.root, key, subject, now, now + YEAR_S).sign_head(self.node, now)

    @property
    def fingerprint(self) -> str:
        return self.log.fingerprint


@dataclass
class HeldJob:
    plan: SignedPlan
    runs: list[dict[str, Any]]
    version: int = 1
    ended: bool = False
    cancelled: bool = False


@dataclass
class Federation:
    names: tuple[str, ...] = ("Alpha", "Beta", "Gamma")
    encrypted: bool = True
    now: int = field(default_factory=lambda: int(time.time()))
    do: Callable[[Asked], Any] = lambda asked: {"site": asked.site.name, "method": asked.order.method}
    log_text: bytes = b"something went wrong\x1b[2J\xff"
    lie: Callable[[str, str, Any], Any] = lambda method, path, body: body
    never_ends: bool = False

    def __post_init__(self) -> None:
        self.user = PrivateKey.generate(KeyKind.USER)
        self.sites = [
            Site.new(10 + at, name, self.now, {"ada": self.user.public} if at == 0 else None)
            for at, name in enumerate(self.names)
        ]
        self.home = self.sites[0]
        self.collaboration = {
            "id": 1,
            "self": "/api/v1/collaboration/1",
            "methods": [],
            "links": {},
            "name": "c0" * 16,
            "display_name": "Stroke",
            "encrypted": self.encrypted,
            "created_at": 0.0,
            "organization_ids": [site.number for site in self.sites],
            "organizations": "/api/v1/organization?collaboration_id=1",
            "nodes": "/api/v1/node?collaboration_id=1",
        }
        self.jobs: dict[str, HeldJob] = {}
        self.payloads: dict[str, bytes] = {}
        self._uploads: dict[str, tuple[dict[str, Any], dict[int, bytes]]] = {}
        self.access, self.refresh = "access-1", "refresh-1"
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.adapter = WsgiAdapter(self)

    def session(self) -> requests.Session:
        session = requests.Session()
        session.mount("http://hub", self.adapter)
        return session

    def site(self, fingerprint: str) -> Site:
        return next(site for site in self.sites if site.fingerprint == fingerprint)

    def seen(self, text: str) -> bool:
        """Whether the hub has ever been sent this text, also inside base64."""
        wanted = text.encode()
        return any(wanted in body or wanted in _decoded(body) for body in self.bodies)

    # --- WSGI -----------------------------------------------------------------------------------------------------
    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/api/v1")
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.requests.append((method, path))
        self.bodies.append(raw)
        is_json = environ.get("CONTENT_TYPE", "").startswith("application/json")
        try:
            if path not in ("/token/user", "/token/refresh"):
                if environ.get("HTTP_AUTHORIZATION") != f"Bearer {self.access}":
                    raise Refused(401, "not_authenticated", "Log in.")
            body = self._route(method, path, query, json.loads(raw) if is_json and raw else raw)
        except Refused as refused:
            start(f"{refused.status} No", [("Content-Type", "application/json")])
            return [json.dumps({"error": {"code": refused.code, "message": str(refused)}}).encode()]
        body = self.lie(method, path, body)
        if isinstance(body, bytes):
            start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
            return [body]
        start("204 No" if body is None else "200 OK", [("Content-Type", "application/json")])
        return [b"" if body is None else json.dumps(body).encode()]

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["token", "user"]:
                if body != {"username": "ada", "password": "correct horse battery"}:
                    raise Refused(401, "login_failed", "User name or password is wrong.")
                return self._pair()
            case "POST", ["token", "refresh"]:
                if body["refresh_token"] != self.refresh:
                    raise Refused(401, "not_authenticated", "This refresh token does not hold.")
                return self._pair()
            case "DELETE", ["token"]:
                self.access = self.refresh = secrets.token_hex(8)
                return None
            case "GET", ["whoami"]:
                return {
                    "kind": "user",
                    "id": 3,
                    "name": "ada",
                    "self": "/api/v1/user/3",
                    "organization": _relation("organization", self.home.number),
                    "collaborations": [_relation("collaboration", 1)],
                    "permissions": ["job:create:collaboration"],
                }
            case "GET", ["collaboration"]:
                return _page([self.collaboration])
            case "GET", ["organization"]:
                wanted = query.get("fingerprint")
                return _page([self._organization(s) for s in self.sites if wanted in (None, s.fingerprint)])
            case "GET", ["organization", number]:
                return self._organization(self._numbered(int(number)))
            case "GET", ["organization", number, "public_key"]:
                return self._numbered(int(number)).log.to_wire()
            case "POST", ["job"]:
                return self._submit(body)
            case "GET", ["job"]:
                return _page([self._view(job, {}) for job in self.jobs.values()])
            case "GET", ["job", job_id]:
                job = self._job(job_id)
                if "wait" in query and not self.never_ends and not job.cancelled:
                    self._work(job)
                return self._view(job, query)
            case "PATCH", ["job", job_id]:
                job = self._job(job_id)
                job.cancelled = job.ended = True
                for run in job.runs:
                    run.update(state="cancelled", reason="cancelled")
                return self._view(job, {"include": "runs"})
            case "POST", ["payload"]:
                return self._announce(body)
            case "PUT", ["payload", payload, "segment", number]:
                self._uploads[payload][1][int(number)] = body
                return None
            case "GET", ["payload", payload]:
                return self.payloads[payload]
        raise Refused(404, "not_found", f"No such thing: {method} {path}")

    def _pair(self) -> dict[str, Any]:
        self.access, self.refresh = "a" + secrets.token_hex(8), "r" + secrets.token_hex(8)
        return {
            "access_token": self.access,
            "refresh_token": self.refresh,
            "access_expires_at": 1.0,
            "refresh_expires_at": 2.0,
            "principal": _relation("user", 3),
        }

    def _organization(self, site: Site) -> dict[str, Any]:
        return {
            "id": site.number,
            "self": f"/api/v1/organization/{site.number}",
            "methods": [],
            "links": {},
            "name": site.name,
            "fingerprint": site.fingerprint,
            "created_at": 0.0,
            "public_key": _relation("organization", site.number),
            "collaborations": "/api/v1/collaboration",
            "nodes": "/api/v1/node",
            "users": "/api/v1/user",
        }

    def _numbered(self, number: int) -> Site:
        return next(site for site in self.sites if site.number == number)

    def _job(self, job_id: str) -> HeldJob:
        if job_id not in self.jobs:
            raise Refused(404, "not_found", f"There is no job {job_id}.")
        return self.jobs[job_id]

    # --- payloads -------------------------------------------------------------------------------------------------
    def _announce(self, body: dict[str, Any]) -> dict[str, Any]:
        parts = Parts.parse(base64.b64decode(body["header"]), base64.b64decode(body["trailer"]))
        _, segments = self._uploads.setdefault(parts.id, (body, {}))
        missing = [n for n in range(parts.statement.segments) if n not in segments]
        if not missing:
            sink = io.BytesIO()
            write_prefix(sink, parts.header_bytes)
            for number in range(parts.statement.segments):
                sink.write(segments[number])
            write_suffix(sink, parts.trailer_bytes)
            self.payloads[parts.id] = sink.getvalue()
        return {
            "id": parts.id,
            "self": f"/api/v1/payload/{parts.id}",
            "kind": parts.header.kind.value,
            "suite": int(parts.header.suite),
            "bytes_total": parts.total_bytes,
            "segments": parts.statement.segments,
            "missing": missing,
            "complete": not missing,
            "created_at": 0.0,
        }

    # --- jobs -----------------------------------------------------------------------------------------------------
    def _submit(self, body: dict[str, Any]) -> dict[str, Any]:
        plan = SignedPlan.from_wire(body["plan"])
        plan.verify(self.user.public)
        for text in body["orders"]:
            data = base64.b64decode(text)
            self.payloads[inspect(io.BytesIO(data)).id] = data
        for step in plan.plan.steps:
            for order in step.orders:
                if order.payload not in self.payloads:
                    raise Refused(400, "bad_request", "An order is missing.")
        runs = [
            self._run(plan, str(path), self.site(organization), number)
            for number, (_, path, organization) in enumerate(root_runs(plan.plan), start=1)
        ]
        self.jobs[plan.plan.job] = HeldJob(plan, runs)
        return self._view(self.jobs[plan.plan.job], {})

    def _run(self, plan: SignedPlan, path: str, site: Site, number: int) -> dict[str, Any]:
        return {
            "id": number,
            "self": f"/api/v1/run/{number}",
            "methods": [],
            "links": {},
            "job": _relation("job", plan.plan.job),
            "job_id": plan.plan.job,
            "task": _relation("task", 1),
            "task_id": 1,
            "organization": _relation("organization", site.number),
            "organization_id": site.number,
            "fingerprint": site.fingerprint,
            "path": path,
            "state": "queued",
            "reason": None,
            "note": None,
            "generation": 0,
            "attempt": 1,
            "progress": None,
            "node": None,
            "queued_at": 0.0,
            "started_at": None,
            "finished_at": None,
            "receipt": None,
            "outputs": [],
            "log": None,
        }

    def _view(self, job: HeldJob, query: dict[str, str]) -> dict[str, Any]:
        plan, include = job.plan.plan, query.get("include", "").split(",")
        states = {run["state"] for run in job.runs}
        worst = next((s for s in ("failed", "refused", "cancelled", "skipped") if s in states), "completed")
        runs = json.loads(json.dumps(job.runs))
        if "payloads" in include:
            for run in runs:
                for ref in (*(output["payload"] for output in run["outputs"]), *([run["log"]] if run["log"] else [])):
                    data = self.payloads[ref["id"]]
                    ref["inline"] = base64.b64encode(data).decode() if len(data) <= INLINE else None
        return {
            "id": plan.job,
            "self": f"/api/v1/job/{plan.job}",
            "methods": [],
            "links": {},
            "name": plan.name,
            "collaboration": _relation("collaboration", 1),
            "user": _relation("user", 3),
            "state": worst if job.ended else "queued",
            "priority": plan.priority,
            "plan_hash": job.plan.hash,
            "images": [image.name for image in plan.images.values()],
            "labels": dict(plan.labels),
            "created_at": 0.0,
            "expires_at": float(plan.expires_at),
            "finished_at": None,
            "counts": {},
            "version": job.version,
            "runs": runs if "runs" in include else None,
            "plan": job.plan.signed.to_wire() if "plan" in include else None,
        }

    def _work(self, job: HeldJob) -> None:
        """Everything that the sites do, in one go."""
        if job.ended:
            return
        plan = job.plan.plan
        edges = [(one.from_step, one.to_step) for one in plan.connections]
        receipts: dict[tuple[str, str], SignedReceipt] = {}
        for step in check_acyclic([step.name for step in plan.steps], edges):
            for run in job.runs:
                if run["path"] == f"{step}[0]":
                    self._execute(job, run, receipts)
        job.ended = True
        job.version += 3

    def _execute(self, job: HeldJob, run: dict[str, Any], receipts: dict[tuple[str, str], SignedReceipt]) -> None:
        site = self.site(run["fingerprint"])
        expected = expected_root_run(job.plan.plan, TaskPath.parse(run["path"]), site.fingerprint)
        name = RunName(path=run["path"], organization=site.fingerprint, attempt=run["attempt"])
        sources = [(one, p) for one in expected.inputs for p in one.producers]
        ready = all(
            (str(p.path), p.organization) in receipts
            and receipts[str(p.path), p.organization].receipt.state == "completed"
            for _, p in sources
        )
        if not ready and expected.needs is None:
            run.update(state="skipped", reason="upstream_failed")
            return
        order = Order.decode(self._open_order(job, site, expected))
        opened: list[OpenedInput] = []
        inputs: dict[str, list[Any]] = {}
        for one, producer in sources:
            signed = receipts.get((str(producer.path), producer.organization))
            if signed is None or signed.receipt.state != "completed":
                continue
            payload = signed.receipt.output(producer.output)
            assert payload is not None
            content = open_bytes(
                self.payloads[payload],
                reader=site.organization,
                sender=self.site(producer.organization).node.public,
                expected=_produced(PayloadKind.OUTCOME, signed.receipt, self.site(producer.organization)),
                expected_id=payload,
                min_suite=Suite(job.plan.plan.suite),
            )
            inputs.setdefault(one.name, []).append(json.loads(content))
            opened.append(OpenedInput(name=one.name, producer=signed.receipt.run, payload=payload, receipt=signed.hash))
        base = {
            "plan": job.plan.hash,
            "run": name,
            "image": expected.image.config_digest,
            "executor": "pretend",
            "finished_at": self.now,
            "order": expected.order,
            "inputs": tuple(opened),
            "participants": len(opened) if expected.needs is not None else None,
        }
        draft = Receipt(**base, state="failed", reason=Reason.NODE_ERROR)
        log = self._seal(job, site, draft, PayloadKind.LOG, self.log_text, [self.user.public], "text/plain")
        try:
            value = self.do(Asked(site, run["path"], order, inputs))
        except Fails as fails:
            receipt = Receipt(**{**base, "inputs": ()}, state=fails.state, reason=fails.reason, log=log)
            run.update(state=fails.state, reason=fails.reason.value)
        else:
            given = value.values if isinstance(value, Outputs) else {one.name: value for one in expected.outputs}
            sealed = {}
            for output in expected.outputs:
                raw = Raw.of(given[output.name])
                readers = [self.site(one).organization.public for one in output.organizations]
                readers += [self.user.public] if output.parties else []
                sealed[output.name] = self._seal(
                    job, site, draft, PayloadKind.OUTCOME, raw.content, readers, raw.media_type
                )
            receipt = Receipt(
                **base,
                state="completed",
                outputs=tuple(ReceiptOutput(name=one, payload=payload) for one, payload in sealed.items()),
                log=log,
            )
            run.update(
                state="completed",
                outputs=[{"name": one, "payload": self._ref(payload)} for one, payload in sealed.items()],
            )
        signed = SignedReceipt.sign(receipt, site.node)
        receipts[run["path"], site.fingerprint] = signed
        run.update(receipt=signed.signed.to_wire(), log=self._ref(log))

    def _open_order(self, job: HeldJob, site: Site, expected: ExpectedRun) -> bytes:
        return open_bytes(
            self.payloads[expected.order],
            reader=site.organization,
            sender=self.user.public,
            expected=Context(
                suite=Suite.XWING,
                kind=PayloadKind.ORDER,
                plan=None,
                path=str(expected.path),
                organization=expected.order_sender.organization,
                sender=expected.order_sender.key,
            ),
            expected_id=expected.order,
            min_suite=Suite(job.plan.plan.suite),
        )

    def _seal(
        self,
        job: HeldJob,
        site: Site,
        receipt: Receipt,
        kind: PayloadKind,
        content: bytes,
        readers: list[PublicKey],
        media_type: str,
    ) -> str:
        suite = Suite(job.plan.plan.suite)
        context = _produced(kind, receipt, site).model_copy(update={"media_type": media_type, "suite": suite})
        data, sealed = seal_bytes(content, context, [] if suite is Suite.OPEN else readers, site.node)
        self.payloads[sealed.id] = data
        return sealed.id

    def _ref(self, payload: str) -> dict[str, Any]:
        return {"id": payload, "bytes_total": len(self.payloads[payload]), "inline": None}


@dataclass
class Raw:
    """Returned by `do`: exactly these bytes."""

    content: bytes
    media_type: str = "application/octet-stream"

    @classmethod
    def of(cls, value: Any) -> "Raw":
        if isinstance(value, Raw):
            return value
        return cls(value) if isinstance(value, bytes) else cls(json.dumps(value).encode(), "application/json")


@dataclass
class Outputs:
    """Returned by `do`: different values for different outputs."""

    values: dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _produced(kind: PayloadKind, receipt: Receipt, site: Site) -> Context:
    return Context(
        suite=Suite.XWING,
        kind=kind,
        plan=receipt.plan,
        path=receipt.run.path,
        organization=site.fingerprint,
        generation=receipt.run.generation,
        attempt=receipt.run.attempt,
        sender=site.node.id,
    )


def _relation(kind: str, number: int | str) -> dict[str, Any]:
    return {"id": number, "link": f"/api/v1/{kind}/{number}", "methods": ["GET"]}


def _page(items: list[Any]) -> dict[str, Any]:
    return {"data": items, "links": {"self": "/", "first": "/", "prev": None, "next": None}, "total": len(items)}


def _decoded(body: bytes) -> bytes:
    found = b""
    for word in body.replace(b'"', b" ").split():
        try:
            found += base64.b64decode(word, validate=True) + b" "
        except ValueError:
            continue
    return found
