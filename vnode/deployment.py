"""A configured node on this machine: its files, whether it runs, and how it is started and stopped as a process.

A node that runs as a process holds a lock on a file in its data folder for as long as that process lives. So "does it
run" is never guessed from a stale process id, and no two nodes ever share one data folder. A node that runs as a
container is asked for at the engine (`containment.py`).
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from vnode.config import NodeSettings
from vnode.identity import KeyPlaces
from vprotocol.errors import Conflict, DeadlineExceeded, NotFound, Unavailable, error_from_wire
from vruntime import config, contexts
from vruntime.atomic import make_private_folder, write_atomically
from vruntime.clock import Clock, Deadline, SystemClock
from vruntime.contexts import Context, Environment, Kind, Level

START_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.05
STOP_MARGIN_S = 30.0  # beyond the drain
LOOKERS_ARE_GONE_S = 1.0


class AlreadyRunning(Conflict):
    """This node runs already."""

    code = "already_running"
    hint = "`vnode list` shows how; `vnode restart` starts it anew."


class NotRunning(NotFound):
    """This node does not run."""

    code = "not_running"
    hint = "`vnode start` starts it."


class StartFailed(Unavailable):
    """The node did not start."""

    code = "start_failed"
    hint = "Its log file says why; `vnode start --foreground` shows it at once."


@dataclass(frozen=True)
class Running:
    """What the process that is a node says about itself."""

    pid: int
    since: float  # Unix seconds
    version: str


@dataclass(frozen=True)
class Deployment:
    context: Context
    settings: NodeSettings

    @property
    def name(self) -> str:
        """What containers, volumes and networks are named after."""
        return self.settings.name

    @property
    def folder(self) -> Path:
        return self.context.data_folder

    @property
    def places(self) -> KeyPlaces:
        return KeyPlaces.at(self.folder, self.settings.private_key, self.settings.node_key)

    @property
    def log_file(self) -> Path:
        return self.context.log_folder / "node.log"

    @property
    def console_file(self) -> Path:
        """What a process in the background says outside its log: the last words of one that could not start."""
        return self.context.log_folder / "console.log"

    @property
    def lock_file(self) -> Path:
        return self.folder / "node.lock"

    @property
    def state_file(self) -> Path:
        return self.folder / "running.json"

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.sqlite"


class _AnyValue(Mapping[str, str]):
    """Stands for environment variables that only a node that runs needs, such as its API key."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, f"the value of the variable {name}")

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def load(
    name: str,
    *,
    environment: Environment | str | None = None,
    level: Level | None = None,
    variables_needed: bool = True,
) -> Deployment:
    """The node called `name`, which may be the path of a configuration file.

    :param variables_needed: False where `${NAME}` of the file need not be set: nothing will be started.
    :raises ConfigInvalid: lists everything that is wrong with the file. :raises ContextNotFound: there is none.
    """
    context = contexts.find(Kind.NODE, name, level=level, environment=environment)
    env = None if variables_needed else _AnyValue()
    return Deployment(context, config.load(context.config_file, NodeSettings, environment=context.environment, env=env))


# --- the running process ---------------------------------------------------------------------------------------------
@contextmanager
def alone(deployment: Deployment, version: str, clock: Clock) -> Iterator[None]:
    """Be the one process that is this node.

    :raises AlreadyRunning: another one is.
    """
    make_private_folder(deployment.folder)
    deadline = Deadline.after(clock, LOOKERS_ARE_GONE_S)
    with open(deployment.lock_file, "ab") as file:
        while not _try_lock(file):  # `running` holds the lock for a moment, too
            if deadline.passed():
                raise AlreadyRunning(f"{deployment.name} runs already.")
            clock.sleep(_LOOK_EVERY_S)
        state = Running(os.getpid(), clock.now(), version)
        write_atomically(deployment.state_file, json.dumps(asdict(state)).encode())
        yield


def running(deployment: Deployment) -> Running | None:
    """The process that is this node, or None."""
    try:
        with open(deployment.lock_file, "rb") as file:
            if _try_lock(file):
                return None
        return Running(**json.loads(deployment.state_file.read_bytes()))
    except FileNotFoundError:
        return None


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- starting and stopping -------------------------------------------------------------------------------------------
def start_in_background(deployment: Deployment) -> Running:
    """Start the node's process and wait until the hub has answered it.

    :raises VestalError: why it did not start, in its own words. :raises StartFailed: it could not say.
    """
    if (found := running(deployment)) is not None:
        raise AlreadyRunning(f"{deployment.name} runs already (process {found.pid}).")
    make_private_folder(deployment.console_file.parent)
    readable, writable = os.pipe()
    try:
        with open(deployment.console_file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as console:
            process = subprocess.Popen(
                _command(deployment, writable),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(writable,),
                start_new_session=True,
            )
    finally:
        os.close(writable)
    with open(readable, "rb") as ready:
        said, _, _ = select.select([ready], [], [], START_WITHIN_S)
        if not said:
            process.terminate()
            raise StartFailed(f"The node was not ready after {START_WITHIN_S:.0f} s; see {deployment.log_file}.")
        check_ready(ready.readline(), f"see {deployment.log_file} and {deployment.console_file}")
    if (found := running(deployment)) is None:
        raise StartFailed(f"The node ended just after its start; see {deployment.log_file}.")
    return found


def check_ready(line: bytes, where_else: str) -> None:
    """What a node said about its start (`serving.py`): returns if it is ready.

    :raises VestalError: the error that it told. :raises StartFailed: it ended without a word.
    """
    try:
        message: Any = json.loads(line)
    except ValueError:
        raise StartFailed(f"The node ended before it was ready; {where_else}.") from None
    if not (isinstance(message, dict) and message.get("ready") is True):
        raise error_from_wire(0, message)


def _command(deployment: Deployment, ready_descriptor: int) -> list[str]:
    """The command line of the process; no secret is in it."""
    context = deployment.context
    options = ["--level", context.level, "--environment", context.environment, "--ready-fd", str(ready_descriptor)]
    return [sys.executable, "-m", "vnode", "run", str(context.config_file), *options]


def stop(deployment: Deployment, clock: Clock | None = None) -> Running:
    """Let the node's process drain and wait for its end.

    :raises NotRunning: there is none. :raises DeadlineExceeded: it did not end in time.
    """
    clock = clock or SystemClock()
    found = running(deployment)
    if found is None:
        raise NotRunning(f"{deployment.name} does not run.")
    os.kill(found.pid, signal.SIGTERM)
    within_s = deployment.settings.drain + STOP_MARGIN_S
    deadline = Deadline.after(clock, within_s)
    while running(deployment) is not None:
        if deadline.passed():
            raise DeadlineExceeded(f"The node (process {found.pid}) has not ended after {within_s:.0f} s.")
        clock.sleep(_LOOK_EVERY_S)
    return found
