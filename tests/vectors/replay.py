"""What this implementation says about a test vector: one function a kind, from the vector's inputs to its outputs.

A vector is right when its function returns `outputs` (where `expect` is `ok`), or raises the error with the code that
`expect` names. Another implementation replays the same files with functions of its own.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from vprotocol import strict_json
from vprotocol.envelope import Context, Suite, open_bytes
from vprotocol.envelope.format import SEGMENT_BYTES, Parts, leaf, merkle_root
from vprotocol.errors import KeyUnknown, VestalError
from vprotocol.key_request import KeyRequest
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.paths import TaskPath
from vprotocol.plan import SignedPlan, Supplement, root_runs
from vprotocol.receipt import SignedReceipt
from vprotocol.signed import DocumentType, Signed
from vprotocol.subtask import SignedSubtask, expected_run
from vprotocol.words import base32, words

Inputs = Mapping[str, Any]
Outputs = dict[str, Any]


def outcome(vector: Inputs) -> tuple[str, Outputs]:
    """`expect` and `outputs` as this implementation finds them."""
    try:
        return "ok", KINDS[vector["kind"]](vector["inputs"])
    except VestalError as error:
        return error.code, {}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _private(inputs: Inputs) -> PrivateKey:
    return PrivateKey(KeyKind(inputs["kind"]), bytes.fromhex(inputs["seed"]))


def _key(inputs: Inputs) -> Outputs:
    public = _private(inputs).public
    return {"record": public.record(), "id": public.id}


def _key_record(inputs: Inputs) -> Outputs:
    return {"id": PublicKey.from_record(inputs["record"]).id}


def _words(inputs: Inputs) -> Outputs:
    return {"words": list(words(inputs["fingerprint"])), "base32": base32(inputs["fingerprint"])}


def _canonical_json(inputs: Inputs) -> Outputs:
    return {"value": strict_json.loads_canonical(_bytes(inputs["bytes"]), limit_bytes=10_000)}


def _task_path(inputs: Inputs) -> Outputs:
    path = TaskPath.parse(inputs["text"])
    return {"step": path.step, "iteration": path.iteration, "depth": path.depth}


def _signature(inputs: Inputs) -> Outputs:
    """Ed25519 is deterministic: the same key signs the same bytes with the same signature."""
    signed = Signed.sign(DocumentType(inputs["type"]), _bytes(inputs["body"]), _private(inputs["key"]))
    return {"signed": signed.to_wire(), "hash": signed.hash}


def _signed(inputs: Inputs) -> Outputs:
    signed = Signed.from_wire(inputs["signed"])
    body = signed.check(DocumentType(inputs["type"]), PublicKey.from_record(inputs["signer"]))
    return {"body": _text(body), "hash": signed.hash}


def _key_log(inputs: Inputs) -> Outputs:
    log = KeyLog.from_wire(inputs["log"])
    if seen := inputs.get("seen"):
        log.check_continues(seen["fingerprint"], seen["number"], seen["hash"])
    if "fresh_at" in inputs:
        log.check_fresh(inputs["fresh_at"])
    return {
        "fingerprint": log.fingerprint,
        "name": log.name,
        "root": log.root.id,
        "certified": {key_id: found.key.kind.value for key_id, found in sorted(log.certificates.items())},
        "revoked": sorted(k for k, found in log.certificates.items() if found.revoked_at is not None),
    }


def _certificate(inputs: Inputs) -> Outputs:
    log = KeyLog.from_wire(inputs["log"])
    found = log.certificate(inputs["key"], KeyKind(inputs["as"]), inputs["now"])
    return {"subject": found.subject, "not_after": found.not_after}


def _key_request(inputs: Inputs) -> Outputs:
    request = KeyRequest.from_wire(inputs["request"])
    return {"subject": request.subject, "id": request.key_id}


def _plan(inputs: Inputs) -> Outputs:
    plan = SignedPlan.from_wire(inputs["plan"])
    plan.verify(PublicKey.from_record(inputs["issuer"]))
    if "now" in inputs:
        plan.plan.check_time(inputs["now"])
    runs = [[str(path), organization] for _, path, organization in root_runs(plan.plan)]
    return {"hash": plan.hash, "runs": runs}


def _run(inputs: Inputs) -> Outputs:
    nodes = {(node["organization"], node["id"]): PublicKey.from_record(node["record"]) for node in inputs["nodes"]}

    def node_key(organization: str, key_id: str) -> PublicKey:
        if (organization, key_id) not in nodes:
            raise KeyUnknown
        return nodes[organization, key_id]

    run = expected_run(
        SignedPlan.from_wire(inputs["plan"]),
        TaskPath.parse(inputs["path"]),
        inputs["organization"],
        [SignedSubtask.from_wire(statement) for statement in inputs["statements"]],
        node_key=node_key,
        now=inputs["now"],
        generation=inputs["generation"] if inputs["statements"] else None,
    )
    return {
        "image": run.image.config_digest,
        "order": run.order,
        "order_sender": run.order_sender.model_dump(),
        "data": list(run.data),
        "inputs": [
            {"name": i.name, "producers": [[str(p.path), p.organization, p.output] for p in i.producers]}
            for i in run.inputs
        ],
        "outputs": [
            {"name": o.name, "organizations": list(o.organizations), "keys": [p.key for p in o.parties]}
            for o in run.outputs
        ],
        "log_readers": [party.key for party in run.log_readers],
        "delegates": run.delegation is not None,
    }


def _receipt(inputs: Inputs) -> Outputs:
    plan = SignedPlan.from_wire(inputs["plan"])
    expected = expected_run(plan, TaskPath.parse(inputs["path"]), inputs["organization"])
    signed = SignedReceipt.from_wire(inputs["receipt"])
    receipt = signed.verify(PublicKey.from_record(inputs["node"]), plan.hash, expected, inputs["generation"])
    return {"hash": signed.hash, "state": receipt.state, "outputs": {o.name: o.payload for o in receipt.outputs}}


def _supplement(inputs: Inputs) -> Outputs:
    plan = SignedPlan.from_wire(inputs["plan"])
    issuer = PublicKey.from_record(inputs["issuer"])
    found = Supplement.verify(Signed.from_wire(inputs["supplement"]), plan, issuer)
    return {"generation": found.generation, "runs": [[run.path, run.organization] for run in found.runs]}


def _envelope(inputs: Inputs) -> Outputs:
    data = _bytes(inputs["payload"])
    content = open_bytes(
        data,
        reader=_private(inputs["reader"]),
        sender=PublicKey.from_record(inputs["sender"]),
        expected=context(inputs["expected"]),
        expected_id=inputs["expected_id"],
        min_suite=Suite(inputs["min_suite"]),
    )
    return {"content": _text(content)}


def context(fields: Inputs) -> Context:
    return Context.model_validate_json(strict_json.canonical(dict(fields)), strict=True)


def _payload_parts(inputs: Inputs) -> Outputs:
    """What anybody checks without keys: header, trailer, and the hashes of the segments."""
    parts = Parts.parse(_bytes(inputs["header"]), _bytes(inputs["trailer"]))
    leaves = _leaves(inputs["body"]) if "body" in inputs else [bytes.fromhex(text) for text in inputs["leaves"]]
    parts.check_leaves(leaves)
    return {"id": parts.id, "total_bytes": parts.total_bytes}


def _merkle(inputs: Inputs) -> Outputs:
    leaves = _leaves(inputs["body"]) if "body" in inputs else [bytes.fromhex(text) for text in inputs["leaves"]]
    return {"root": merkle_root(leaves).hex()}


def _leaves(pieces: list[dict[str, int]]) -> list[bytes]:
    """Of a body described as runs of one repeated byte."""
    body = b"".join(bytes([piece["byte"]]) * piece["times"] for piece in pieces)
    return [leaf(body[at : at + SEGMENT_BYTES]) for at in range(0, max(1, len(body)), SEGMENT_BYTES)]


KINDS: dict[str, Callable[[Inputs], Outputs]] = {
    "key": _key,
    "key-record": _key_record,
    "words": _words,
    "canonical-json": _canonical_json,
    "task-path": _task_path,
    "signature": _signature,
    "signed": _signed,
    "key-log": _key_log,
    "certificate": _certificate,
    "key-request": _key_request,
    "plan": _plan,
    "run": _run,
    "receipt": _receipt,
    "supplement": _supplement,
    "envelope": _envelope,
    "payload-parts": _payload_parts,
    "merkle": _merkle,
}
