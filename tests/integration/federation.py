"""A hub in this process with organizations, users and nodes that have real keys: what the tests of jobs drive.

`Person` and `NodeTwin` talk to the real application over the WSGI adapter, as the programs do; nothing is patched.
"""

import base64
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.wsgi_adapter import WsgiAdapter
from vprotocol.envelope import Context, PayloadKind, Suite, seal, seal_bytes
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.messages.documents import INLINE_LIMIT_BYTES
from vprotocol.paths import TaskPath
from vprotocol.plan import (
    Delegation,
    Limits,
    Party,
    Plan,
    PlanConnection,
    PlanImage,
    PlanOrder,
    PlanOrganization,
    PlanStep,
    SignedPlan,
)
from vprotocol.reasons import Reason
from vprotocol.receipt import Receipt, ReceiptOutput, SignedReceipt
from vprotocol.subtask import RunName, SignedSubtask, Subtask, SubtaskTarget
from vprotocol.workflow.patterns import Pattern
from vruntime.clock import Clock
from vserver.accounts import service as accounts
from vserver.accounts import tokens
from vserver.app import create_app
from vserver.collaborations import service as collaborations
from vserver.config import Settings
from vserver.hub import Hub
from vserver.nodes import service as nodes
from vserver.organizations import service as organizations

LIFETIMES = tokens.Lifetimes(access_s=10 * 86_400.0, refresh_s=20 * 86_400.0)
IMAGE = PlanImage(name="registry.example/mean", config_digest="sha256:" + "1" * 64)
YEAR_S = 365 * 86_400


