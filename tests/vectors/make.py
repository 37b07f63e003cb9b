"""Writes the test vectors that are missing below vectors/. It never changes one that exists.

    python -m tests.vectors.make        (script/vectors does it)

A vector that would come out differently today is reported, and the exit code is 1: then either the program has changed
what it promised never to change, or the generator has. Sealed payloads are randomized: existing ones are taken as they
are, and the damaged ones are made from them.
"""

import base64
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.unit.vprotocol import world
from tests.unit.vprotocol.world import ALL, NOW, OTHER_IMAGE, YEAR_S, A, B, C, private
from tests.vectors.replay import outcome
from vprotocol import strict_json
from vprotocol.envelope import Suite, inspect, seal_bytes
from vprotocol.envelope.format import (
    LENGTH,
    MAGIC,
    SEGMENT_BYTES,
    Context,
    Header,
    leaf,
    merkle_root,
    segment_count,
)
from vprotocol.keylog import KeyLog
from vprotocol.keys import MLKEM768_PUBLIC_BYTES, KeyKind, PrivateKey
from vprotocol.paths import TaskPath
from vprotocol.plan import Limits, Supplement, SupplementTarget, expected_root_run
from vprotocol.reasons import Reason
from vprotocol.receipt import OpenedInput, SignedReceipt
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import RunName, SignedSubtask, SubtaskTarget

FOLDER = Path(__file__).parents[2] / "vectors"
Vector = dict[str, Any]


