"""What this node has begun, written down before it begins. The node's memory across `kill -9`.

A run's key is written once and kept until its plan expires: that is the protection against replay. Its row also holds
what is needed to go on after a crash: the assignment as it came, the sandbox's name and the algorithm's token.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vprotocol.errors import Replayed
from vprotocol.messages.sync import Assignment

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    key TEXT PRIMARY KEY,              -- plan hash | path | organization | generation | attempt
    run INTEGER NOT NULL,              -- the hub's number
    job TEXT NOT NULL,
    phase TEXT NOT NULL,
    assignment TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    capability TEXT NOT NULL,          -- the token that the sandbox presents to the proxy
    accepted_at REAL NOT NULL,
    started_at REAL,
    expires_at INTEGER NOT NULL        -- of the plan: until then the key is kept
);
CREATE INDEX IF NOT EXISTS run_phase ON run (phase);
CREATE TABLE IF NOT EXISTS subtask (
    parent TEXT NOT NULL,              -- key of the parent run
    counter INTEGER NOT NULL,
    request TEXT NOT NULL,             -- the algorithm's idempotency key
    task INTEGER,                      -- the hub's number, once it has acknowledged
    statement TEXT,                    -- the signed statement, verbatim
    sent INTEGER NOT NULL DEFAULT 0,   -- it may have reached the hub
    PRIMARY KEY (parent, counter)
);
CREATE UNIQUE INDEX IF NOT EXISTS subtask_request ON subtask (parent, request);
CREATE TABLE IF NOT EXISTS job (
    job TEXT PRIMARY KEY               -- jobs that left something here which others of the job may still need
);
"""


class Phase(StrEnum):
    ACCEPTED = "accepted"  # the key is used; the sandbox may or may not exist
    STARTED = "started"  # the sandbox exists
    SEALED = "sealed"  # the result is in the outbox
    ENDED = "ended"  # the hub has acknowledged; the key stays until the plan expires


@dataclass(frozen=True)
class Entry:
    """One accepted run."""

    key: str
    run: int
    job: str
    phase: Phase
    assignment: Assignment
    sandbox: str
    capability: str
    accepted_at: float
    started_at: float | None
    expires_at: int


@dataclass(frozen=True)
class SubtaskEntry:
    """One subtask that a run's algorithm asked for."""

    parent: str
    counter: int
    request: str
    task: int | None
    statement: dict[str, Any] | None
    sent: bool = False


def run_key(plan_hash: str, path: str, organization: str, generation: int, attempt: int) -> str:
    return f"{plan_hash}|{path}|{organization}|{generation}|{attempt}"


