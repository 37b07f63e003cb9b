"""Lease tokens: what proves that a result comes from an attempt that was really handed out.

A token is computed from a secret of the hub, the run and the attempt. So a lost answer can be given again with the
same token, after a restart and by another process too, although the database knows only its hash. The secret is a file
beside the payloads: who reads the database cannot make tokens.
"""

import hashlib
import hmac
import secrets
from contextlib import suppress
from pathlib import Path

from vruntime.atomic import make_private_folder, write_new


class LeaseTokens:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def from_file(cls, path: Path) -> "LeaseTokens":
        """With the secret in this file, which is made if it is not there."""
        if not path.exists():
            make_private_folder(path.parent)
            with suppress(FileExistsError):  # another process of this hub was faster
                write_new(path, secrets.token_bytes(32))
        return cls(path.read_bytes())

    def token(self, run_id: int, attempt: int) -> str:
        mac = hmac.new(self._secret, f"{run_id}.{attempt}".encode(), hashlib.sha256)
        return "vestal-lease-" + mac.hexdigest()

    def matches(self, token: str, run_id: int, attempt: int) -> bool:
        return hmac.compare_digest(token.encode(), self.token(run_id, attempt).encode())


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
