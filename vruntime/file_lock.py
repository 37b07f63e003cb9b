"""One writer at a time, among all processes of this machine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vprotocol.errors import DeadlineExceeded
from vruntime.atomic import belong_to_folder

WITHIN_S = 15.0
_LOOK_EVERY_S = 0.02


@contextmanager
def locked(path: Path, within_s: float = WITHIN_S) -> Iterator[None]:
    """Hold the lock of the file `path` (a lock on an empty file beside it, because `path` itself is replaced).

    Not reentrant. Ends with the process at the latest, however that dies.

    :raises DeadlineExceeded: another process held it all the time.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        belong_to_folder(descriptor, path.parent)
        _acquire(descriptor, path, time.monotonic() + within_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise DeadlineExceeded(f"{path} is being written by another program for too long") from None
        time.sleep(_LOOK_EVERY_S)
