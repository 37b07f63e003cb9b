"""Assignments as a hub hands them out."""

from typing import Any

from tests.unit.vprotocol.world import A, plan
from vprotocol.messages.sync import Assignment


def assignment(run: int = 1, **changes: Any) -> Assignment:
    fields = {
        "run": run,
        "task": 10 + run,
        "job": "0a" * 16,
        "organization": A.fingerprint,
        "collaboration": 1,
        "encrypted": True,
        "path": "part[0]",
        "generation": 0,
        "attempt": 1,
        "lease_token": f"lease of {run}",
        "lease_s": 60.0,
        "plan": plan().signed.to_wire(),
        "order": {"id": "0e" * 32, "bytes_total": 10},
    }
    return Assignment.from_wire({**fields, **changes})