class Refused(Exception):
    """The hub answered with an error."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{status} {error['code']}: {error['message']}")
        self.status, self.code, self.message = status, error["code"], error["message"]
        self.hint, self.fields = error["hint"], error["fields"]


@dataclass
class Caller:
    """Somebody with a token."""

    app: Any
    token: str

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.mount("http://hub", WsgiAdapter(self.app))
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def raw(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, "http://hub/api/v1" + path, **arguments)

    def call(self, method: str, path: str, body: Any = None, **arguments: Any) -> Any:
        if body is not None:
            arguments["json"] = body
        answer = self.raw(method, path, **arguments)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.json()["error"])
        return answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params=query)

    def post(self, path: str, body: Any, **arguments: Any) -> Any:
        return self.call("POST", path, body, **arguments)

    def upload(self, sealed: bytes, parts: Any, leaves: Sequence[bytes]) -> str:
        self.announce(parts, leaves)
        for number in range(parts.statement.segments):
            self.put_segment(parts.id, number, segment(sealed, parts, number))
        return parts.id

    def announce(self, parts: Any, leaves: Sequence[bytes]) -> Any:
        message = {
            "header": b64(parts.header_bytes),
            "trailer": b64(parts.trailer_bytes),
            "leaves": [leaf.hex() for leaf in leaves],
        }
        return self.post("/payload", message)

    def put_segment(self, payload_id: str, number: int, data: bytes) -> None:
        self.call("PUT", f"/payload/{payload_id}/segment/{number}", data=data)


def segment(sealed: bytes, parts: Any, number: int) -> bytes:
    from vprotocol.envelope.format import SEGMENT_BYTES, segment_length

    start = parts.body_offset + number * SEGMENT_BYTES
    return sealed[start : start + segment_length(parts.statement.length, number)]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass
class Organization:
    id: int
    name: str
    key: PrivateKey
    node_key: PrivateKey
    user_key: PrivateKey
    log: KeyLog

    @property
    def fingerprint(self) -> str:
        return self.log.fingerprint


@dataclass
class Step:
    """A step as a test writes it."""

    name: str
    on: Sequence[int]  # numbers of organizations, from 0
    limits: Limits = Limits()
    tags: tuple[str, ...] = ()
    needs: int | None = None
    fail: str = "fast"
    trigger: str = "all_success"
    final: tuple[str, ...] = ()
    delegation: Delegation | None = None


@dataclass
class Edge:
    source: str
    target: str
    pattern: Pattern = Pattern.GATHER
    output: str = "output"
    input: str = "total"


@dataclass
class Draft:
    """A plan with its sealed orders, before it is sent."""

    plan: SignedPlan
    orders: list[bytes]

    def message(self) -> dict[str, Any]:
        return {"plan": self.plan.signed.to_wire(), "orders": [b64(order) for order in self.orders]}


@dataclass
class Federation:
    """`organizations` of one collaboration, each with a user, a node and keys."""

    folder: Path
    clock: Clock
    database_url: str | None = None
    size: int = 3
    app: Any = None
    organizations: list[Organization] = field(default_factory=list)
    collaboration_id: int = 0
    collaboration: str = ""
    user_ids: list[int] = field(default_factory=list)
    node_ids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()
        self.collaboration = secrets.token_hex(16)
        now = self.hub.now()
        with self.hub.database.write() as session:
            for number in range(self.size):
                self._organization(session, f"hospital-{number}-{secrets.token_hex(3)}", now)
            made = collaborations.create(
                session,
                name=self.collaboration,
                display_name=self.collaboration,
                encrypted=True,
                organization_ids=tuple(o.id for o in self.organizations),
                now=now,
            )
            self.collaboration_id = made.id

    def open(self) -> None:
        """Start the hub (again) on the same database."""
        settings = Settings(
            data_folder=self.folder, database=self.database_url, durable=False, lease_s=60.0, longest_wait_s=20.0
        )
        self.app = create_app(settings, clock=self.clock)

    @property
    def hub(self) -> Hub:
        return self.app.extensions["vestal"]  # type: ignore[no-any-return]

    def _organization(self, session: Any, name: str, now: float) -> None:
        root, key, node_key, user_key = (
            PrivateKey.generate(kind) for kind in (KeyKind.ROOT, KeyKind.ORGANIZATION, KeyKind.NODE, KeyKind.USER)
        )
        log, at = KeyLog.create(root, name, int(now)), int(now)
        for certified, subject in ((key, "organization"), (node_key, "node"), (user_key, "researcher")):
            log = log.certify(root, certified.public, subject, at, at + YEAR_S)
        log = log.sign_head(node_key, at)
        made = organizations.create(session, name, now)
        organizations.put_key_log(session, made.id, log)
        self.organizations.append(Organization(made.id, name, key, node_key, user_key, log))
        user = accounts.create(
            session,
            username=f"user-{name}",
            password_hash="none",
            organization_id=made.id,
            roles=accounts.roles_named(session, ("Researcher",)),
            now=now,
        )
        self.user_ids.append(user.id)
        self.node_ids.append(nodes.create(session, name=f"node-{name}", organization_id=made.id, now=now)[0].id)

    # --- callers -----------------------------------------------------------------------------------------------------
    def person(self, number: int = 0) -> Caller:
        return Caller(self.app, self._token(user_id=self.user_ids[number]))

    def node(self, number: int = 0, *, session: str | None = None, node_id: int | None = None) -> "NodeTwin":
        token = self._token(node_id=node_id or self.node_ids[number])
        return NodeTwin(self.app, token, self.organizations[number], session or secrets.token_hex(8))

    def another_node(self, number: int) -> int:
        """A second node of an organization."""
        with self.hub.database.write() as session:
            name = f"node-{secrets.token_hex(4)}"
            made, _ = nodes.create(
                session, name=name, organization_id=self.organizations[number].id, now=self.hub.now()
            )
            return made.id

    def user_with_role(self, number: int, role: str) -> Caller:
        with self.hub.database.write() as session:
            made = accounts.create(
                session,
                username=f"user-{secrets.token_hex(4)}",
                password_hash="none",
                organization_id=self.organizations[number].id,
                roles=accounts.roles_named(session, (role,)),
                now=self.hub.now(),
            )
            user_id = made.id
        return Caller(self.app, self._token(user_id=user_id))

    def _token(self, **whose: int) -> str:
        with self.hub.database.write() as session:
            return tokens.issue(session, LIFETIMES, self.hub.now(), **whose).access

    # --- plans -------------------------------------------------------------------------------------------------------
    def draft(
        self,
        steps: Sequence[Step],
        edges: Sequence[Edge] = (),
        *,
        by: int = 0,
        expires_s: int = 3600,
        priority: int = 5,
        order: bytes = b'{"method": "mean"}',
        labels: dict[str, str] | None = None,
        **changes: Any,
    ) -> Draft:
        """A plan of these steps; every step has one sealed order for all its organizations."""
        issuer, now = self.organizations[by], int(self.hub.now())
        fingerprint = [organization.fingerprint for organization in self.organizations]
        orders, plan_steps = [], []
        for step in steps:
            sealed, made = self.seal_order(order, issuer, step.on)
            orders.append(sealed)
            on = tuple(fingerprint[number] for number in step.on)
            plan_steps.append(
                PlanStep(
                    name=step.name,
                    image="mean",
                    on=on,
                    orders=(PlanOrder(organizations=on, payload=made),),
                    tags=step.tags,
                    limits=step.limits,
                    needs=step.needs,
                    fail=step.fail,
                    trigger=step.trigger,
                    final=step.final,
                    delegation=step.delegation,
                )
            )
        by_name = {step.name: step for step in plan_steps}
        values: dict[str, Any] = {
            "job": secrets.token_hex(16),
            "collaboration": self.collaboration,
            "name": "mean age",
            "issuer": Party(organization=issuer.fingerprint, key=issuer.user_key.id),
            "issued_at": now,
            "expires_at": now + expires_s,
            "organizations": tuple(
                PlanOrganization(fingerprint=o.fingerprint, id=o.id, name=o.name) for o in self.organizations
            ),
            "images": {"mean": IMAGE},
            "steps": tuple(plan_steps),
            "connections": tuple(self._connection(edge, by_name) for edge in edges),
            "readers": (Party(organization=issuer.fingerprint, key=issuer.user_key.id),),
            "priority": priority,
            "labels": labels or {},
        }
        plan = Plan(**{**values, **changes})
        return Draft(SignedPlan.sign(plan, issuer.user_key), orders)

    @staticmethod
    def _connection(edge: Edge, steps: dict[str, PlanStep]) -> PlanConnection:
        nothing = edge.pattern is Pattern.NONE
        return PlanConnection(
            from_step=edge.source,
            from_output=edge.output,
            to_step=edge.target,
            to_input=None if nothing else edge.input,
            pattern=edge.pattern,
            recipients=() if nothing else steps[edge.target].on,
        )

    def seal_order(self, order: bytes, issuer: Organization, on: Sequence[int]) -> tuple[bytes, str]:
        context = Context(
            suite=Suite.X25519,
            kind=PayloadKind.ORDER,
            plan=None,
            path=None,
            organization=issuer.fingerprint,
            sender=issuer.user_key.id,
        )
        readers = [self.organizations[number].key.public for number in on]
        sealed, made = seal_bytes(order, context, readers, issuer.user_key)
        return sealed, made.id

    def simple(self, on: Sequence[int] = (0,), **changes: Any) -> Draft:
        """One step whose output the initiator reads."""
        return self.draft([Step("mean", on, final=("output",))], **changes)

    def submit(self, draft: Draft, by: int = 0) -> Any:
        return self.person(by).post("/job", draft.message())


class NodeTwin(Caller):
    """A node without containers: it speaks to the hub exactly as a node does, with its real keys."""

    def __init__(self, app: Any, token: str, organization: Organization, session: str) -> None:
        super().__init__(app, token)
        self.organization, self.session_name = organization, session

    def sync(
        self,
        leases: Sequence[dict[str, Any]] = (),
        *,
        want: int = 10,
        wait_s: float = 0.0,
        tags: Sequence[str] = (),
        jobs: Sequence[str] = (),
        progress: dict[int, int] | None = None,
    ) -> Any:
        """Tell which assignments are held; the answer as it stands on the wire."""
        told = progress or {}
        held = [{"run": a["run"], "token": a["lease_token"], "progress": told.get(a["run"])} for a in leases]
        message = {
            "session": self.session_name,
            "leases": held,
            "want": want,
            "wait_s": wait_s,
            "accepts": {"tags": list(tags)},
            "jobs": list(jobs),
        }
        return self.post("/node/sync", message)

    def claim(self, **arguments: Any) -> list[dict[str, Any]]:
        return self.sync(**arguments)["runs"]  # type: ignore[no-any-return]

    def start(self, assignment: dict[str, Any]) -> None:
        self.post(f"/run/{assignment['run']}/start", {"lease_token": assignment["lease_token"]})

    def outcome(self, assignment: dict[str, Any], content: bytes, reader: PrivateKey) -> tuple[bytes, Any]:
        sink = io.BytesIO()
        sealed = seal(io.BytesIO(content), sink, self.context(assignment), [reader.public], self.organization.node_key)
        return sink.getvalue(), sealed

    def context(self, assignment: dict[str, Any]) -> Context:
        return Context(
            suite=Suite.X25519,
            kind=PayloadKind.OUTCOME,
            plan=plan_of(assignment).hash,
            path=assignment["path"],
            organization=assignment["organization"],
            generation=assignment["generation"],
            attempt=assignment["attempt"],
            sender=self.organization.node_key.id,
        )

    def receipt(
        self, assignment: dict[str, Any], *, state: str = "completed", reason: Reason | None = None, **changes: Any
    ) -> SignedReceipt:
        values: dict[str, Any] = {
            "plan": plan_of(assignment).hash,
            "run": RunName(
                path=assignment["path"],
                organization=assignment["organization"],
                generation=assignment["generation"],
                attempt=assignment["attempt"],
            ),
            "state": state,
            "reason": reason,
            "image": IMAGE.config_digest if state == "completed" else None,
            "executor": "scripted",
            "finished_at": 1_700_000_000,
            "order": assignment["order"]["id"],
        }
        return SignedReceipt.sign(Receipt(**{**values, **changes}), self.organization.node_key)

    def result(
        self,
        assignment: dict[str, Any],
        *,
        content: bytes | None = b'{"mean": 42}',
        state: str = "completed",
        reason: Reason | None = None,
        outputs: Sequence[str] = ("output",),
        **changes: Any,
    ) -> dict[str, Any]:
        """The message that ends a run."""
        payloads, named = [], []
        if state == "completed":
            for name in outputs:
                sealed, made = self.outcome(assignment, content or b"", self.organization.key)
                named.append(ReceiptOutput(name=name, payload=made.id))
                if len(sealed) <= INLINE_LIMIT_BYTES:
                    payloads.append(b64(sealed))
                else:
                    self.upload(sealed, made.parts, made.leaves)
        receipt = self.receipt(assignment, state=state, reason=reason, **{"outputs": tuple(named), **changes})
        return {"lease_token": assignment["lease_token"], "receipt": receipt.signed.to_wire(), "payloads": payloads}

    def finish(self, assignment: dict[str, Any], **arguments: Any) -> Any:
        return self.post(f"/run/{assignment['run']}/result", self.result(assignment, **arguments))

    def subtask(
        self, assignment: dict[str, Any], federation: Federation, on: Sequence[int], *, counter: int = 1, **changes: Any
    ) -> dict[str, Any]:
        """The message in which this node asks others in the name of a run that it holds."""
        targets, orders = [], []
        for number in on:
            target = federation.organizations[number]
            context = Context(
                suite=Suite.X25519,
                kind=PayloadKind.ORDER,
                plan=plan_of(assignment).hash,
                path=str(TaskPath.parse(assignment["path"])),
                organization=self.organization.fingerprint,
                sender=self.organization.node_key.id,
            )
            sealed, made = seal_bytes(b"{}", context, [target.key.public], self.organization.node_key)
            orders.append(b64(sealed))
            targets.append(SubtaskTarget(organization=target.fingerprint, order=made.id))
        values: dict[str, Any] = {
            "plan": plan_of(assignment).hash,
            "parent": RunName(
                path=assignment["path"],
                organization=assignment["organization"],
                generation=assignment["generation"],
                attempt=assignment["attempt"],
            ),
            "counter": counter,
            "image": "mean",
            "targets": tuple(targets),
            "limits": Limits(),
            "recipients": (assignment["organization"],),
            "issued_at": int(federation.hub.now()),
        }
        statement = SignedSubtask.sign(Subtask(**{**values, **changes}), self.organization.node_key)
        return {
            "parent_run": assignment["run"],
            "lease_token": assignment["lease_token"],
            "statement": statement.signed.to_wire(),
            "orders": orders,
        }


def plan_of(assignment: dict[str, Any]) -> SignedPlan:
    return SignedPlan.from_wire(assignment["plan"])


def delegation(federation: Federation, children: int = 10, depth: int = 1) -> Delegation:
    return Delegation(
        images=("mean",),
        organizations=tuple(o.fingerprint for o in federation.organizations),
        children=children,
        depth=depth,
        until=int(federation.hub.now()) + 3600,
    )
