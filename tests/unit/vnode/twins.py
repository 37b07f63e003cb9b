"""A node around one run, without a daemon: real keys, journal, outbox, leases, gate and audit; the hub is a twin."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tests.unit.vnode.question import SOURCE, settings
from tests.unit.vprotocol import world
from tests.unit.vprotocol.world import NOW, A, B, C
from vnode.audit import Audit
from vnode.executors.scripted import Behaviour, ScriptedExecutor, digest_of
from vnode.gate import CapabilityGate
from vnode.journal import Journal
from vnode.leases import Lease, Leases
from vnode.outbox import Outbox, Outgoing
from vnode.runner import Runner, Tools, key_of
from vnode.vault import Vault
from vprotocol import places
from vprotocol.envelope import Suite, seal
from vprotocol.errors import OrganizationUnknown, VestalError
from vprotocol.ids import NodeId
from vprotocol.keys import KeyKind, PublicKey
from vprotocol.messages.documents import PayloadRef
from vprotocol.messages.run import RunEnded
from vprotocol.messages.sync import Assignment
from vprotocol.paths import TaskPath
from vprotocol.plan import Party, SignedPlan
from vprotocol.receipt import Receipt, SignedReceipt
from vprotocol.states import RunState
from vruntime.clock import ManualClock
from vruntime.transfer import fetch
from vruntime.trust_store import Known, TrustLevel


class Everybody:
    """A directory that knows the three organizations, and verified them."""

    def known(self, fingerprint: str) -> Known:
        if fingerprint not in world.BY_FINGERPRINT:
            raise OrganizationUnknown()
        return Known(world.BY_FINGERPRINT[fingerprint].log, TrustLevel.VERIFIED, NOW, None)

    def node_key(self, fingerprint: str, key_id: str) -> PublicKey:
        return self.known(fingerprint).log.certificate(key_id, KeyKind.NODE, NOW).key

    def user_key(self, fingerprint: str, key_id: str) -> PublicKey:
        return self.known(fingerprint).log.certificate(key_id, KeyKind.USER, NOW).key

    def organization_key(self, fingerprint: str) -> PublicKey:
        return self.known(fingerprint).log.organization_key(NOW)


class HubTwin:
    """Takes results, as long as `refuse` names no error; then it raises that one."""

    def __init__(self) -> None:
        self.delivered: list[Receipt] = []
        self.started_runs: list[int] = []
        self.refuse: Exception | None = None
        self.on_delivery: Callable[[Outgoing], None] = lambda outgoing: None

    def fetch(self, ref: PayloadRef, sink: BinaryIO, limit_bytes: int) -> None:
        fetch(None, ref, sink, limit_bytes=limit_bytes)  # type: ignore[arg-type]

    def started(self, run: int, lease_token: str) -> None:
        self.started_runs.append(run)

    def deliver(self, outgoing: Outgoing) -> RunEnded:
        self.on_delivery(outgoing)
        if self.refuse is not None:
            raise self.refuse
        receipt = SignedReceipt.from_wire(outgoing.receipt).receipt
        self.delivered.append(receipt)
        return RunEnded(id=outgoing.run, state=RunState(receipt.state), superseded=False)


@dataclass
class NodeTwin:
    folder: Path
    behaviour: Behaviour
    hub: HubTwin = field(default_factory=HubTwin)
    clock: ManualClock = field(default_factory=lambda: ManualClock(now=NOW + 10))

    def __post_init__(self) -> None:
        self.executions = 0
        self.executor = ScriptedExecutor({"algorithm": self._counted})
        self.source = self.folder / "data.csv"
        self.source.write_text("age\n4\n")
        self.open()

    def _counted(self, sandbox: Any) -> Any:
        self.executions += 1
        return self.behaviour(sandbox)

    def open(self) -> None:
        """A new process: same folder, same engine."""
        (self.folder / "workspace").mkdir(exist_ok=True)
        self.journal = Journal(self.folder / "journal.sqlite")
        self.outbox = Outbox(self.folder / "outbox")
        self.audit = Audit(self.folder / "audit.jsonl", self.clock)
        self.leases, self.gate = Leases(), CapabilityGate()
        self.directory: Any = Everybody()
        self.vault = Vault(A.organization, A.node, A.log, self.directory)
        self.settings = settings(data_sources=[{**SOURCE, "path": str(self.source)}])
        self.tools = Tools(
            settings=self.settings,
            hub=self.hub,  # type: ignore[arg-type]
            vault=self.vault,
            directory=self.directory,
            executor=self.executor,
            journal=self.journal,
            outbox=self.outbox,
            leases=self.leases,
            gate=self.gate,
            audit=self.audit,
            clock=self.clock,
            workspace=self.folder / "workspace",
            node_id=NodeId(1),
        )
        self.runner = Runner(self.tools)

    def run(self, assignment: Assignment) -> Lease:
        """As the daemon does."""
        lease = self.leases.take(assignment)
        assert lease is not None
        entry = self.journal.find(key_of(assignment))
        self.runner.run(assignment, lease, entry)
        self.leases.drop(assignment.run)
        return lease

    def decisions(self) -> list[tuple[str, str | None]]:
        lines = (self.folder / "audit.jsonl").read_text().splitlines()
        return [(entry["decision"], entry.get("reason") or entry.get("code")) for entry in map(json.loads, lines)]


def assignment(run: int = 1, *, order: bytes | None = None, **changes: Any) -> Assignment:
    """One step at A, whose outcome its researcher reads and which may ask all three."""
    party = Party(organization=A.fingerprint, key=A.user.id)
    sink = io.BytesIO()
    content = order if order is not None else json.dumps({"method": "m", "args": [], "kwargs": {}}).encode()
    context = places.root_order(TaskPath("main"), party, Suite.XWING)
    sealed = seal(io.BytesIO(content), sink, context, [A.organization.public], A.user)
    plan = plan_of(sealed.id)
    fields = {
        "run": run,
        "task": 5,
        "job": plan.plan.job,
        "organization": A.fingerprint,
        "collaboration": 1,
        "encrypted": True,
        "path": "main[0]",
        "generation": 0,
        "attempt": 1,
        "lease_token": f"lease of {run}",
        "lease_s": 60.0,
        "plan": plan.signed.to_wire(),
        "order": {
            "id": sealed.id,
            "bytes_total": len(sink.getvalue()),
            "inline": base64.b64encode(sink.getvalue()).decode(),
        },
    }
    return Assignment.from_wire({**fields, **changes})


def plan_of(order_id: str) -> SignedPlan:
    document = world.plan_document()
    everybody = [A.fingerprint, B.fingerprint, C.fingerprint]
    document["images"] = {
        "mean": {"name": "algorithm", "manifest_digest": None, "config_digest": digest_of("algorithm")}
    }
    document["steps"] = [
        {
            "name": "main",
            "image": "mean",
            "on": [A.fingerprint],
            "orders": [{"organizations": [A.fingerprint], "payload": order_id}],
            "data": ["default"],
            "final": ["output"],
            "delegation": {
                "images": ["mean"],
                "organizations": everybody,
                "data": ["default"],
                "children": 3,
                "depth": 1,
                "until": NOW + 3600,
            },
        }
    ]
    document["connections"] = []
    return world.plan(document)


def coded(code: str) -> VestalError:
    """An error as it comes out of the hub."""
    from vprotocol.errors import error_from_wire

    return error_from_wire(400, {"error": {"code": code, "message": code}})
