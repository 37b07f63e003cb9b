"""Wrapping one content key for one reader: HPKE (RFC 9180), base mode, by `cryptography`."""

import base64
import binascii
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke

from vprotocol.envelope.format import Context, Header, Recipient, Suite
from vprotocol.errors import Damaged, NotForThisKey
from vprotocol.ids import KeyId
from vprotocol.keys import PrivateKey, PublicKey

CONTENT_KEY_BYTES = 32
_LABEL = b"vestal/wrap/v1\x00"
_TAG_BYTES = 16
_WRAP_BYTES = {Suite.X25519: 32 + CONTENT_KEY_BYTES + _TAG_BYTES, Suite.XWING: 1120 + CONTENT_KEY_BYTES + _TAG_BYTES}


def _hpke(suite: Suite) -> hpke.Suite:
    kem = {Suite.X25519: hpke.KEM.X25519, Suite.XWING: hpke.KEM.MLKEM768_X25519}[suite]
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _info(context: Context, reader: KeyId) -> bytes:
    """Binds a wrap to its payload's context and to its reader: it opens nowhere else."""
    return _LABEL + context.hash + reader.encode("ascii")


def wrap(content_key: bytes, context: Context, readers: Iterable[PublicKey]) -> tuple[Recipient, ...]:
    """The content key for each reader, in the order of their key ids, each once."""
    suite = _hpke(context.suite)
    found = {}
    for reader in readers:
        public = reader.xwing_public() if context.suite is Suite.XWING else reader.x25519_public()
        sealed = suite.encrypt(content_key, public, info=_info(context, reader.id))
        found[reader.id] = Recipient(key=reader.id, wrap=base64.b64encode(sealed).decode("ascii"))
    return tuple(found[key] for key in sorted(found))


def unwrap(header: Header, reader: PrivateKey) -> bytes:
    """The content key.

    :raises NotForThisKey: no wrap for this reader, or one that was made for another payload.
    :raises Damaged: the wrap is not such as we write.
    """
    entry = next((recipient for recipient in header.recipients if recipient.key == reader.id), None)
    if entry is None:
        raise NotForThisKey(fields={"key": reader.id, "recipients": [r.key for r in header.recipients]})
    try:
        sealed = base64.b64decode(entry.wrap, validate=True)
    except (binascii.Error, ValueError):
        raise Damaged("a wrap is not base64") from None
    if base64.b64encode(sealed).decode("ascii") != entry.wrap:
        raise Damaged("a wrap is not canonical base64")
    if len(sealed) != _WRAP_BYTES[header.suite]:
        raise Damaged("a wrap has the wrong length")
    private = reader.xwing_private if header.suite is Suite.XWING else reader.x25519_private
    try:
        content_key = _hpke(header.suite).decrypt(sealed, private, info=_info(header.context, reader.id))
    except InvalidTag:
        raise NotForThisKey("the wrap was made for another payload or another key") from None
    if len(content_key) != CONTENT_KEY_BYTES:
        raise Damaged("the wrap holds something other than a content key")
    return content_key
