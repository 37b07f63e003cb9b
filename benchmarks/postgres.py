"""A PostgreSQL server of our own for a while: in a new folder, reached through a socket in it, usual settings."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 90


def binaries() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database. It commits to disk, as in earnest."""
    # The path of a Unix socket has room for about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="vestal-pg-", dir="/tmp"))
    user = _unprivileged()
    if user:
        shutil.chown(folder, user)
    try:
        _run(programs, user, folder, "initdb", "-D", f"{folder}/data", "-U", "vestal", "-A", "trust", "-E", "UTF8")
        settings = f"-k {folder} -c listen_addresses='' -c max_connections=200"
        log = f"{folder}/log"
        _run(programs, user, folder, "pg_ctl", "-D", f"{folder}/data", "-l", log, "-o", settings, "-w", "start")
        try:
            yield f"postgresql+psycopg://vestal@/postgres?host={folder}"
        finally:
            _run(programs, user, folder, "pg_ctl", "-D", f"{folder}/data", "-m", "fast", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str | None:
    """As root the name of somebody else: the server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), "nobody")


def _run(programs: Path, user: str | None, folder: Path, program: str, *arguments: str) -> None:
    subprocess.run(
        [str(programs / program), *arguments],
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=WITHIN_S,
        check=True,
    )
