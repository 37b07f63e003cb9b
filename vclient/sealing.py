"""The researcher's key, and everything that is done with it. The only module of the client that opens key files."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vclient.errors import NoUserKey
from vprotocol import places
from vprotocol.envelope import Header, PayloadKind, Sealed, Suite, open_sealed, seal
from vprotocol.ids import Fingerprint, KeyId, PayloadId
from vprotocol.key_request import KeyRequest
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.messages.orders import Order
from vprotocol.paths import TaskPath
from vprotocol.plan import Party, Plan, SignedPlan
from vprotocol.receipt import Receipt
from vruntime.atomic import write_atomically
from vruntime.keyfiles import read_key, write_key


@dataclass(frozen=True)
class UserKey:
    """One person's key on one machine. It signs plans, and opens outcomes and logs that are sealed for it."""

    _private: PrivateKey

    @classmethod
    def new(cls, path: Path, about: str) -> "UserKey":
        """Make a key file.

        :raises KeyFileInvalid: there is one already.
        """
        made = PrivateKey.generate(KeyKind.USER)
        write_key(path, made, about)
        return cls(made)

    @classmethod
    def read(cls, path: Path) -> "UserKey":
        """:raises NoUserKey: there is none. KeyFileInvalid: it cannot be used, or others can read it."""
        if not path.exists():
            raise NoUserKey(f"there is no user key in {path.parent}")
        return cls(read_key(path, KeyKind.USER))

    @property
    def public(self) -> PublicKey:
        return self._private.public

    @property
    def id(self) -> KeyId:
        return self._private.id

    def request(self, subject: str) -> KeyRequest:
        """What the holder of the organization's root needs to certify this key."""
        return KeyRequest.make(subject, self._private)

    def sign(self, plan: Plan) -> SignedPlan:
        return SignedPlan.sign(plan, self._private)

    def seal_order(
        self,
        order: Order,
        step: str,
        organization: Fingerprint,
        readers: Iterable[PublicKey],
        suite: Suite,
        sink: BinaryIO,
    ) -> Sealed:
        """Seal what a step is to do, for the organization keys of those who do it.

        :param organization: this key's own.
        """
        context = places.root_order(TaskPath(step), Party(organization=organization, key=self.id), suite)
        sealed_for = () if suite is Suite.OPEN else tuple(readers)
        return seal(io.BytesIO(order.encode()), sink, context, sealed_for, self._private)

    def open(
        self,
        source: BinaryIO,
        sink: BinaryIO,
        *,
        kind: PayloadKind,
        receipt: Receipt,
        node: PublicKey,
        payload: PayloadId,
        min_suite: Suite,
    ) -> Header:
        """Open an outcome or log that a verified receipt names.

        :raises EnvelopeError: as `open_sealed`.
        """
        return open_sealed(
            source,
            sink,
            reader=self._private,
            sender=node,
            expected=places.produced(kind, receipt.run, receipt.plan, node.id, min_suite),
            expected_id=payload,
            min_suite=min_suite,
        )


def write_request(path: Path, request: KeyRequest) -> None:
    """The public half in a file that anybody may read."""
    write_atomically(path, json.dumps(request.to_wire(), indent=1).encode() + b"\n", 0o644)
