"""A configured hub on this machine: its files, whether it runs, and how it is started and stopped.

A hub that runs holds a lock on a file in its data folder for as long as its process lives. So "does it run" is never
guessed from a stale process id, and no two hubs ever share one data folder.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from vprotocol.errors import Conflict, DeadlineExceeded, NotFound, Unavailable
from vruntime import config, contexts
from vruntime.atomic import make_private_folder, write_atomically
from vruntime.clock import Clock, Deadline, SystemClock
from vruntime.contexts import Context, Environment, Kind, Level
from vserver import migrations
from vserver.accounts import tokens
from vserver.config import Settings
from vserver.db import Database

START_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05
_LAST_WORDS_BYTES = 64 * 1024


class AlreadyRunning(Conflict):
    """This hub runs already."""

    code = "already_running"
    hint = "`vserver list` shows where; `vserver stop` ends it."


class NotRunning(NotFound):
    """This hub does not run."""

    code = "not_running"
    hint = "`vserver start` starts it."


class StartFailed(Unavailable):
    """The hub did not start."""

    code = "start_failed"
    hint = "Its log file says why; `vserver start --foreground` shows it at once."


@dataclass(frozen=True)
class Running:
    """What a serving process says about itself."""

    pid: int
    url: str
    since: float  # Unix seconds
    version: str


@dataclass(frozen=True)
class Deployment:
    context: Context
    settings: Settings

    @property
    def folder(self) -> Path:
        return self.settings.folder

    @property
    def log_file(self) -> Path:
        return self.settings.log_file or self.context.log_folder / "hub.log"

    @property
    def lock_file(self) -> Path:
        return self.folder / "hub.lock"

    @property
    def state_file(self) -> Path:
        return self.folder / "running.json"

    def files(self) -> dict[str, str]:
        """Everything that this hub reads or writes, by what it is."""
        database = Database(self.settings.database_url).url.render_as_string(hide_password=True)
        return {
            "configuration": str(self.context.config_file),
            "database": database,
            "payloads": str(self.settings.payload_folder),
            "log": str(self.log_file),
            "state": str(self.state_file),
        }


def load(name: str, *, environment: Environment | str | None = None, level: Level | None = None) -> Deployment:
    """The hub called `name`; its settings with every folder filled in.

    :raises ConfigInvalid: lists everything that is wrong with the file. :raises ContextNotFound: there is none.
    """
    context = contexts.find(Kind.SERVER, name, level=level, environment=environment)
    settings = config.load(context.config_file, Settings, environment=context.environment)
    base = context.config_file.parent
    filled = {
        "data_folder": _absolute(settings.data_folder, base) or context.data_folder,
        "log_file": _absolute(settings.log_file, base),
        "record_requests": _absolute(settings.record_requests, base),
    }
    return Deployment(context, settings.model_copy(update=filled))


def _absolute(path: Path | None, base: Path) -> Path | None:
    return None if path is None else base / path.expanduser()


# --- the running process ---------------------------------------------------------------------------------------------
@contextmanager
def locked(deployment: Deployment) -> Iterator[None]:
    """Be the one process that serves this hub.

    :raises AlreadyRunning: another one does.
    """
    make_private_folder(deployment.folder)
    with open(deployment.lock_file, "ab") as file:
        if not _try_lock(file):
            raise AlreadyRunning(_where(deployment))
        yield


def running(deployment: Deployment) -> Running | None:
    """The process that serves this hub, or None."""
    try:
        with open(deployment.lock_file, "ab") as file:
            if _try_lock(file):
                return None
        return Running(**json.loads(deployment.state_file.read_bytes()))
    except FileNotFoundError:
        return None


def write_state(deployment: Deployment, state: Running) -> None:
    write_atomically(deployment.state_file, json.dumps(asdict(state)).encode())


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _where(deployment: Deployment) -> str:
    found = running(deployment)
    return f"{deployment.context.name} runs already" + (f" at {found.url} (process {found.pid})." if found else ".")


# --- starting and stopping -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Prepared:
    """`first_administrator_code` is there as long as nobody administers the hub; it is shown once."""

    migrated_from: str | None
    revision: str
    first_administrator_code: str | None


def prepare(deployment: Deployment, clock: Clock) -> Prepared:
    """Make the folders, bring the database up to date, and make a code for the first administrator if needed."""
    make_private_folder(deployment.folder)
    database = Database(deployment.settings.database_url)
    try:
        before, after = migrations.migrate(database)
        with database.write() as session:
            code = None
            if tokens.needs_first_administrator(session):
                lifetime_s = deployment.settings.first_administrator_code_s
                code = tokens.new_one_time_code(session, tokens.FIRST_ADMINISTRATOR, clock.now(), lifetime_s)
        return Prepared(before, after, code)
    finally:
        database.dispose()


def serve_command(deployment: Deployment, *, record_requests: Path | None, ready_fd: int | None) -> list[str]:
    """The command line of the serving process; no secret is in it."""
    context = deployment.context
    command = [sys.executable, "-m", "vserver.serve", str(context.config_file), context.level, context.environment]
    if record_requests is not None:
        command += ["--record-requests", str(record_requests.absolute())]
    if ready_fd is not None:
        command += ["--ready-fd", str(ready_fd)]
    return command


def start_in_background(deployment: Deployment, *, record_requests: Path | None = None) -> Running:
    """Start the serving process and wait until it answers.

    :raises StartFailed: it ended, or was not ready in time.
    """
    if running(deployment) is not None:
        raise AlreadyRunning(_where(deployment))
    deployment.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    readable, writable = os.pipe()
    try:
        with open(deployment.log_file, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            said_before = log.tell()
            process = subprocess.Popen(
                serve_command(deployment, record_requests=record_requests, ready_fd=writable),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writable,),
                start_new_session=True,
            )
    finally:
        os.close(writable)
    with open(readable, "rb") as ready:
        said, _, _ = select.select([ready], [], [], START_WITHIN_S)
        if not said:
            process.terminate()
            raise StartFailed(f"The hub was not ready after {START_WITHIN_S:.0f} s; see {deployment.log_file}.")
        if not ready.read(1):  # end of file: the process has ended
            last = _last_words(deployment.log_file, said_before)
            raise StartFailed(f"The hub ended before it was ready: {last}", hint=f"More is in {deployment.log_file}.")
    found = running(deployment)
    if found is None:
        raise StartFailed(f"The hub ended just after its start; see {deployment.log_file}.")
    return found


def _last_words(log_file: Path, since: int) -> str:
    """The error that a hub logged after byte `since`, or the end of its traceback."""
    with open(log_file, "rb") as file:
        file.seek(since)
        lines = [line for line in file.read(_LAST_WORDS_BYTES).decode(errors="replace").splitlines() if line.strip()]
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("level") in ("error", "critical"):
            return str(record.get("message"))
    return lines[-1] if lines else "it said nothing"


def stop(deployment: Deployment, clock: Clock | None = None) -> Running:
    """End the serving process gracefully and wait for it; held requests are answered first.

    :raises NotRunning: there is none. :raises DeadlineExceeded: it did not end in time.
    """
    clock = clock or SystemClock()
    found = running(deployment)
    if found is None:
        raise NotRunning(f"{deployment.context.name} does not run.")
    deadline = Deadline.after(clock, deployment.settings.stop_within_s + 10)
    with suppress(ProcessLookupError):  # it may end by itself at this very moment
        process = os.pidfd_open(found.pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            select.select([process], [], [], deadline.remaining_s())
        finally:
            os.close(process)
    while running(deployment) is not None:
        if deadline.passed():
            raise DeadlineExceeded(f"The hub (process {found.pid}) has not ended yet.")
        clock.sleep(_LOOK_EVERY_S)
    return found
