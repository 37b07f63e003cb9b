"""Capabilities: the token that a sandbox holds, and what it stands for. Valid until its run ends, at this node only."""

import base64
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass

from proxy.desk import Caller
from vprotocol.errors import NotAuthenticated


@dataclass
class _Admitted:
    caller: Caller
    address: str | None  # of the sandbox, once it is known


def new_capability() -> str:
    """256 random bits."""
    return secrets.token_hex(32)


def token_file(caller: Caller, capability: str) -> bytes:
    """A three-part JWT, as the tools expect it; they read `sub` only. Its third part is the capability itself."""
    subject = {
        "client_type": "container",
        "node_id": caller.node_id,
        "organization_id": caller.organization.id,
        "collaboration_id": caller.collaboration_id,
        "study_id": None,
        "store_id": None,
        "task_id": caller.task_id,
        "image": caller.image,
        "databases": [{"label": label} for label in caller.labels],
    }
    parts = [_part({"alg": "HS256", "typ": "JWT"}), _part({"sub": subject}), _raw(bytes.fromhex(capability))]
    return ".".join(parts).encode("ascii")


class CapabilityGate:
    """The `Gate` of the proxy. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._admitted: dict[str, _Admitted] = {}

    def open(self, capability: str, caller: Caller) -> None:
        with self._lock:
            self._admitted[_digest(_raw(bytes.fromhex(capability)))] = _Admitted(caller, None)

    def bind(self, capability: str, address: str | None) -> None:
        """From now on the token counts only when it comes from this address."""
        with self._lock:
            found = self._admitted.get(_digest(_raw(bytes.fromhex(capability))))
            if found is not None:
                found.address = address

    def close(self, capability: str) -> None:
        with self._lock:
            self._admitted.pop(_digest(_raw(bytes.fromhex(capability))), None)

    def admit(self, token: str, address: str | None) -> Caller:
        with self._lock:
            found = self._admitted.get(_digest(token.rpartition(".")[2]))
        if found is None or (found.address is not None and found.address != address):
            raise NotAuthenticated("this token is not valid here, or its run has ended")
        return found.caller


def _digest(part: str) -> str:
    """Tokens are looked up by their hash, so that no comparison leaks one byte by byte."""
    return hashlib.sha256(part.encode()).hexdigest()


def _part(value: object) -> str:
    return _raw(json.dumps(value, separators=(",", ":")).encode())


def _raw(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
