"""Files that are either the old or the new one, also after a power cut."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600


def write_atomically(path: str | os.PathLike[str], data: bytes, mode: int = PRIVATE) -> None:
    """Replace `path` by `data`; a reader, or a crash at any moment, sees all of the old or all of the new file."""
    with replacing(path, mode) as file:
        file.write(data)


def write_new(path: str | os.PathLike[str], data: bytes, mode: int = PRIVATE) -> None:
    """Create `path` with `data` in one step.

    Raises `FileExistsError`, and changes nothing, if the file exists.
    """
    target = Path(path)
    temporary = _temporary(target)
    try:
        _write_synced(temporary, data, mode)
        os.link(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


@contextmanager
def replacing(path: str | os.PathLike[str], mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Write a file of any size that takes the place of `path` when the block ends without an exception."""
    target = Path(path)
    temporary = _temporary(target)
    try:
        with _open_private(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make new and renamed names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def belong_to_folder(descriptor: int, folder: str | os.PathLike[str]) -> None:
    """What root writes into somebody's folder is that person's (or service's), who could not use it otherwise."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def make_private_folder(path: str | os.PathLike[str]) -> Path:
    """Make `path` (and its parents) so that only its owner can look inside; an existing folder is left as it is."""
    folder = Path(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.new")


def _open_private(path: Path, mode: int) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(descriptor, mode)  # the umask must not widen or narrow what was asked for
        belong_to_folder(descriptor, path.parent)
        return os.fdopen(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        raise


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    with _open_private(path, mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