class Collection:
    """The vectors on disk, and those that are to be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.added: list[str] = []
        self.differing: list[str] = []
        self.wanted: set[str] = set()

    def add(self, name: str, description: str, inputs: Mapping[str, Any], expect: str = "ok") -> None:
        """One vector that comes out the same at every run."""
        vector = _vector(name, description, inputs, expect)
        if existing := self._existing(name):
            if existing != vector:
                self.differing.append(name)
            return
        self._write(name, vector)

    def randomized(
        self, name: str, description: str, make: Callable[[], Mapping[str, Any]], expect: str = "ok"
    ) -> Mapping[str, Any]:
        """One vector that holds something sealed: made once, and taken as it is from then on. Returns its inputs."""
        existing = self._existing(name)
        if existing is None:
            existing = _vector(name, description, make(), expect)
            self._write(name, existing)
        elif (existing["description"], existing["expect"]) != (description, expect):
            self.differing.append(name)
        return existing["inputs"]  # type: ignore[no-any-return]

    def _existing(self, name: str) -> Vector | None:
        assert name not in self.wanted, f"two vectors are called {name}"
        self.wanted.add(name)
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def _write(self, name: str, vector: Vector) -> None:
        found, outputs = outcome(vector)
        assert found == vector["expect"], f"{name}: expected {vector['expect']}, this program says {found}"
        path = self.folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vector, indent=1, ensure_ascii=True) + "\n", "utf-8")
        self.added.append(name)


def _vector(name: str, description: str, inputs: Mapping[str, Any], expect: str) -> Vector:
    kind = name.partition("/")[0]
    vector: Vector = {"description": description, "kind": kind, "inputs": dict(inputs), "expect": expect}
    if expect == "ok":
        vector["outputs"] = outcome(vector)[1]
    return json.loads(json.dumps(vector))  # type: ignore[no-any-return]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- keys ------------------------------------------------------------------------------------------------------------
def keys(to: Collection) -> None:
    for kind in KeyKind:
        seed = bytes(range(32)).hex()
        to.add(f"key/{kind.value}", f"a {kind.value} key from its seed", {"kind": kind.value, "seed": seed})
    to.add("key/seed-of-zeros", "a user key from the seed of zeros", {"kind": "user", "seed": "00" * 32})
    to.add("key/seed-too-short", "a seed has 32 bytes", {"kind": "user", "seed": "00" * 31}, "key_invalid")

    good, node = A.user.public.record(), A.node.public.record()
    xwing = A.user.public.xwing or b""
    to.add("key-record/user", "a good record", {"record": good})
    wrong = {
        "unknown-kind": ("a kind that nobody knows", {**node, "kind": "admin"}),
        "kind-is-a-list": ("a kind that is no text", {**node, "kind": ["node"]}),
        "field-missing": ("a user key without its X25519 part", {k: v for k, v in good.items() if k != "x25519"}),
        "field-too-many": ("a node key that could be sealed for", {**node, "x25519": good["x25519"]}),
        "not-base64": ("a character outside the alphabet", {**node, "sign": "!" + node["sign"][1:]}),
        "base64-with-line-end": ("white space inside base64", {**node, "sign": node["sign"] + "\n"}),
        "base64-not-canonical": ("unused bits of base64 that are not zero", {**node, "sign": node["sign"][:-2] + "B="}),
        "too-short": ("31 bytes", {**node, "sign": b64(bytes(31))}),
        "x25519-of-small-order": ("a point with which everybody agrees on zeros", {**good, "x25519": b64(bytes(32))}),
        "xwing-of-small-order": (
            "the same inside the hybrid key",
            {**good, "xwing": b64(xwing[:MLKEM768_PUBLIC_BYTES] + bytes(32))},
        ),
        "mlkem-out-of-range": ("coefficients that are not reduced", {**good, "xwing": b64(b"\xff" * 1216)}),
    }
    for name, (description, record) in wrong.items():
        to.add(f"key-record/{name}", description, {"record": record}, "key_invalid")

    for name, fingerprint in (("zeros", "00" * 32), ("ones", "ff" * 32), ("counting", bytes(range(32)).hex())):
        to.add(f"words/{name}", "ten words and base32 of a fingerprint", {"fingerprint": fingerprint})


# --- JSON, paths, signatures -----------------------------------------------------------------------------------------
def encodings(to: Collection) -> None:
    good = {
        "nested": b'{"a":[1,-1,null,true,false,{}],"b":"x"}',
        "escapes": b'"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\\u007f\\u00e9\\ud83d\\ude00"',
        "sorted-by-code-point": b'{"A":1,"Z":2,"a":3,"\\u00e9":4,"\\uffff":5,"\\ud83d\\ude00":6}',
        "largest-integers": b"[9007199254740992,-9007199254740992]",
        "deepest": b"[" * 32 + b"]" * 32,
    }
    for name, data in good.items():
        to.add(f"canonical-json/{name}", "canonical JSON", {"bytes": b64(data)})
    wrong = {
        "duplicate-key": b'{"a":1,"a":1}',
        "duplicate-key-by-escape": b'{"a":1,"\\u0061":1}',
        "keys-not-sorted": b'{"b":1,"a":1}',
        "white-space": b'{"a": 1}',
        "line-end": b"{}\n",
        "float": b"1.0",
        "exponent": b"1e0",
        "not-a-number": b"NaN",
        "negative-zero": b"-0",
        "integer-too-large": b"9007199254740993",
        "too-deep": b"[" * 33 + b"]" * 33,
        "not-utf-8": b'"\xff"',
        "not-ascii": '"é"'.encode(),
        "upper-case-escape": b'"\\u00E9"',
        "needless-escape": b'"\\u0041"',
        "byte-order-mark": b"\xef\xbb\xbf{}",
        "control-character": b'"\x01"',
        "two-values": b"{}{}",
        "empty": b"",
    }
    for name, data in wrong.items():
        to.add(f"canonical-json/{name}", name.replace("-", " "), {"bytes": b64(data)}, "document_invalid")

    short = A.fingerprint[:16]
    for name, text in (
        ("step", "part[0]"),
        ("iteration", "part[12]"),
        ("subtask", f"part[0]#1.1@{short}#2.10@{short}"),
    ):
        to.add(f"task-path/{name}", "a task path", {"text": text})
    for name, text in (
        ("leading-zero", "part[00]"),
        ("line-end", "part[0]\n"),
        ("no-iteration", "part"),
        ("attempt-zero", f"part[0]#0.1@{short}"),
        ("upper-case-hex", "part[0]#1.1@ABCDEFABCDEFABCD"),
        ("nine-levels", "part[0]" + f"#1.1@{short}" * 9),
        ("other-digits", "part[\uff10]"),
    ):
        to.add(f"task-path/{name}", "not a task path", {"text": text}, "document_invalid")


def signatures(to: Collection) -> None:
    body = b'{"hello":"world"}'
    key = {"kind": "node", "seed": A.node.seed.hex()}
    inputs = {"type": "vestal/receipt/v1", "body": b64(body), "key": key}
    to.add("signature/receipt", "Ed25519 over the pre-authentication encoding", inputs)
    inputs = {"type": "vestal/plan/v1", "body": "", "key": {"kind": "user", "seed": A.user.seed.hex()}}
    to.add("signature/empty-body", "an empty body has a signature as well", inputs)

    wire = Signed.sign(DocumentType.RECEIPT, body, A.node).to_wire()
    signer = A.node.public.record()

    def add(name: str, description: str, changed: Any, expect: str, kind: str = "vestal/receipt/v1") -> None:
        to.add(f"signed/{name}", description, {"signed": changed, "type": kind, "signer": signer}, expect)

    add("good", "a signed document", wire, "ok")
    add("another-type-wanted", "a receipt where a plan is wanted", wire, "signature_invalid", "vestal/plan/v1")
    retyped = {**wire, "type": "vestal/plan/v1"}
    add("retyped", "the type was changed afterwards", retyped, "signature_invalid", "vestal/plan/v1")
    add("another-key-id", "the key id was changed afterwards", {**wire, "key": B.node.id}, "signature_invalid")
    add("body-changed", "one letter of the body", {**wire, "body": b64(body.replace(b"w", b"W"))}, "signature_invalid")
    flipped = bytearray(base64.b64decode(wire["signature"]))
    flipped[0] ^= 1
    add(
        "signature-changed", "one bit of the signature", {**wire, "signature": b64(bytes(flipped))}, "signature_invalid"
    )
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(base64.b64decode(wire["signature"])[32:], "little") + order
    malleable = base64.b64decode(wire["signature"])[:32] + scalar.to_bytes(32, "little")
    add(
        "signature-malleable",
        "S plus the order of the group",
        {**wire, "signature": b64(malleable)},
        "signature_invalid",
    )
    by_other = Signed.sign(DocumentType.RECEIPT, body, B.node).to_wire()
    add("another-signer", "signed by another organization's node", by_other, "signature_invalid")
    add("field-too-many", "a fifth field", {**wire, "comment": ""}, "document_invalid")
    add("field-missing", "no key id", {k: v for k, v in wire.items() if k != "key"}, "document_invalid")
    add("unknown-type", "a type of the future", {**wire, "type": "vestal/receipt/v9"}, "document_invalid")
    add("type-is-a-list", "a type that is no text", {**wire, "type": [wire["type"]]}, "document_invalid")
    add("key-id-upper-case", "hex is lower case", {**wire, "key": wire["key"].upper()}, "document_invalid")
    add("signature-too-short", "63 bytes", {**wire, "signature": b64(bytes(63))}, "document_invalid")
    add("base64-not-canonical", "unused bits that are not zero", {**wire, "body": "YR=="}, "document_invalid")
    add("base64-without-padding", "padding left out", {**wire, "body": wire["body"].rstrip("=")}, "document_invalid")


# --- key logs --------------------------------------------------------------------------------------------------------
def _entry(body: Mapping[str, Any], root: PrivateKey = A.root) -> Signed:
    return Signed.sign(DocumentType.KEY_LOG_ENTRY, strict_json.canonical(body), root)


def _identity(**changes: Any) -> dict[str, Any]:
    return {**json.loads(A.log.entries[0].body), **changes}


def _next(log: KeyLog, entry: str, **fields: Any) -> dict[str, Any]:
    chained = {"entry": entry, "version": 1, "number": len(log.entries), "previous": log.entries[-1].hash}
    return {**chained, "issued_at": NOW + 100, "extensions": {}, **fields}


def key_logs(to: Collection) -> None:
    log = A.log

    def add(name: str, description: str, wire: Any, expect: str = "key_log_invalid", **more: Any) -> None:
        to.add(f"key-log/{name}", description, {"log": wire, **more}, expect)

    def of(*entries: Signed, head: Signed | None = None) -> dict[str, Any]:
        return {"entries": [entry.to_wire() for entry in entries], "head": head.to_wire() if head else None}

    new_root, second = private(KeyKind.ROOT, "next root of A"), private(KeyKind.NODE, "second node of A")
    rotated = log.append(_entry(_next(log, "rotate-root", root=new_root.public.record())))
    revoked = log.revoke(A.root, A.user.id, NOW + 100, "laptop stolen")
    add("identity", "entry 0 alone", of(log.entries[0]), "ok")
    add("whole", "identity, three keys, a head by the node key", log.to_wire(), "ok")
    add("head-by-root", "a head that the root signed", log.sign_head(A.root, NOW).to_wire(), "ok")
    add("revoked", "a user key was revoked", revoked.to_wire(), "ok")
    add("rotated", "another root certifies; the fingerprint stays", rotated.to_wire(), "ok")
    after = rotated.certify(new_root, second.public, "node 2", NOW + 200, NOW + YEAR_S)
    add("certified-by-new-root", "the new root certifies", after.to_wire(), "ok")

    e = log.entries
    add("empty", "no entry", {"entries": [], "head": None})
    add("begins-with-certificate", "entry 0 is missing", of(*e[1:]))
    add("entry-removed", "entry 2 is missing", of(e[0], e[1], e[3]))
    add("entries-swapped", "entries 1 and 2 changed places", of(e[0], e[2], e[1], e[3]))
    add("entry-twice", "entry 1 comes twice", of(e[0], e[1], e[1]))
    add("entry-of-another-log", "an entry of another organization", of(e[0], B.log.entries[1]))
    add("identity-not-self-signed", "entry 0 is signed by another root", of(_entry(_identity(), B.root)))
    forged = Signed(e[1].type, e[1].body, e[1].key, bytes(64))
    add("forged-signature", "a signature of zeros", of(e[0], forged))
    by_node = Signed.sign(DocumentType.KEY_LOG_ENTRY, strict_json.canonical(_next(log, "rotate-root", root={})), A.node)
    add("signed-by-node-key", "node keys do not write the log", of(*e, by_node))
    old = _next(rotated, "certify", subject="x", key=second.public.record(), not_after=NOW + YEAR_S)
    add("signed-by-old-root", "after the rotation the old root signs nothing", of(*rotated.entries, _entry(old)))
    changed = json.loads(e[1].body)
    add("wrong-number", "number 2 in place 1", of(e[0], _entry({**changed, "number": 2})))
    add("wrong-previous", "the chain is broken", of(e[0], _entry({**changed, "previous": "00" * 32})))
    spaced = Signed.sign(DocumentType.KEY_LOG_ENTRY, e[0].body.replace(b",", b", ", 1), A.root)
    add("not-canonical", "white space in the body", of(spaced))
    add("field-left-out", "`version` is left out", of(_entry({k: v for k, v in _identity().items() if k != "version"})))
    add("version-true", "`true` is not 1", of(_entry(_identity(version=True))))
    add("version-2", "a version of the future", of(_entry(_identity(version=2))))
    add("unknown-field", "a field that nobody knows", of(_entry(_identity(more=1))))
    add("unknown-entry", "a kind of entry that nobody knows", of(_entry(_identity(entry="rename"))))
    add("name-redraws-screen", "a control character in the name", of(_entry(_identity(name="A\x1b[2K"))))
    add("name-runs-backwards", "a bidirectional control in the name", of(_entry(_identity(name="\u202eA"))))
    add("root-is-node-key", "the identity's key is no root", of(_entry(_identity(root=A.node.public.record()))))
    twice = _next(log, "certify", subject="again", key=A.node.public.record(), not_after=NOW + YEAR_S)
    add("certified-twice", "a key is certified once", of(*e, _entry(twice)))
    root_key = _next(log, "certify", subject="root", key=new_root.public.record(), not_after=NOW + YEAR_S)
    add("certifies-root", "roots are rotated, not certified", of(*e, _entry(root_key)))
    unknown = _next(log, "revoke", key_id="00" * 16, reason="")
    add("revokes-unknown", "a key that was never certified", of(*e, _entry(unknown)))

    body = json.loads((log.head or e[0]).body)

    def head(key: PrivateKey = A.node, **fields: Any) -> Signed:
        return Signed.sign(DocumentType.KEY_LOG_HEAD, strict_json.canonical({**body, **fields}), key)

    add("head-by-user-key", "user keys sign no heads", of(*e, head=head(A.user)))
    add("head-of-another-log", "the head names another log", of(*e, head=head(fingerprint=B.fingerprint)))
    add("head-behind", "the head speaks of entry 2", of(*e, head=head(number=2)), "key_log_rolled_back")
    add("head-ahead", "the newest entry is held back", of(*e[:3], head=head(A.root)), "key_log_rolled_back")
    lost = log.revoke(A.root, A.node.id, NOW + 10_000)
    about = {"number": 4, "entry_hash": lost.entries[4].hash}
    back = head(issued_at=NOW, **about)
    add("head-dated-back", "a revoked node key dates a head before its revocation", of(*lost.entries, head=back))
    late = head(issued_at=NOW + 10_000, **about)
    add("head-by-revoked-key", "a revoked node key signs a head", of(*lost.entries, head=late))
    add("head-fresh", "a week old", log.to_wire(), "ok", fresh_at=NOW + 7 * 86_400)
    add("head-too-old", "a week and a second old", log.to_wire(), "head_too_old", fresh_at=NOW + 7 * 86_400 + 1)
    add("head-missing", "no head where a fresh one is wanted", of(*e), "head_too_old", fresh_at=NOW)
    add("head-from-the-future", "issued later than the skew", log.to_wire(), "head_too_old", fresh_at=NOW - 301)

    seen = {"fingerprint": A.fingerprint, "number": 3, "hash": e[3].hash}
    add("continues", "it goes on from what was seen", revoked.to_wire(), "ok", seen=seen)
    add("rolled-back", "shorter than what was seen", of(*e[:3]), "key_log_rolled_back", seen=seen)
    add("another-identity", "another organization was seen", B.log.to_wire(), "identity_changed", seen=seen)
    newer = {"fingerprint": A.fingerprint, "number": 4, "hash": revoked.entries[4].hash}
    add("another-history", "entry 4 is not the one seen", rotated.to_wire(), "identity_changed", seen=newer)

    def certificate(name: str, description: str, key: PrivateKey, kind: str, now: int, expect: str) -> None:
        inputs = {"log": revoked.to_wire(), "key": key.id, "as": kind, "now": now}
        to.add(f"certificate/{name}", description, inputs, expect)

    certificate("valid", "a node key in its time", A.node, "node", NOW, "ok")
    certificate("expired", "at `not_after` it has ended", A.node, "node", NOW + YEAR_S, "key_revoked")
    certificate("revoked", "from its revocation on", A.user, "user", NOW + 100, "key_revoked")
    certificate("of-another-kind", "a user key where a node key is wanted", A.user, "node", NOW - 400, "key_unknown")
    certificate("of-a-stranger", "a key that is not in the log", B.node, "node", NOW, "key_unknown")


def key_requests(to: Collection) -> None:
    good = {"version": 1, "subject": "a laptop", "key": A.user.public.record()}

    def add(name: str, description: str, expect: str, signer: PrivateKey = A.user, **changes: Any) -> None:
        body = strict_json.canonical({**good, **changes})
        request = Signed.sign(DocumentType.DEVICE_REQUEST, body, signer).to_wire()
        to.add(f"key-request/{name}", description, {"request": request}, expect)

    add("good", "a laptop asks", "ok")
    add("another-signer", "for a key that the signer does not hold", "signature_invalid", B.user)
    add("root", "roots are not certified", "document_invalid", A.root, key=A.root.public.record())
    add("subject-redraws-screen", "a control character", "document_invalid", subject="\x1b[2J")
    add("unknown-field", "a field that nobody knows", "document_invalid", more=1)


# --- plans, subtasks, receipts ---------------------------------------------------------------------------------------
PLAN = world.plan()


def _plan_body(**changes: Any) -> dict[str, Any]:
    return {**json.loads(PLAN.signed.body), **changes}


def _with_step(number: int, **changes: Any) -> dict[str, Any]:
    body = _plan_body()
    body["steps"][number].update(changes)
    return body


def _with_connection(**changes: Any) -> dict[str, Any]:
    body = _plan_body()
    body["connections"][0].update(changes)
    return body


def plans(to: Collection) -> None:
    issuer = A.user.public.record()

    def add(name: str, description: str, body: Any, expect: str = "plan_invalid", key: PrivateKey = A.user) -> None:
        raw = body if isinstance(body, bytes) else strict_json.canonical(body)
        wire = Signed.sign(DocumentType.PLAN, raw, key).to_wire()
        to.add(f"plan/{name}", description, {"plan": wire, "issuer": issuer}, expect)

    raw = PLAN.signed.body
    add("good", "two steps joined by `gather`, with delegation", raw, "ok")
    add("field-left-out", "every field is present", raw.replace(b'"priority":5,', b""))
    add("unknown-field", "a field that nobody knows", _plan_body(surprise=1))
    add("duplicate-key", "a field twice", raw.replace(b'"suite":2', b'"suite":2,"suite":0'))
    add("float", "a number that is not an integer", raw.replace(b'"suite":2', b'"suite":2.0'))
    add("suite-true", "`true` is not 1", raw.replace(b'"suite":2', b'"suite":true'))
    add("white-space", "not canonical", raw + b" ")
    add("version-2", "a version of the future", _plan_body(version=2))
    add("expires-before-issued", "the times contradict", _plan_body(expires_at=NOW))
    add("valid-too-long", "longer than 366 days", _plan_body(expires_at=NOW + YEAR_S + 1))
    add("recipients-widened", "one recipient more than the pattern has", _with_connection(recipients=ALL[:2]))
    add("recipients-missing", "no recipient", _with_connection(recipients=[]))
    add("pattern-does-not-fit", "`broadcast` from three", _with_connection(pattern="broadcast"))
    add("connected-to-itself", "a step feeds itself", _with_connection(to_step="part"))
    add("unknown-step", "a connection to nowhere", _with_connection(to_step="absent"))
    add("order-missing", "an organization without an order", _with_step(0, orders=_plan_body()["steps"][1]["orders"]))
    add("unknown-image", "an image that is not listed", _with_step(0, image="absent"))
    add("unknown-organization", "a stranger", _with_step(1, on=["ee" * 32]))
    add("organization-twice", "an organization twice in a step", _with_step(0, on=[*ALL, ALL[0]]))
    add("name-redraws-screen", "a control character", _plan_body(name="\x1b[2J"))
    other = {"organization": B.fingerprint, "key": B.user.id}
    add("issuer-is-not-signer", "signed by another than the issuer", raw, key=B.user)
    add("another-issuer", "signed by its issuer, who is not the expected one", _plan_body(issuer=other),
        "signature_invalid", B.user)  # fmt: skip
    wire = PLAN.signed.to_wire()
    changed = {**wire, "body": b64(raw.replace(b"federated", b"Federated"))}
    to.add("plan/changed", "one letter was changed", {"plan": changed, "issuer": issuer}, "signature_invalid")
    retyped = Signed.sign(DocumentType.RECEIPT, raw, A.user).to_wire()
    to.add("plan/another-type", "signed as a receipt", {"plan": retyped, "issuer": issuer}, "plan_invalid")
    to.add("plan/expired", "after its end", {"plan": wire, "issuer": issuer, "now": NOW + 86_400}, "plan_expired")
    to.add("plan/too-early", "before its time", {"plan": wire, "issuer": issuer, "now": NOW - 301}, "plan_expired")

    target = SupplementTarget(path="part[0]", organization=B.fingerprint)

    def again(name: str, description: str, expect: str, key: PrivateKey = A.user, plan: str = PLAN.hash) -> None:
        body = Supplement(plan=plan, kind="retry", runs=(target,), generation=1, issued_at=NOW, expires_at=NOW + 60)
        inputs = {"supplement": Supplement.sign(body, key).to_wire(), "plan": wire, "issuer": issuer}
        to.add(f"supplement/{name}", description, inputs, expect)

    again("good", "one run again", "ok")
    again("another-signer", "not the initiator", "signature_invalid", key=B.user)
    again("another-plan", "about another plan", "plan_mismatch", plan="00" * 32)


def runs(to: Collection) -> None:
    nodes = [
        {"organization": found.fingerprint, "id": found.node.id, "record": found.node.public.record()}
        for found in (A, B, C)
    ]

    def add(
        name: str,
        description: str,
        path: TaskPath,
        at: world.Organization,
        statements: tuple[SignedSubtask, ...] = (),
        expect: str = "ok",
        generation: int = 0,
        now: int = NOW,
    ) -> None:
        inputs = {
            "plan": PLAN.signed.to_wire(),
            "path": str(path),
            "organization": at.fingerprint,
            "generation": generation,
            "statements": [statement.signed.to_wire() for statement in statements],
            "nodes": nodes,
            "now": now,
        }
        to.add(f"run/{name}", description, inputs, expect)

    part, finish = TaskPath("part"), TaskPath("finish")
    first = world.signed_subtask(PLAN)
    path = first.subtask.path
    add("step", "a step that delegates", part, B)
    add("step-with-inputs", "a step that gathers", finish, A)
    add("unknown-step", "the plan has no such step", TaskPath("absent"), A, expect="plan_mismatch")
    add("iteration", "the plan has no second iteration", TaskPath("part", 1), A, expect="plan_mismatch")
    add("not-there", "the step does not run there", finish, B, expect="plan_mismatch")
    add("subtask", "A's run of `part` asks B", path, B, (first,))
    target = (SubtaskTarget(organization=C.fingerprint, order=world.payload_id("second order")),)
    below = RunName(path=str(path), organization=B.fingerprint)
    second = world.signed_subtask(PLAN, at=B, parent=below, targets=target)
    add("subtask-of-subtask", "B's run of the subtask asks C", path.child(B.fingerprint, 1, 1), C, (first, second))

    def wrong(name: str, description: str, expect: str, **changes: Any) -> None:
        statement = world.signed_subtask(PLAN, **changes)
        add(f"subtask-{name}", description, statement.subtask.path, B, (statement,), expect)

    add("subtask-without-statement", "the chain is missing", path, B, (), "plan_mismatch")
    add("subtask-not-addressed", "the statement does not name it", path, A, (first,), "plan_mismatch")
    other_path = part.child(A.fingerprint, 2, 1)
    add("subtask-of-another-attempt", "the path says attempt 2", other_path, B, (first,), "plan_mismatch")
    add("subtask-generation", "the hub says generation 1", path, B, (first,), "plan_mismatch", generation=1)
    add("subtask-late", "long after the delegation's end", path, B, (first,), "delegation_exceeded", now=NOW + 10_000)
    by_b = SignedSubtask.sign(first.subtask, B.node)
    add("subtask-by-stranger", "signed by another organization's node", path, B, (by_b,), "key_unknown")
    by_user = SignedSubtask.sign(first.subtask, A.user)
    add("subtask-by-user", "signed by a user key", path, B, (by_user,), "key_unknown")
    forged = SignedSubtask(first.subtask, Signed(DocumentType.SUBTASK, first.signed.body, A.node.id, bytes(64)))
    add("subtask-forged", "a signature of zeros", path, B, (forged,), "signature_invalid")
    wrong("another-plan", "the statement is about another plan", "plan_mismatch", plan="00" * 32)
    wrong("recipients", "the outcome is for others too", "plan_mismatch", recipients=(A.fingerprint, C.fingerprint))
    wrong("image", "an image that may not be delegated", "delegation_exceeded", image="other")
    wrong("data", "data that may not be used", "delegation_exceeded", data=("secret",))
    wrong("counter", "the eleventh of ten", "delegation_exceeded", counter=11)
    wrong("limits", "more time than the plan allows", "delegation_exceeded", limits=Limits(time_s=3601))
    wrong("issued-late", "issued after the delegation's end", "delegation_exceeded", issued_at=NOW + 3601)
    raw = first.signed.body.replace(b'"attempt":1', b'"attempt":0')
    malformed = SignedSubtask(first.subtask, Signed.sign(DocumentType.SUBTASK, raw, A.node))
    add("subtask-malformed", "attempts count from 1", path, B, (malformed,), "document_invalid")


def receipts(to: Collection) -> None:
    part = expected_root_run(PLAN.plan, TaskPath("part"), B.fingerprint)
    finish = expected_root_run(PLAN.plan, TaskPath("finish"), A.fingerprint)
    opened = tuple(
        OpenedInput(
            name="parts",
            producer=RunName(path="part[0]", organization=fingerprint),
            payload=world.payload_id(fingerprint),
            receipt=world.payload_id(f"receipt of {fingerprint}"),
        )
        for fingerprint in ALL
    )

    def add(name: str, description: str, signed: Signed, expect: str, step: str = "part", generation: int = 0) -> None:
        at = B if step == "part" else A
        inputs = {
            "receipt": signed.to_wire(),
            "plan": PLAN.signed.to_wire(),
            "path": f"{step}[0]",
            "organization": at.fingerprint,
            "generation": generation,
            "node": at.node.public.record(),
        }
        to.add(f"receipt/{name}", description, inputs, expect)

    def of_part(**changes: Any) -> Signed:
        return SignedReceipt.sign(world.receipt(PLAN, part, **changes), B.node).signed

    def of_finish(**changes: Any) -> Signed:
        return SignedReceipt.sign(world.receipt(PLAN, finish, **{"inputs": opened, **changes}), A.node).signed

    good = of_part()
    add("completed", "a run without inputs", good, "ok")
    add("completed-with-inputs", "a run that gathered", of_finish(), "ok", "finish")
    none: dict[str, Any] = {"image": None, "outputs": (), "started_at": None, "exit_code": None}
    add("refused", "nothing ran", of_part(state="refused", reason=Reason.POLICY, **none), "ok")
    add("another-plan", "about another plan", of_part(plan="00" * 32), "receipt_invalid")
    elsewhere = RunName(path="part[0]", organization=C.fingerprint)
    add("another-run", "about another organization's run", of_part(run=elsewhere), "receipt_invalid")
    add("another-generation", "generation 1 is expected", good, "receipt_invalid", generation=1)
    add("another-order", "another order was executed", of_part(order="00" * 32), "receipt_invalid")
    add("another-image", "another image ran", of_part(image=OTHER_IMAGE), "receipt_invalid")
    add("output-missing", "no output", of_part(outputs=()), "receipt_invalid")
    add(
        "input-missing", "one of three inputs was not opened", of_finish(inputs=opened[1:]), "receipt_invalid", "finish"
    )
    doubled = (*opened[:2], opened[1])
    add("input-twice", "one input counted twice", of_finish(inputs=doubled), "receipt_invalid", "finish")
    add("input-foreign", "an input that the plan does not name", of_part(inputs=opened[:1]), "receipt_invalid")
    add("another-signer", "signed by another node", Signed.sign(good.type, good.body, A.node), "signature_invalid")
    changed = Signed(good.type, good.body.replace(b"scripted", b"docker--"), good.key, good.signature)
    add("changed", "the executor was changed afterwards", changed, "signature_invalid")
    body = json.loads(good.body)

    def malformed(**fields: Any) -> Signed:
        return Signed.sign(DocumentType.RECEIPT, strict_json.canonical({**body, **fields}), B.node)

    add("completed-with-reason", "only what failed has a reason", malformed(reason="policy"), "receipt_invalid")
    add("failed-with-outputs", "only what completed has outputs", malformed(state="failed", reason="policy"),
        "receipt_invalid")  # fmt: skip
    add("unknown-reason", "a reason that nobody knows", malformed(state="failed", reason="x"), "receipt_invalid")
    add("unknown-field", "a field that nobody knows", malformed(more=1), "receipt_invalid")
    add("another-type", "signed as a subtask", Signed.sign(DocumentType.SUBTASK, good.body, B.node), "receipt_invalid")


# --- envelopes -------------------------------------------------------------------------------------------------------
CONTENT = b'{"method":"mean","args":[],"kwargs":{}}'


def _written(header: bytes, body: bytes, trailer: bytes) -> bytes:
    return MAGIC + LENGTH.pack(len(header)) + header + body + trailer + LENGTH.pack(len(trailer))


def _trailer(about: bytes, body: bytes, signer: PrivateKey = A.user, **changes: Any) -> bytes:
    """Signed by a sender who need not be honest."""
    fields: dict[str, Any] = {"version": 1, "header": hashlib.sha256(about).hexdigest(), "length": len(body)}
    fields |= {"root": merkle_root([leaf(body)]).hex(), "segments": segment_count(len(body)), **changes}
    signed = Signed.sign(DocumentType.PAYLOAD, strict_json.canonical(fields), signer)
    return strict_json.canonical(signed.to_wire())


def envelopes(to: Collection) -> None:
    def described(data: bytes, reader: PrivateKey = B.organization, suite: Suite = Suite.XWING, **more: Any) -> Vector:
        expected = json.loads(world.order_context(suite).encode()) | more.pop("expected", {})
        return {
            "payload": b64(data),
            "reader": {"kind": reader.kind.value, "seed": reader.seed.hex()},
            "sender": A.user.public.record(),
            "expected": expected,
            "expected_id": None,
            "min_suite": int(suite),
            **more,
        }

    def sealed(suite: Suite, readers: list[PrivateKey], content: bytes = CONTENT) -> bytes:
        return seal_bytes(content, world.order_context(suite), [reader.public for reader in readers], A.user)[0]

    def frozen(name: str, description: str, suite: Suite, readers: list[PrivateKey], content: bytes = CONTENT) -> bytes:
        def make() -> Vector:
            return described(sealed(suite, readers, content), suite=suite)

        return base64.b64decode(to.randomized(f"envelope/{name}", description, make)["payload"])

    one = [B.organization]
    good = frozen("suite-2", "for one organization, hybrid post-quantum", Suite.XWING, one)
    weak = frozen("suite-1", "for one organization, X25519", Suite.X25519, one)
    readable = frozen("suite-0", "readable and signed", Suite.OPEN, [])
    many = frozen("three-readers", "B is one of three readers", Suite.XWING, [A.organization, *one, C.organization])
    frozen("empty", "no content", Suite.XWING, one, b"")
    frozen("empty-suite-0", "no content and no ciphertext", Suite.OPEN, [], b"")
    other = frozen("another", "the same again: another content key", Suite.XWING, one)

    def add(name: str, description: str, data: bytes, expect: str, **more: Any) -> None:
        to.add(f"envelope/{name}", description, described(data, **more), expect)

    add("for-a-user-key", "not sealed for this reader", good, "not_for_this_key", reader=A.user)
    add("for-a-third", "C reads as well", many, "ok", reader=C.organization)
    add("suite-below-minimum", "suite 1 where 2 is demanded", weak, "suite_refused", min_suite=2)
    add("encryption-switched-off", "suite 0 where 2 is demanded", readable, "suite_refused", min_suite=2)
    for field, value in (
        ("kind", "log"),
        ("plan", "00" * 32),
        ("path", "part[1]"),
        ("organization", B.fingerprint),
        ("generation", 1),
        ("attempt", 1),
        ("sender", B.user.id),
    ):
        add(f"context-{field}", f"another {field} is expected", good, "wrong_context", expected={field: value})
    add("another-id", "another payload was promised", good, "wrong_context", expected_id="00" * 32)
    add("another-signer", "the sender is somebody else", good, "signature_invalid", sender=B.user.public.record())

    parts = inspect(io.BytesIO(good))
    header, trailer = parts.header_bytes, parts.trailer_bytes
    body = good[parts.body_offset : parts.body_offset + parts.statement.length]

    def flipped(name: str, description: str, at: int, expect: str = "damaged") -> None:
        data = bytearray(good)
        data[at] ^= 1
        add(f"flipped-{name}", description, bytes(data), expect)

    flipped("magic", "first byte of the magic", 0)
    flipped("version", "the version in the magic", 7)
    flipped("header-length", "the header's length", 11)
    flipped("header", "a byte of the header", 12 + header.index(b"part[0]") + 5)
    flipped("wrap", "a byte of the wrap", 12 + header.index(b'"wrap":"') + 20)
    flipped("body-start", "first byte of the body", parts.body_offset)
    flipped("body-end", "last byte of the body", parts.body_offset + len(body) - 1)
    flipped("trailer", "a byte of the trailer", len(good) - 4 - len(trailer) + 5)
    flipped("trailer-length", "the trailer's length", len(good) - 1)
    at = trailer.index(b'"signature":"') + 20
    forged = trailer[:at] + (b"A" if trailer[at : at + 1] != b"A" else b"B") + trailer[at + 1 :]
    add("flipped-signature", "a byte of the signature", _written(header, body, forged), "signature_invalid")

    add("nothing", "no byte", b"", "damaged")
    add("cut-by-one", "the last byte is missing", good[:-1], "damaged")
    add("cut-in-body", "ends inside the body", good[: parts.body_offset + 10], "damaged")
    add("cut-in-header", "ends inside the header", good[:50], "damaged")
    add("byte-after", "one byte more at the end", good + b"\0", "damaged")
    add("byte-in-body", "one byte more in the body", _written(header, body + b"\0", trailer), "damaged")
    add("body-missing", "header and trailer only", _written(header, b"", trailer), "damaged")
    add("body-of-another", "the body of another payload", _written(header, other[parts.body_offset :][: len(body)],
        trailer), "damaged")  # fmt: skip
    stranger = inspect(io.BytesIO(other))
    add(
        "trailer-of-another",
        "the trailer of another payload",
        _written(header, body, stranger.trailer_bytes),
        "damaged",
    )
    add("header-of-another", "the header of another payload", _written(stranger.header_bytes, body, trailer), "damaged")

    def dishonest(
        name: str, description: str, fields: Any, expect: str, wanted: Any = None, data: bytes = body
    ) -> None:
        """A header that the sender signed, although we would not have written it."""
        changed = fields if isinstance(fields, bytes) else strict_json.canonical({**json.loads(header), **fields})
        add(name, description, _written(changed, data, _trailer(changed, data)), expect, expected=wanted or {})

    wrap = json.loads(header)["recipients"][0]["wrap"]
    moved = [{"key": C.organization.id, "wrap": wrap}]
    dishonest(
        "wrap-in-another-context", "a wrap moved to attempt 1", {"attempt": 1}, "not_for_this_key", {"attempt": 1}
    )
    dishonest("wrap-missing", "the reader's wrap goes to another", {"recipients": moved}, "not_for_this_key")
    dishonest("body-under-another-key", "signed, but encrypted with another key", {}, "damaged",
              data=other[parts.body_offset :][: len(body)])  # fmt: skip
    dishonest("body-too-short", "signed, but no ciphertext", {}, "damaged", data=b"short")
    dishonest("no-readers", "suite 2 without a reader", {"recipients": []}, "damaged")
    dishonest("readers-of-suite-0", "suite 0 with a reader", {"suite": 0}, "damaged")
    double = [{"key": B.organization.id, "wrap": wrap}] * 2
    dishonest("reader-twice", "a reader comes twice", {"recipients": double}, "damaged")
    order = sorted((A.organization.id, B.organization.id), reverse=True)
    unsorted = [{"key": key, "wrap": wrap} for key in order]
    dishonest("readers-not-sorted", "readers stand in the order of their ids", {"recipients": unsorted}, "damaged")
    dishonest(
        "wrap-too-short", "a wrap of 3 bytes", {"recipients": [{"key": B.organization.id, "wrap": "AAAA"}]}, "damaged"
    )
    dishonest("suite-3", "a suite of the future", {"suite": 3}, "damaged")
    dishonest("suite-true", "`true` is not 1", {"suite": True}, "damaged")
    dishonest("compressed", "a compression of the future", {"compression": "gzip"}, "damaged")
    dishonest("unknown-field", "a field that nobody knows", {"more": 1}, "damaged")
    dishonest("field-left-out", "every field is present", header.replace(b'"attempt":0,', b""), "damaged")
    dishonest("duplicate-key", "a field twice", header.replace(b'"attempt":0', b'"attempt":0,"attempt":1'), "damaged")
    dishonest("header-not-canonical", "white space in the header", header + b" ", "damaged")

    def trailing(name: str, description: str, changed: bytes) -> None:
        add(f"trailer-{name}", description, _written(header, body, changed), "damaged")

    trailing("segments", "two segments of so short a body", _trailer(header, body, segments=2))
    trailing("length", "another length", _trailer(header, body, length=len(body) + 1))
    trailing("root", "another Merkle root", _trailer(header, body, root="00" * 32))
    trailing("header", "about another header", _trailer(header, body, header="00" * 32))
    trailing("by-another", "signed by another than the header's sender", _trailer(header, body, signer=B.user))
    trailing("not-canonical", "white space in the trailer", trailer + b" ")
    as_receipt = Signed.sign(DocumentType.RECEIPT, parts.signed.body, A.user)
    trailing("of-another-type", "signed as a receipt", strict_json.canonical(as_receipt.to_wire()))
    spaced = Signed.sign(DocumentType.PAYLOAD, parts.signed.body + b" ", A.user)
    trailing("statement-not-canonical", "white space in the statement", strict_json.canonical(spaced.to_wire()))


def segments(to: Collection) -> None:
    for count in (1, 2, 3, 4, 5, 7, 8, 9):
        leaves = [leaf(bytes([number])).hex() for number in range(count)]
        to.add(f"merkle/{count}-leaves", f"tree over {count} leaves", {"leaves": leaves})
    whole = [{"byte": 7, "times": SEGMENT_BYTES}]
    to.add("merkle/whole-segment", "a body of exactly 8 MiB has one segment", {"body": whole})
    to.add("merkle/empty-body", "an empty body has one, empty, segment", {"body": []})

    two = [*whole, {"byte": 8, "times": 1}]
    header = Header(
        **{name: getattr(world.order_context(Suite.OPEN), name) for name in Context.model_fields}, recipients=()
    ).encode()
    leaves = [leaf(bytes([7]) * SEGMENT_BYTES), leaf(bytes([8]))]
    fields = {"root": merkle_root(leaves).hex(), "segments": 2, "length": SEGMENT_BYTES + 1}
    trailer = _trailer(header, b"", **fields)
    around = {"header": b64(header), "trailer": b64(trailer)}
    swapped = [{"byte": 8, "times": 1}, *whole]
    hashes = [found.hex() for found in leaves]

    def add(name: str, description: str, expect: str, **body: Any) -> None:
        to.add(f"payload-parts/{name}", description, {**around, **body}, expect)

    add("two-segments", "8 MiB and one byte: two segments", "ok", body=two)
    add("two-segments-by-hash", "the same, by the hashes of its segments", "ok", leaves=hashes)
    add("segments-swapped", "the same bytes in another order", "damaged", body=swapped)
    add("leaves-swapped", "the hashes in another order", "damaged", leaves=hashes[::-1])
    add("leaf-missing", "one hash too few", "damaged", leaves=hashes[:1])
    add("leaf-twice", "one hash too many", "damaged", leaves=[*hashes, hashes[1]])
    joined = "".join(hashes)
    add("leaves-cut-elsewhere", "hashes of 20 and 44 bytes", "damaged", leaves=[joined[:40], joined[40:]])
    inner = merkle_root(leaves).hex()
    add("root-as-leaf", "an inner node in place of a leaf", "damaged", leaves=[inner])
    around = {**around, "trailer": b64(_trailer(header, b"", **{**fields, "segments": 1}))}
    add("one-segment-too-few", "the number of segments contradicts the length", "damaged", leaves=hashes)


def make(folder: Path = FOLDER) -> Collection:
    """Add what is missing below `folder`."""
    to = Collection(folder)
    for part in (keys, encodings, signatures, key_logs, key_requests, plans, runs, receipts, envelopes, segments):
        part(to)
    return to


def main() -> int:
    found = make()
    print(f"{len(found.wanted)} vectors, {len(found.added)} of them new")
    for name in found.differing:
        print(f"error: {name} would come out differently today; it was left as it is", file=sys.stderr)
    return 1 if found.differing else 0


if __name__ == "__main__":
    sys.exit(main())
