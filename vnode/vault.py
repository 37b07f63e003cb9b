"""The node's keys, and all that is done with them. No other module of the node opens a key file or holds a key."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from vprotocol import places
from vprotocol.envelope import Context, PayloadKind, Sealed, Suite, inspect, open_sealed, seal
from vprotocol.errors import KeyUnknown, PlanMismatch
from vprotocol.ids import Fingerprint, Hash, PayloadId
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.paths import TaskPath
from vprotocol.plan import ExpectedOutput, ExpectedRun, Party
from vprotocol.receipt import Receipt, SignedReceipt
from vprotocol.subtask import RunName, SignedSubtask, Subtask
from vruntime.directory import Directory
from vruntime.keyfiles import read_key, write_key


class Vault:
    """Opens and seals for one node of one organization."""

    def __init__(self, organization_key: PrivateKey, node_key: PrivateKey, identity: KeyLog, directory: Directory):
        self._organization_key, self._node_key = organization_key, node_key
        self._directory = directory
        self.identity = identity

    @classmethod
    def open(cls, organization_key: Path, node_key: Path, identity: KeyLog, directory: Directory) -> "Vault":
        """:raises KeyFileInvalid: a file is missing, readable by others, or not such a key.
        :raises KeyUnknown: a key is not certified in this organization's key log.
        """
        vault = cls(
            read_key(organization_key, KeyKind.ORGANIZATION), read_key(node_key, KeyKind.NODE), identity, directory
        )
        for key, path in ((vault._organization_key, organization_key), (vault._node_key, node_key)):
            if key.id not in identity.certificates:
                raise KeyUnknown(
                    f"the {key.kind.value} key in {path} is not certified in the key log of {identity.name}",
                    hint="Certify it with the organization's root: `vnode keys certify`.",
                )
        return vault

    @property
    def fingerprint(self) -> Fingerprint:
        return self.identity.fingerprint

    def fresh_head(self, identity: KeyLog, now: int) -> KeyLog:
        """The key log with a head signed now."""
        return identity.sign_head(self._node_key, now)

    # --- opening ------------------------------------------------------------------------------------------------
    def open_order(
        self, run: ExpectedRun, plan_hash: Hash, generation: int, sealed: BinaryIO, sink: BinaryIO, least: Suite
    ) -> None:
        """Write the order's content to `sink`.

        :raises EnvelopeError, SignatureInvalid: it is not the order that the plan names, from whom it names.
        """
        sender = run.order_sender
        if run.path.children:
            key = self._directory.node_key(sender.organization, sender.key)
            expected = places.subtask_order(run.path, sender, plan_hash, generation, least)
        else:
            key = self._directory.user_key(sender.organization, sender.key)
            expected = places.root_order(run.path, sender, least)
        self._open(sealed, sink, key, expected, run.order, least)

    def open_output(
        self,
        producer: RunName,
        receipt: SignedReceipt,
        plan_hash: Hash,
        payload: PayloadId,
        sealed: BinaryIO,
        sink: BinaryIO,
        least: Suite,
    ) -> None:
        """An upstream output or a child's outcome, whose producer's receipt was verified before."""
        expected = places.produced(PayloadKind.OUTCOME, producer, plan_hash, receipt.signed.key, least)
        key = self._directory.node_key(producer.organization, receipt.signed.key)
        self._open(sealed, sink, key, expected, payload, least)

    def _open(
        self, sealed: BinaryIO, sink: BinaryIO, sender: PublicKey, expected: Context, payload: PayloadId, least: Suite
    ) -> None:
        open_sealed(
            sealed,
            sink,
            reader=self._organization_key,
            sender=sender,
            expected=expected,
            expected_id=payload,
            min_suite=least,
        )

    # --- sealing ------------------------------------------------------------------------------------------------
    def seal_output(
        self, run: RunName, plan_hash: Hash, output: ExpectedOutput, suite: Suite, content: BinaryIO, sink: BinaryIO
    ) -> Sealed:
        """An output, for exactly the readers that the plan names."""
        readers = [self._directory.organization_key(fingerprint) for fingerprint in output.organizations]
        readers += [self._party_key(party) for party in output.parties]
        return self._seal(PayloadKind.OUTCOME, run, plan_hash, readers, suite, content, sink, "application/json")

    def seal_log(
        self,
        run: RunName,
        plan_hash: Hash,
        readers: Iterable[Party],
        suite: Suite,
        content: BinaryIO,
        sink: BinaryIO,
    ) -> Sealed:
        """A log, for the initiating people only."""
        keys = [self._party_key(party) for party in readers]
        return self._seal(PayloadKind.LOG, run, plan_hash, keys, suite, content, sink, "text/plain")

    def seal_order(
        self,
        path: TaskPath,
        generation: int,
        plan_hash: Hash,
        targets: Iterable[Fingerprint],
        suite: Suite,
        content: BinaryIO,
        sink: BinaryIO,
    ) -> Sealed:
        """The order of a subtask, for the organizations asked."""
        sender = Party(organization=self.fingerprint, key=self._node_key.id)
        context = places.subtask_order(path, sender, plan_hash, generation, suite)
        readers = [self._directory.organization_key(fingerprint) for fingerprint in targets]
        return seal(content, sink, context, [] if suite is Suite.OPEN else readers, self._node_key)

    def _seal(
        self,
        kind: PayloadKind,
        run: RunName,
        plan_hash: Hash,
        readers: Iterable[PublicKey],
        suite: Suite,
        content: BinaryIO,
        sink: BinaryIO,
        media_type: str,
    ) -> Sealed:
        context = places.produced(kind, run, plan_hash, self._node_key.id, suite, media_type)
        return seal(content, sink, context, [] if suite is Suite.OPEN else readers, self._node_key)

    def _party_key(self, party: Party) -> PublicKey:
        return self._directory.user_key(party.organization, party.key)

    # --- signing ------------------------------------------------------------------------------------------------
    def sign_receipt(self, receipt: Receipt) -> SignedReceipt:
        return SignedReceipt.sign(receipt, self._node_key)

    def sign_subtask(self, subtask: Subtask) -> SignedSubtask:
        """:raises PlanMismatch: the parent run is another organization's."""
        if subtask.parent.organization != self.fingerprint:
            raise PlanMismatch("a node signs subtasks of its own runs only")
        return SignedSubtask.sign(subtask, self._node_key)


def new_keys(root: Path, organization: Path, node: Path, name: str) -> tuple[PrivateKey, PrivateKey, PrivateKey]:
    """Root, organization key and node key of a new identity, each in a new file of its own."""
    made = []
    for path, kind in ((root, KeyKind.ROOT), (organization, KeyKind.ORGANIZATION), (node, KeyKind.NODE)):
        key = PrivateKey.generate(kind)
        write_key(path, key, name)
        made.append(key)
    return made[0], made[1], made[2]


def suite_of(sealed: BinaryIO) -> Suite:
    """The suite that a sealed payload claims.

    :raises Damaged: it is not a payload.
    """
    found = inspect(sealed).header.suite
    sealed.seek(0)
    return found
