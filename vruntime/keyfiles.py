"""Private keys in files: one small text file each, readable by its owner only.

Opened nowhere but here, and this module is used by `vnode/vault.py` and `vclient/sealing.py` only.
"""

import base64
import binascii
import hashlib
import os
import re
import stat
from pathlib import Path

from vprotocol.errors import KeyFileInvalid
from vprotocol.keys import SEED_BYTES, KeyKind, PrivateKey
from vruntime.atomic import PRIVATE, write_new

LIMIT_BYTES = 4096
_CHECK_BYTES = 4
_LINE = re.compile(r"VESTAL-(ROOT|ORGANIZATION|NODE|USER)-KEY-1-([A-Z2-7]+)")


def write_key(path: Path, key: PrivateKey, about: str) -> None:
    """A new key file, mode 0600.

    :param about: for people: whose key this is.
    :raises KeyFileInvalid: a file is there already; keys are never overwritten.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    comment = about.replace("\n", " ")
    text = f"# Vestal: {key.kind.value} key of {comment}. Secret: whoever has this file has the key.\n{_encode(key)}\n"
    try:
        write_new(path, text.encode(), PRIVATE)
    except FileExistsError:
        raise KeyFileInvalid(f"{path} exists; a key file is never overwritten", hint="Choose another name.") from None


def read_key(path: Path, kind: KeyKind) -> PrivateKey:
    """:raises KeyFileInvalid: not there, readable by others, not a key, or a key of another kind."""
    text = _read_private(path)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    match = _LINE.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        raise KeyFileInvalid(f"{path} does not hold a Vestal key")
    found = KeyKind(match[1].lower())
    if found is not kind:
        raise KeyFileInvalid(f"{path} holds a {found.value} key; a {kind.value} key is needed")
    return PrivateKey(kind, _decode(path, match[2]))


def _encode(key: PrivateKey) -> str:
    data = key.seed + _checksum(key.kind, key.seed)
    return f"VESTAL-{key.kind.value.upper()}-KEY-1-{base64.b32encode(data).decode('ascii').rstrip('=')}"


def _decode(path: Path, text: str) -> bytes:
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        data = b""
    seed, check = data[:SEED_BYTES], data[SEED_BYTES:]
    fits = len(data) == SEED_BYTES + _CHECK_BYTES and check in {_checksum(kind, seed) for kind in KeyKind}
    if not fits:
        raise KeyFileInvalid(f"the key in {path} is damaged: its check digits do not fit")
    return seed


def _checksum(kind: KeyKind, seed: bytes) -> bytes:
    return hashlib.sha256(b"vestal/key-file/v1/" + kind.value.encode() + seed).digest()[:_CHECK_BYTES]


def _read_private(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise KeyFileInvalid(f"cannot open the key file {path}: {fault.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileInvalid(f"{path} is not a regular file")
        if status.st_mode & 0o077:
            raise KeyFileInvalid(
                f"others can read the key file {path} (mode {stat.S_IMODE(status.st_mode):04o})",
                hint=f"chmod 600 {path}, and consider whether somebody has read it.",
            )
        data = file.read(LIMIT_BYTES + 1)
    if len(data) > LIMIT_BYTES:
        raise KeyFileInvalid(f"{path} is too long for a key file")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileInvalid(f"{path} is not a text file") from None