class Journal:
    """An SQLite file. Thread-safe; every method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        path.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def accept(
        self, key: str, assignment: Assignment, sandbox: str, capability: str, now: float, expires_at: int
    ) -> Entry:
        """Use up the run's key and remember the run, in one transaction.

        :raises Replayed: the key was used before.
        """
        with self._transaction() as db:
            try:
                db.execute(
                    "INSERT INTO run (key, run, job, phase, assignment, sandbox, capability, accepted_at, expires_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key,
                        assignment.run,
                        assignment.job,
                        Phase.ACCEPTED,
                        assignment.model_dump_json(),
                        sandbox,
                        capability,
                        now,
                        expires_at,
                    ),
                )
            except sqlite3.IntegrityError:
                raise Replayed() from None
            db.execute("INSERT OR IGNORE INTO job (job) VALUES (?)", (assignment.job,))
        found = self.find(key)
        assert found is not None, "it was written a moment ago"
        return found

    def find(self, key: str) -> Entry | None:
        rows = self._read("SELECT * FROM run WHERE key = ?", (key,))
        return _entry(rows[0]) if rows else None

    def unfinished(self) -> list[Entry]:
        """Everything begun and not acknowledged, oldest first."""
        rows = self._read("SELECT * FROM run WHERE phase != ? ORDER BY accepted_at", (Phase.ENDED,))
        return [_entry(row) for row in rows]

    def mark(self, key: str, phase: Phase, started_at: float | None = None) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE run SET phase = ?, started_at = coalesce(?, started_at) WHERE key = ?", (phase, started_at, key)
            )

    def renew_token(self, key: str, assignment: Assignment) -> None:
        """The same attempt was handed out again, perhaps with fresh bytes around it."""
        with self._transaction() as db:
            db.execute("UPDATE run SET assignment = ? WHERE key = ?", (assignment.model_dump_json(), key))

    def forget_expired(self, now: float) -> int:
        """Drop ended runs whose plan has expired; their keys can no longer be replayed. Returns how many."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM subtask WHERE parent IN (SELECT key FROM run WHERE phase = ? AND expires_at < ?)",
                (Phase.ENDED, now - 3600),
            )
            gone = db.execute("DELETE FROM run WHERE phase = ? AND expires_at < ?", (Phase.ENDED, now - 3600))
            return gone.rowcount

    # --- subtasks -----------------------------------------------------------------------------------------------
    def reserve_subtask(self, parent: str, request: str) -> SubtaskEntry:
        """The entry of this request; a new one, with the next counter, if the algorithm asks for the first time."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO subtask (parent, counter, request) VALUES "
                "(?, (SELECT coalesce(max(counter), 0) + 1 FROM subtask WHERE parent = ?), ?)",
                (parent, parent, request),
            )
        rows = self._read("SELECT * FROM subtask WHERE parent = ? AND request = ?", (parent, request))
        return _subtask(rows[0])

    def record_subtask(self, parent: str, counter: int, task: int, statement: dict[str, Any]) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE subtask SET task = ?, statement = ? WHERE parent = ? AND counter = ?",
                (task, json.dumps(statement), parent, counter),
            )

    def sending_subtask(self, parent: str, counter: int) -> None:
        """From here on the hub may have a task of this counter."""
        with self._transaction() as db:
            db.execute("UPDATE subtask SET sent = 1 WHERE parent = ? AND counter = ?", (parent, counter))

    def give_up_subtask(self, parent: str, counter: int) -> None:
        """Nobody knows whether the hub has it: the counter stays used, the request may be made anew."""
        with self._transaction() as db:
            db.execute(
                "UPDATE subtask SET request = request || ' given up as ' || counter"
                " WHERE parent = ? AND counter = ? AND task IS NULL AND sent = 1",
                (parent, counter),
            )

    def release_subtask(self, parent: str, counter: int) -> None:
        """The request was refused before anything was sent; its counter may be used again if it is the newest."""
        with self._transaction() as db:
            db.execute("DELETE FROM subtask WHERE parent = ? AND counter = ? AND task IS NULL", (parent, counter))

    def subtasks(self, parent: str) -> list[SubtaskEntry]:
        """The acknowledged ones."""
        rows = self._read("SELECT * FROM subtask WHERE parent = ? AND task IS NOT NULL ORDER BY counter", (parent,))
        return [_subtask(row) for row in rows]

    # --- jobs ---------------------------------------------------------------------------------------------------
    def open_jobs(self) -> tuple[str, ...]:
        """Jobs that may have left something here."""
        return tuple(row["job"] for row in self._read("SELECT job FROM job ORDER BY job", ()))

    def close_job(self, job: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM job WHERE job = ?", (job,))

    def _read(self, statement: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        with self._lock, closing(self._db.execute(statement, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        key=row["key"],
        run=row["run"],
        job=row["job"],
        phase=Phase(row["phase"]),
        assignment=Assignment.from_json(row["assignment"]),
        sandbox=row["sandbox"],
        capability=row["capability"],
        accepted_at=row["accepted_at"],
        started_at=row["started_at"],
        expires_at=row["expires_at"],
    )


def _subtask(row: sqlite3.Row) -> SubtaskEntry:
    statement = json.loads(row["statement"]) if row["statement"] else None
    return SubtaskEntry(row["parent"], row["counter"], row["request"], row["task"], statement, bool(row["sent"]))
