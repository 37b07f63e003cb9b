"""Final outcomes and logs: chosen, fetched, opened. Only what `checking` has let through comes here."""

import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from vclient.checking import CheckedRun, SignedLog, organization_names
from vclient.connection import Connection
from vclient.errors import Failure, Undecodable
from vprotocol.envelope import Header, PayloadKind, Suite
from vprotocol.errors import NotFound, ReceiptInvalid, TooLarge, UsageError
from vprotocol.ids import Fingerprint
from vprotocol.keys import PublicKey
from vprotocol.messages.documents import PayloadRef
from vprotocol.plan import SignedPlan
from vprotocol.receipt import Receipt
from vruntime.atomic import PRIVATE, replacing
from vruntime.transfer import Progress, fetch

JSON = "application/json"
IN_MEMORY_LIMIT_BYTES = 256 * 2**20
LOG_LIMIT_BYTES = 64 * 2**20
SEALED_MORE_BYTES = 8 * 2**20  # what an envelope adds at most: header, wraps and the tags of the body
_TAGS_SHARE = 1000  # the body grows by less than a thousandth


@dataclass(frozen=True)
class Final:
    """One output of one completed run that the initiator may open."""

    step: str
    output: str
    organization: str  # name
    fingerprint: Fingerprint
    payload: PayloadRef
    receipt: Receipt
    node: PublicKey
    limit_bytes: int  # of the content, by the plan

    @property
    def label(self) -> str:
        return f"{self.step}.{self.output} of {self.organization}"


class Results(Mapping[str, Any]):
    """Opened outcomes by organization; `failures` are the runs of the job that did not complete."""

    def __init__(self, values: Mapping[str, Any], failures: Sequence[Failure] = ()) -> None:
        self._values = dict(values)
        self.failures = tuple(failures)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Results({self._values!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(other) == self._values

    __hash__ = None  # type: ignore[assignment]


def final_outputs(plan: SignedPlan, step: str | None = None, output: str | None = None) -> list[tuple[str, str]]:
    """(step, output) of everything that the initiator may open, or of what was chosen.

    :raises NotFound: the plan has no such final output.
    """
    everything = [(one.name, name) for one in plan.plan.steps for name in one.final]
    chosen = [(s, o) for s, o in everything if step in (None, s) and output in (None, o)]
    if not chosen:
        listed = ", ".join(f"{s}.{o}" for s, o in everything)
        raise NotFound("the job has no such final output", hint=f"It has: {listed}.")
    return chosen


def finals(
    plan: SignedPlan, runs: Mapping[tuple[str, Fingerprint], CheckedRun], chosen: Sequence[tuple[str, str]]
) -> list[Final]:
    """The chosen outputs of all completed runs, in the plan's order."""
    names = organization_names(plan)
    found = []
    for step_name, output in chosen:
        step = plan.plan.step(step_name)
        assert step is not None, "chosen from the plan"
        for fingerprint in step.on:
            run = runs.get((f"{step_name}[0]", fingerprint))
            if run is None or not run.completed:
                continue
            assert run.receipt is not None and run.node is not None, "a completed run has a receipt"
            ref = next((one.payload for one in run.view.outputs if one.name == output), None)
            if ref is None:
                raise ReceiptInvalid(f"the hub shows no output `{output}` of {step_name} at {names[fingerprint]}")
            limit = step.limits.output_bytes
            found.append(Final(step_name, output, names[fingerprint], fingerprint, ref, run.receipt, run.node, limit))
    return found


class Opener:
    """Opens what nodes sealed for this user, under one plan."""

    def __init__(self, connection: Connection, plan: SignedPlan) -> None:
        self._connection = connection
        self._min_suite = Suite(max(plan.plan.suite, connection.settings.suite_for(plan.plan.collaboration)))

    def value(self, final: Final) -> Any:
        """A decoded value: JSON as Python objects, anything else as bytes.

        :raises TooLarge: better saved to a file. Undecodable: it says it is JSON and is not.
        """
        if final.payload.bytes_total > IN_MEMORY_LIMIT_BYTES:
            raise TooLarge(
                f"{final.label} has {final.payload.bytes_total} bytes", hint="Save it to a file: job.save(path)."
            )
        sealed, content = io.BytesIO(), io.BytesIO()
        self._fetch(final, sealed)
        header = self._open(final, sealed, content)
        if header.media_type != JSON:
            return content.getvalue()
        try:
            return json.loads(content.getvalue())
        except (ValueError, RecursionError):
            raise Undecodable(f"{final.label} says it is JSON and is not") from None

    def save(self, final: Final, path: Path, progress: Progress | None = None) -> Header:
        """Stream it to `path`, which appears complete and checked or not at all; constant memory at any size."""
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{path} is not the name of a file in an existing folder")
        sealed_path = path.with_name(f".{path.name}.{secrets.token_hex(8)}.sealed")
        try:
            with open(sealed_path, "x+b", opener=_private) as sealed:
                self._fetch(final, sealed, progress)
                with replacing(path, PRIVATE) as sink:
                    return self._open(final, sealed, sink)
        finally:
            sealed_path.unlink(missing_ok=True)

    def log(self, log: SignedLog) -> bytes:
        assert log.view.log is not None, "held against the receipt"
        sealed, content = io.BytesIO(), io.BytesIO()
        fetch(self._connection.http, log.view.log, sealed, limit_bytes=LOG_LIMIT_BYTES)
        self._connection.key.open(
            sealed,
            content,
            kind=PayloadKind.LOG,
            receipt=log.receipt,
            node=log.node,
            payload=log.view.log.id,
            min_suite=self._min_suite,
        )
        return content.getvalue()

    def _fetch(self, final: Final, sink: BinaryIO, progress: Progress | None = None) -> None:
        limit = final.limit_bytes + final.limit_bytes // _TAGS_SHARE + SEALED_MORE_BYTES
        fetch(self._connection.http, final.payload, sink, limit_bytes=limit, progress=progress)

    def _open(self, final: Final, sealed: BinaryIO, sink: BinaryIO) -> Header:
        return self._connection.key.open(
            sealed,
            sink,
            kind=PayloadKind.OUTCOME,
            receipt=final.receipt,
            node=final.node,
            payload=final.payload.id,
            min_suite=self._min_suite,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)
