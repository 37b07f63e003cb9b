"""Three organizations, their keys and logs, a researcher, and documents that are right: tests change one thing."""

import hashlib
from dataclasses import dataclass
from typing import Any

from vprotocol.envelope import Context, PayloadKind, Suite
from vprotocol.errors import OrganizationUnknown
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedRun, Limits, Plan, SignedPlan
from vprotocol.receipt import Receipt, ReceiptOutput
from vprotocol.subtask import RunName, SignedSubtask, Subtask, SubtaskTarget

NOW = 1_800_000_000
YEAR_S = 366 * 86_400
IMAGE = "sha256:" + "11" * 32
OTHER_IMAGE = "sha256:" + "22" * 32


def private(kind: KeyKind, name: str) -> PrivateKey:
    return PrivateKey(kind, hashlib.sha256(f"{kind.value} of {name}".encode()).digest())


@dataclass(frozen=True)
class Organization:
    name: str
    root: PrivateKey
    organization: PrivateKey
    node: PrivateKey
    user: PrivateKey
    log: KeyLog

    @property
    def fingerprint(self) -> str:
        return self.log.fingerprint


def organization(name: str) -> Organization:
    root, shared, node, user = (private(kind, name) for kind in KeyKind)
    log = KeyLog.create(root, name, NOW)
    for key, subject in ((shared, "organization"), (node, "node 1"), (user, "a laptop")):
        log = log.certify(root, key.public, subject, NOW, NOW + YEAR_S)
    return Organization(name, root, shared, node, user, log.sign_head(node, NOW))


A, B, C = ORGANIZATIONS = tuple(organization(name) for name in ("Hospital A", "Hospital B", "Registry C"))
BY_FINGERPRINT = {found.fingerprint: found for found in ORGANIZATIONS}
ALL = [found.fingerprint for found in ORGANIZATIONS]


def payload_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def plan_document() -> dict[str, Any]:
    """Two steps: every organization computes a part, A gathers and finishes; A's part may ask everybody."""
    return {
        "version": 1,
        "job": "0a" * 16,
        "collaboration": "0b" * 16,
        "project": None,
        "name": "federated mean",
        "issuer": {"organization": A.fingerprint, "key": A.user.id},
        "issued_at": NOW,
        "expires_at": NOW + 86_400,
        "suite": 2,
        "organizations": [
            {"fingerprint": found.fingerprint, "id": number, "name": found.name}
            for number, found in enumerate(ORGANIZATIONS, start=1)
        ],
        "images": {
            "mean": {"name": "registry.example.org/mean:1", "manifest_digest": None, "config_digest": IMAGE},
            "other": {"name": "registry.example.org/other:1", "manifest_digest": None, "config_digest": OTHER_IMAGE},
        },
        "steps": [
            {
                "name": "part",
                "image": "mean",
                "on": list(ALL),
                "orders": [{"organizations": list(ALL), "payload": payload_id("order of part")}],
                "data": ["default"],
                "delegation": {
                    "images": ["mean"],
                    "organizations": list(ALL),
                    "data": ["default"],
                    "children": 10,
                    "depth": 2,
                    "until": NOW + 3600,
                },
            },
            {
                "name": "finish",
                "image": "mean",
                "on": [A.fingerprint],
                "orders": [{"organizations": [A.fingerprint], "payload": payload_id("order of finish")}],
                "final": ["output"],
            },
        ],
        "connections": [
            {
                "from_step": "part",
                "from_output": "output",
                "to_step": "finish",
                "to_input": "parts",
                "pattern": "gather",
                "recipients": [A.fingerprint],
            }
        ],
        "readers": [{"organization": A.fingerprint, "key": A.user.id}],
    }


def plan(document: dict[str, Any] | None = None) -> SignedPlan:
    return SignedPlan.sign(Plan.model_validate(document or plan_document()), A.user)


def node_key(fingerprint: str, key_id: str) -> PublicKey:
    if fingerprint not in BY_FINGERPRINT:
        raise OrganizationUnknown
    return BY_FINGERPRINT[fingerprint].log.certificate(key_id, KeyKind.NODE, NOW).key


def subtask(signed_plan: SignedPlan, of: TaskPath | None = None, at: Organization = A, **changes: Any) -> Subtask:
    """Of `at`'s run of the task `of`: asks B and C to execute an order each."""
    fields: dict[str, Any] = {
        "plan": signed_plan.hash,
        "parent": RunName(path=str(of or TaskPath("part")), organization=at.fingerprint),
        "counter": 1,
        "image": "mean",
        "targets": tuple(
            SubtaskTarget(organization=found.fingerprint, order=payload_id(f"order of {found.name}"))
            for found in (B, C)
        ),
        "data": ("default",),
        "limits": Limits(),
        "recipients": (at.fingerprint,),
        "issued_at": NOW,
    }
    return Subtask(**{**fields, **changes})


def signed_subtask(*args: Any, at: Organization = A, **changes: Any) -> SignedSubtask:
    return SignedSubtask.sign(subtask(*args, at=at, **changes), at.node)


def receipt(signed_plan: SignedPlan, expected: ExpectedRun, **changes: Any) -> Receipt:
    """What an honest node signs about a run without inputs."""
    fields: dict[str, Any] = {
        "plan": signed_plan.hash,
        "run": RunName(path=str(expected.path), organization=expected.organization),
        "state": "completed",
        "image": expected.image.config_digest,
        "executor": "scripted",
        "started_at": NOW,
        "finished_at": NOW + 5,
        "exit_code": 0,
        "order": expected.order,
        "outputs": tuple(ReceiptOutput(name=o.name, payload=payload_id(o.name)) for o in expected.outputs),
    }
    return Receipt(**{**fields, **changes})


def order_context(suite: Suite = Suite.XWING, **changes: Any) -> Context:
    fields: dict[str, Any] = {
        "suite": suite,
        "kind": PayloadKind.ORDER,
        "plan": None,
        "path": "part[0]",
        "organization": A.fingerprint,
        "sender": A.user.id,
    }
    return Context(**{**fields, **changes})
