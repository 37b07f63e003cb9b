"""Organizations with real keys, and the messages that their people and nodes send: what the hub bench drives.

Everything is signed and sealed as the programs do it; nothing of it is measured, it is made beforehand.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from vprotocol.envelope import Context, PayloadKind, Suite, seal_bytes
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.plan import Party, Plan, PlanImage, PlanOrder, PlanOrganization, PlanStep, SignedPlan
from vprotocol.receipt import Receipt, ReceiptOutput, SignedReceipt
from vprotocol.subtask import RunName
from vruntime.transfer import b64

IMAGE = PlanImage(name="registry.example/mean", config_digest="sha256:" + "1" * 64)
YEAR_S, HOUR_S = 365 * 86_400, 3600
ORDER = b'{"method": "mean", "args": [], "kwargs": {"column": "age"}}'
OUTCOME = b'{"mean": 42.0, "count": 569}'


@dataclass(frozen=True)
class Twin:
    """An organization: its keys, its node's and its researcher's."""

    id: int
    name: str
    organization: PrivateKey
    node: PrivateKey
    user: PrivateKey
    log: KeyLog

    @classmethod
    def new(cls, number: int, name: str, now: int) -> "Twin":
        kinds = (KeyKind.ROOT, KeyKind.ORGANIZATION, KeyKind.NODE, KeyKind.USER)
        root, organization, node, user = map(PrivateKey.generate, kinds)
        log = KeyLog.create(root, name, now)
        for key, subject in ((organization, "organization"), (node, "node"), (user, "researcher")):
            log = log.certify(root, key.public, subject, now, now + YEAR_S)
        return cls(number, name, organization, node, user, log.sign_head(node, now))

    @property
    def listed(self) -> PlanOrganization:
        return PlanOrganization(fingerprint=self.log.fingerprint, id=self.id, name=self.name)

    # --- as a researcher ------------------------------------------------------------------------------------------
    def job(self, collaboration: str, target: "Twin", now: int) -> bytes:
        """The message that submits a job of one step at one organization."""
        me = Party(organization=self.log.fingerprint, key=self.user.id)
        context = Context(
            suite=Suite.XWING,
            kind=PayloadKind.ORDER,
            plan=None,
            path=None,
            organization=self.log.fingerprint,
            sender=self.user.id,
        )
        order, sealed = seal_bytes(ORDER, context, [target.organization.public], self.user)
        on = (target.log.fingerprint,)
        plan = Plan(
            job=secrets.token_hex(16),
            collaboration=collaboration,
            name="mean",
            issuer=me,
            issued_at=now,
            expires_at=now + HOUR_S,
            organizations=tuple({twin.id: twin.listed for twin in (self, target)}.values()),
            images={"mean": IMAGE},
            steps=(
                PlanStep(
                    name="mean",
                    image="mean",
                    on=on,
                    orders=(PlanOrder(organizations=on, payload=sealed.id),),
                    final=("output",),
                ),
            ),
            connections=(),
            readers=(me,),
        )
        signed = SignedPlan.sign(plan, self.user)
        return json.dumps({"plan": signed.signed.to_wire(), "orders": [b64(order)]}).encode()


def result_of(assignment: dict[str, Any], node: PrivateKey, reader: PublicKey, now: int) -> bytes:
    """The message by which a node ends a run, with its sealed outcome and its receipt."""
    plan = SignedPlan.from_wire(assignment["plan"]).hash
    run = {name: assignment[name] for name in ("path", "organization", "generation", "attempt")}
    context = Context(suite=Suite.XWING, kind=PayloadKind.OUTCOME, plan=plan, sender=node.id, **run)
    sealed, made = seal_bytes(OUTCOME, context, [reader], node)
    receipt = Receipt(
        plan=plan,
        run=RunName(**run),
        state="completed",
        reason=None,
        image=IMAGE.config_digest,
        executor="scripted",
        finished_at=now,
        order=assignment["order"]["id"],
        outputs=(ReceiptOutput(name="output", payload=made.id),),
    )
    wire = SignedReceipt.sign(receipt, node).signed.to_wire()
    return json.dumps({"lease_token": assignment["lease_token"], "receipt": wire, "payloads": [b64(sealed)]}).encode()
