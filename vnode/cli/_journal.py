"""What the journal says, read beside a daemon that writes it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from vnode.deployment import Deployment
from vnode.executors.node_container import NodeContainers

_WAIT_S = 10
_SHOWN = "run, job, phase, accepted_at, started_at, expires_at, sandbox, key, assignment"


def runs(path: Path, *, unfinished_only: bool = False, limit: int = 1_000_000) -> list[dict[str, Any]]:
    """The newest runs first; none where no journal was written yet."""
    where = "WHERE phase != 'ended'" if unfinished_only else ""
    statement = f"SELECT {_SHOWN} FROM run {where} ORDER BY accepted_at DESC LIMIT ?"  # noqa: S608 (our own words)
    return [_shown(row) for row in _rows(path, statement, (limit,))]


def open_jobs(path: Path) -> tuple[str, ...]:
    return tuple(row["job"] for row in _rows(path, "SELECT job FROM job", ()))


def runs_inside(node: Deployment, *, all_: bool, limit: int) -> list[dict[str, Any]]:
    """Those of a node that runs as a container: its journal is in its volume, so its own `vnode` reads it."""
    command = ["vnode", "runs", "--inside", "--limit", str(limit), "--json", *(["--all"] if all_ else [])]
    with closing(NodeContainers()) as containers:
        found: list[dict[str, Any]] = json.loads(containers.run_inside(node.name, command))
    return found


def _rows(path: Path, statement: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
    if not path.exists():
        return []
    with _reading(path) as db:
        try:
            return db.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # it is being made at this moment
                return []
            raise


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as db:
        db.row_factory = sqlite3.Row
        yield db


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    assignment = json.loads(row["assignment"])
    shown = {name: row[name] for name in row.keys() if name != "assignment"}  # noqa: SIM118 (a Row is no mapping)
    return {**shown, "path": assignment["path"], "attempt": assignment["attempt"], "task": assignment["task"]}
