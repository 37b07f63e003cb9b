"""Sealed results on disk. A result leaves only when the hub has acknowledged it.

One folder a run: its sealed payloads, and last, written atomically, `result.json`. A folder without that file is a
result that was never finished, and is swept away.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vprotocol.envelope import Sealed
from vprotocol.envelope.format import Parts, read_parts
from vruntime.atomic import make_private_folder, sync_folder, write_atomically

log = logging.getLogger(__name__)

_RESULT = "result.json"


@dataclass(frozen=True)
class OutgoingPayload:
    """A sealed file, and the hashes of its segments for the upload."""

    path: Path
    leaves: tuple[bytes, ...]

    def parts(self) -> Parts:
        with self.path.open("rb") as file:
            return read_parts(file)


@dataclass(frozen=True)
class Outgoing:
    """A result that waits for the hub's acknowledgement."""

    key: str
    run: int
    lease_token: str
    receipt: dict[str, Any]  # signed, verbatim
    payloads: tuple[OutgoingPayload, ...]


class Outbox:
    def __init__(self, folder: Path) -> None:
        self._folder = make_private_folder(folder)

    def prepare(self, key: str) -> Path:
        """An empty folder for the sealed payloads of a run."""
        folder = self._place(key)
        if folder.exists():
            shutil.rmtree(folder)
        return make_private_folder(folder)

    def commit(
        self,
        key: str,
        run: int,
        lease_token: str,
        receipt: dict[str, Any],
        payloads: Sequence[tuple[Path, Sealed]],
    ) -> Outgoing:
        """From here on the result survives everything but the disk."""
        document = {
            "key": key,
            "run": run,
            "lease_token": lease_token,
            "receipt": receipt,
            "payloads": [
                {"file": path.name, "leaves": [leaf.hex() for leaf in sealed.leaves]} for path, sealed in payloads
            ],
        }
        folder = self._place(key)
        for path, _ in payloads:
            _sync_file(path)
        write_atomically(folder / _RESULT, json.dumps(document).encode())
        sync_folder(self._folder)
        found = self.find(key)
        assert found is not None, "it was written a moment ago"
        return found

    def find(self, key: str) -> Outgoing | None:
        folder = self._place(key)
        try:
            document = json.loads((folder / _RESULT).read_bytes())
        except FileNotFoundError:
            return None
        return Outgoing(
            key=document["key"],
            run=document["run"],
            lease_token=document["lease_token"],
            receipt=document["receipt"],
            payloads=tuple(
                OutgoingPayload(folder / item["file"], tuple(bytes.fromhex(leaf) for leaf in item["leaves"]))
                for item in document["payloads"]
            ),
        )

    def waiting(self) -> list[Outgoing]:
        """Every finished result, in no particular order."""
        found = (self._read_folder(folder) for folder in self._folder.iterdir() if folder.is_dir())
        return [outgoing for outgoing in found if outgoing is not None]

    def drop(self, key: str) -> None:
        """The hub has it, or does not want it."""
        folder = self._place(key)
        (folder / _RESULT).unlink(missing_ok=True)  # first: half of a folder must not look like a result
        shutil.rmtree(folder, ignore_errors=True)

    def _read_folder(self, folder: Path) -> Outgoing | None:
        try:
            return self.find(json.loads((folder / _RESULT).read_bytes())["key"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as fault:  # one damaged result must not hold back the others
            log.error("a result in %s cannot be read: %s", folder, fault)
            return None

    def holds(self, run: int) -> bool:
        """Whether a result of this run waits."""
        return any(outgoing.run == run for outgoing in self.waiting())

    def _place(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:32]


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
