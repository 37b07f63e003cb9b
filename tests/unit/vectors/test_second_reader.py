"""A second reader, written from docs/protocol/envelope.md alone: nothing of vprotocol is imported here.

It opens the frozen payloads. If it does not, the page says something else than the program does.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

FOLDER = Path(__file__).parents[3] / "vectors" / "envelope"
MAGIC = b"VESTAL\x00\x01"
CHUNK = 16 * 1024


def derived(seed, kind, use):
    return HKDF(hashes.SHA256(), 32, None, f"vestal/v1/{kind}/{use}".encode()).derive(seed)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def public_record(seed, kind):
    x = x25519.X25519PrivateKey.from_private_bytes(derived(seed, kind, "x25519"))
    expanded = hashlib.shake_256(derived(seed, kind, "xwing")).digest(96)
    ml = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x2 = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    xwing = ml.public_key().public_bytes_raw() + x2.public_key().public_bytes_raw()
    record = {
        "kind": kind,
        "x25519": base64.b64encode(x.public_key().public_bytes_raw()).decode(),
        "xwing": base64.b64encode(xwing).decode(),
    }
    return record, x, hpke.MLKEM768X25519PrivateKey(ml, x2)


def cobblestone(key, context, data):
    salt, commitment, chunks = data[:24], data[24:56], data[56:]
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    material = HKDFExpand(hashes.SHA512(), 32 + 12 + 32, info).derive(key)
    assert hmac.compare_digest(material[44:], commitment)
    opened = b""
    for number, at in enumerate(range(0, len(chunks), CHUNK + 16)):
        nonce = (int.from_bytes(material[32:44], "big") ^ number).to_bytes(12, "big")
        opened += AESGCM(material[:32]).decrypt(nonce, chunks[at : at + CHUNK + 16], None)
    return opened


def second_reader(data, seed, kind, sender):
    assert data[:8] == MAGIC
    header_end = 12 + int.from_bytes(data[8:12], "big")
    header_bytes = data[12:header_end]
    trailer_start = len(data) - 4 - int.from_bytes(data[-4:], "big")
    body, trailer = data[header_end:trailer_start], json.loads(data[trailer_start:-4])

    statement_bytes, name = base64.b64decode(trailer["body"]), trailer["type"].encode()
    message = b"DSSEv1 %d %s %d %s" % (len(name), name, len(statement_bytes), statement_bytes)
    verifier = Ed25519PublicKey.from_public_bytes(base64.b64decode(sender["sign"]))
    verifier.verify(base64.b64decode(trailer["signature"]), message)
    statement = json.loads(statement_bytes)
    assert name == b"vestal/payload/v1" and statement["length"] == len(body) and statement["segments"] == 1
    assert statement["header"] == hashlib.sha256(header_bytes).hexdigest()
    assert statement["root"] == hashlib.sha256(b"\0" + body).hexdigest()

    header = json.loads(header_bytes)
    recipients = header.pop("recipients")
    context_hash = hashlib.sha256(canonical(header)).digest()
    if header["suite"] == 0:
        return body, hashlib.sha256(message).hexdigest()
    record, x, hybrid = public_record(seed, kind)
    key_id = hashlib.sha256(canonical(record)).hexdigest()[:32]
    (wrap,) = (base64.b64decode(found["wrap"]) for found in recipients if found["key"] == key_id)
    kem, private = (hpke.KEM.X25519, x) if header["suite"] == 1 else (hpke.KEM.MLKEM768_X25519, hybrid)
    suite = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    content_key = suite.decrypt(wrap, private, info=b"vestal/wrap/v1\0" + context_hash + key_id.encode())
    return cobblestone(content_key, b"vestal/body/v1\0" + context_hash, body), hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize(
    "name", ["suite-0", "suite-1", "suite-2", "three-readers", "empty", "empty-suite-0", "another"]
)
def test_a_second_reader_opens_the_frozen_payloads(name):
    vector = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    inputs = vector["inputs"]
    content, payload_id = second_reader(
        base64.b64decode(inputs["payload"]),
        bytes.fromhex(inputs["reader"]["seed"]),
        inputs["reader"]["kind"],
        inputs["sender"],
    )
    assert content == base64.b64decode(vector["outputs"]["content"])
    assert len(payload_id) == 64


def test_it_reads_several_chunks_as_our_writer_cuts_them():
    for length in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        writer = Cobblestone256Encryptor(bytes(32), b"context")
        content = bytes(index % 251 for index in range(length))
        assert cobblestone(bytes(32), b"context", writer.update(content) + writer.finalize()) == content
