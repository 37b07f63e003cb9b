"""Runs `vserver` and `vnode` as an operator would: from the command line, with `--json`, each with a deadline."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
WITHIN_S = 90.0
LINES_SHOWN = 20
Item = TypeVar("Item")
Result = TypeVar("Result")


class DemoFailed(Exception):
    """Something that the demo needs did not work. `details`: the last lines of whoever knows why."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


class Programs:
    """The programs of one installation: everything they keep is below one folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        # Nothing here may go through a corporate proxy: hub and nodes are on this machine.
        own = {"VESTAL_HOME": str(self.home), "PYTHONPATH": str(ROOT), "NO_PROXY": "*", "no_proxy": "*"}
        return {**os.environ, **own}

    def run(self, program: str, *arguments: str | Path, within_s: float = WITHIN_S) -> Any:
        """The decoded last line of its answer.

        :raises DemoFailed: it ended with an error, or not in time.
        """
        command = [sys.executable, "-m", program, *map(str, arguments), "--json"]
        shown = f"{program} {' '.join(map(str, arguments))}"
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends things in their order
        )
        with self._lock:
            self._running.add(process)
        try:
            answer, said = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            end_group(process.pid)
            _, said = process.communicate()
            raise DemoFailed(f"`{shown}` was not done after {within_s:.0f} s", last_lines(said)) from None
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode:
            raise DemoFailed(f"`{shown}` ended with exit code {process.returncode}", last_lines(said or answer))
        lines = answer.strip().splitlines()
        return json.loads(lines[-1]) if lines else None

    def interrupt(self) -> None:
        """End the commands that are running at this moment; what they have started is stopped by others."""
        with self._lock:
            running = list(self._running)
        for process in running:
            end_group(process.pid)


def end_group(pid: int) -> None:
    """Kill a process that leads a group of its own, and the group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended meanwhile


def last_lines(text: str, count: int = LINES_SHOWN) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


def tail_of(file: Path, count: int = LINES_SHOWN) -> str:
    """The last lines of a log, under its name; empty if there is none."""
    if not file.exists():
        return ""
    return f"--- {file}\n{last_lines(file.read_text(errors='replace'), count)}"


def at_once(work: Callable[[Item], Result], items: list[Item], at_most: int = 4) -> list[Result]:
    """Several things at the same time; all are awaited, then the first that failed is raised."""
    with ThreadPoolExecutor(max_workers=at_most) as pool:
        futures = [pool.submit(work, item) for item in items]
    return [future.result() for future in futures]
