"""What a node signs about what it really did with one attempt of a run."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from vprotocol.documents import DocumentBody
from vprotocol.errors import DocumentInvalid, ReceiptInvalid
from vprotocol.ids import Digest, Hash, Label, PayloadId, PlanHash, Text
from vprotocol.keys import PrivateKey, PublicKey
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedRun, Seconds
from vprotocol.reasons import Reason
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import RunName

RECEIPT_LIMIT_BYTES = 256 * 1024
ReceiptState = Literal["completed", "failed", "refused", "cancelled"]


class OpenedInput(DocumentBody):
    """An input that was opened, and whose it was."""

    name: Label
    producer: RunName
    payload: PayloadId
    receipt: Hash  # of the producer's receipt


class ReceiptOutput(DocumentBody):
    name: Label
    payload: PayloadId


class Receipt(DocumentBody):
    version: Literal[1] = 1
    plan: PlanHash
    run: RunName
    state: ReceiptState
    reason: Reason | None = None  # none when completed
    image: Digest | None = None  # config digest of what really ran; none when nothing ran
    executor: Annotated[Text, Field(max_length=40)]
    profile: Literal["strict", "compat"] = "strict"
    trust: Literal["verified", "first-contact"] = "first-contact"  # the weakest identity this run relied on
    started_at: Seconds | None = None
    finished_at: Seconds
    exit_code: int | None = None
    order: PayloadId
    inputs: tuple[OpenedInput, ...] = ()
    participants: Annotated[int, Field(ge=0)] | None = None  # counted for a quorum
    outputs: tuple[ReceiptOutput, ...] = ()
    log: PayloadId | None = None
    go_on: bool | None = None  # the `until` boolean, the one value that the hub sees
    extensions: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.state == "completed") != (self.reason is None):
            raise ValueError("a run that did not complete has a reason, and only such a run")
        if self.state != "completed" and self.outputs:
            raise ValueError("only a completed run has outputs")
        names = [output.name for output in self.outputs]
        if len(set(names)) != len(names):
            raise ValueError("an output is named twice")
        return self

    def output(self, name: str) -> PayloadId | None:
        return next((output.payload for output in self.outputs if output.name == name), None)


@dataclass(frozen=True)
class SignedReceipt:
    receipt: Receipt
    signed: Signed

    @cached_property
    def hash(self) -> Hash:
        return self.signed.hash

    @classmethod
    def sign(cls, receipt: Receipt, node: PrivateKey) -> Self:
        return cls(receipt, Signed.sign(DocumentType.RECEIPT, receipt.encode(), node))

    @classmethod
    def read(cls, signed: Signed) -> Self:
        """:raises ReceiptInvalid: not a receipt."""
        if signed.type is not DocumentType.RECEIPT:
            raise ReceiptInvalid(f"a receipt is needed, this is a {signed.type.value}")
        return cls(Receipt.decode(signed.body, limit_bytes=RECEIPT_LIMIT_BYTES, error=ReceiptInvalid), signed)

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        try:
            return cls.read(Signed.from_wire(data, limit_bytes=RECEIPT_LIMIT_BYTES))
        except DocumentInvalid as fault:
            raise ReceiptInvalid(str(fault)) from None

    def verify(self, node: PublicKey, plan: PlanHash, expected: ExpectedRun, generation: int = 0) -> Receipt:
        """The receipt, if `node` signed it and it is about this run under this plan.

        :raises SignatureInvalid: not the node's. ReceiptInvalid: about something else, or not what the plan says.
        """
        self.signed.check(DocumentType.RECEIPT, node)
        receipt = self.receipt
        if receipt.plan != plan:
            raise ReceiptInvalid("the receipt is about another plan")
        about = receipt.run
        if TaskPath.parse(about.path) != expected.path or about.organization != expected.organization:
            raise ReceiptInvalid("the receipt is about another run")
        if about.generation != generation:
            raise ReceiptInvalid("the receipt is of another generation")
        if receipt.order != expected.order:
            raise ReceiptInvalid("the node executed another order")
        if receipt.state == "completed":
            self._check_completed(expected)
        return receipt

    def _check_completed(self, expected: ExpectedRun) -> None:
        receipt = self.receipt
        if receipt.image != expected.image.config_digest:
            raise ReceiptInvalid("the node ran another image than the plan names")
        if {output.name for output in receipt.outputs} != {output.name for output in expected.outputs}:
            raise ReceiptInvalid("the outputs are not those that the plan names")
        allowed = {(i.name, str(p.path), p.organization) for i in expected.inputs for p in i.producers}
        opened = {(i.name, i.producer.path, i.producer.organization) for i in receipt.inputs}
        if not opened <= allowed or len(opened) != len(receipt.inputs):
            raise ReceiptInvalid("the node opened inputs that the plan does not name")
        if opened != allowed and not expected.optional:
            raise ReceiptInvalid("the node did not open all inputs that the plan names")
        if expected.needs is not None and (receipt.participants or 0) < expected.needs:
            raise ReceiptInvalid("the node counted fewer participants than the plan demands")
