"""Staying logged in: the pair of tokens, in memory or in a file that only its owner can read.

A refresh token holds once. Several programs of one person may share the file, so it is locked while a pair is traded,
and read again first: somebody else may have traded it already.
"""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vprotocol.errors import NotAuthenticated
from vprotocol.messages.token import TokenPair
from vruntime.atomic import make_private_folder, write_atomically
from vruntime.logs import register_secret

Trade = Callable[[str], TokenPair]  # a refresh token for the next pair


class Tokens:
    """The token provider of one client (`vruntime.http.TokenProvider`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pair: dict[str, Any] | None = None
        self._kept = False
        self._looked = False
        self.trade: Trade | None = None  # set once the connection that it needs exists

    def token(self) -> str | None:
        pair = self._present()
        return None if pair is None else str(pair["access_token"])

    def refresh(self, rejected: str) -> str | None:
        if self.trade is None or self._present() is None:
            return None
        with self._locked():
            pair = self._read() if self._kept else self._pair
            if pair is not None and pair["access_token"] != rejected:
                self._pair = pair  # another program was faster
                return str(pair["access_token"])
            if pair is None:
                return None
            try:
                self._take(self.trade(str(pair["refresh_token"])))
            except NotAuthenticated:
                self.forget()
                raise
        return self.token()

    def begin(self, pair: TokenPair, *, keep: bool) -> None:
        """After a log-in; `keep` writes the tokens to the file."""
        self._kept, self._looked = keep, True
        if not keep:
            self._path.unlink(missing_ok=True)
        self._take(pair)

    def forget(self) -> None:
        self._pair, self._looked = None, True
        self._path.unlink(missing_ok=True)

    def _take(self, pair: TokenPair) -> None:
        self._pair = {"access_token": pair.access_token, "refresh_token": pair.refresh_token}
        register_secret(pair.access_token)
        register_secret(pair.refresh_token)
        if self._kept:
            make_private_folder(self._path.parent)
            write_atomically(self._path, json.dumps(self._pair).encode())

    def _present(self) -> dict[str, Any] | None:
        if not self._looked:
            self._looked = True
            self._pair = self._read()
            self._kept = self._pair is not None
        return self._pair

    def _read(self) -> dict[str, Any] | None:
        try:
            pair = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # damaged: as good as logged out
        if not isinstance(pair, dict) or not {"access_token", "refresh_token"} <= set(pair):
            return None
        register_secret(str(pair["access_token"]))
        register_secret(str(pair["refresh_token"]))
        return pair

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._kept:
            yield
            return
        with self._path.with_suffix(".lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
