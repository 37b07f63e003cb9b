"""Where the time of a round trip goes: how long single functions of the node, the client and the executor take.

Functions are wrapped from outside, so that the programs themselves know nothing of it. Recording is for a table that
explains; figures are measured without it.
"""

import functools
import importlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A function, and the name under which its time is shown."""

    name: str
    module: str
    function: str  # of the module, or CLASS.METHOD


# In the order in which they happen; a name with a dot is a part of the phase before it.
NODE = (
    Phase("take: assignment to thread", "vnode.daemon", "Daemon._take"),
    Phase("check: plan, signatures, key logs", "vnode.runner", "check"),
    Phase("open order: fetch, policy, decrypt", "vnode.runner", "Runner._open_order"),
    Phase("judge: full policy", "vnode.runner", "Runner._judge"),
    Phase("inputs", "vnode.runner", "Runner._open_inputs"),
    Phase("image", "vnode.executors.docker", "DockerExecutor.resolve_image"),
    Phase("accept: journal, replay key, audit", "vnode.runner", "Runner._accept"),
    Phase("compile", "vnode.runner", "sandbox_spec"),
    Phase("start: sandbox", "vnode.executors.docker", "DockerExecutor.start"),
    Phase("  .seat filled", "vnode.executors.seats", "Seat.take"),
    Phase("  .engine: create", "vnode.executors.docker", "DockerExecutor._create"),
    Phase("  .engine: start", "vnode.executors.docker", "DockerExecutor._start"),
    Phase("say started to the hub", "vnode.runner", "Runner._say_started"),
    Phase("wait: algorithm runs", "vnode.executors.docker", "DockerExecutor.wait"),
    Phase("collect: fetch, seal, deliver", "vnode.runner", "Runner._collect"),
    Phase("  .fetch output", "vnode.executors.docker", "DockerExecutor.fetch"),
    Phase("  .seal output", "vnode.vault", "Vault.seal_output"),
    Phase("  .outbox commit", "vnode.outbox", "Outbox.commit"),
    Phase("  .journal marks", "vnode.journal", "Journal.mark"),
    Phase("  .deliver to the hub", "vnode.reporter", "Hub.deliver"),
    Phase("whole run at the node", "vnode.runner", "Runner.run"),
    Phase("behind the run: remove sandbox", "vnode.executors.docker", "DockerExecutor._remove_now"),
    Phase("behind the run: clean seat", "vnode.executors.seats", "Seat.clean"),
)
CLIENT = (
    Phase("prepare: members, key logs", "vclient.submitting", "prepare"),
    Phase("submit: seal, sign, send", "vclient.submitting", "submit"),
    Phase("  .POST /job", "vclient.api.job", "submit"),
    Phase("wait for the end", "vclient.waiting", "wait"),
    Phase("check receipts", "vclient.job", "check_graph"),
    Phase("open outcome", "vclient.outcomes", "Opener.value"),
    Phase("save outcome: fetch, check, decrypt to a file", "vclient.outcomes", "Opener.save"),
)


class Stopwatch:
    """Durations of wrapped functions, in seconds, by phase; nested calls of one phase count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[str, list[float]] = defaultdict(list)
        self._inside = threading.local()
        self.listeners: list[Callable[[str, float], None]] = []

    def watch(self, phases: Sequence[Phase]) -> None:
        for phase in phases:
            owner: Any = importlib.import_module(phase.module)
            *classes, name = phase.function.split(".")
            for one in classes:
                owner = getattr(owner, one)
            setattr(owner, name, self._wrapped(phase.name, getattr(owner, name)))

    def take(self) -> dict[str, list[float]]:
        """What was recorded since the last time."""
        with self._lock:
            found, self._spent = dict(self._spent), defaultdict(list)
        return found

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._note(name, time.perf_counter() - began)

        return timed

    def _note(self, name: str, spent_s: float) -> None:
        with self._lock:
            self._spent[name].append(spent_s)
        for listener in self.listeners:
            listener(name, spent_s)


def record_node_phases(file: Path) -> None:
    """From now on this process writes a line to `file` for each phase that ends."""
    stopwatch = Stopwatch()
    sink = file.open("a", buffering=1)
    stopwatch.listeners.append(lambda name, spent_s: print(json.dumps([name, spent_s]), file=sink))
    stopwatch.watch(NODE)


def read_phases(file: Path) -> dict[str, list[float]]:
    """What a node has written, in the order of its life."""
    found: dict[str, list[float]] = {phase.name: [] for phase in NODE}
    for line in file.read_text().splitlines():
        name, spent_s = json.loads(line)
        found[name].append(spent_s)
    return found
