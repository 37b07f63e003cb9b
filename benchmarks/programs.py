"""Runs `vserver` and `vnode` as an operator would: from the command line, everything they keep below one folder."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vruntime.atomic import make_private_folder, write_new

ROOT = Path(__file__).resolve().parents[1]
COMMAND_WITHIN_S = 120
HUB = "bench"


class WorldFailed(Exception):
    """Something that a bench needs did not work."""


@dataclass(frozen=True)
class Programs:
    """The programs of one installation."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return {**os.environ, "VESTAL_HOME": str(self.home), "PYTHONPATH": path, "NO_PROXY": "*", "no_proxy": "*"}

    def run(self, program: str, *arguments: str | Path) -> Any:
        """What one of our commands answers.

        :raises WorldFailed: it ended with an error.
        """
        command = [sys.executable, "-m", program, *map(str, arguments), "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=COMMAND_WITHIN_S
        )
        if done.returncode:
            raise WorldFailed(f"`{program} {' '.join(map(str, arguments))}` failed: {done.stderr[-3000:]}")
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else None

    def configure(self, kind: str, name: str, settings: Mapping[str, Any]) -> None:
        """Write the configuration of a hub (`server`) or node."""
        place = make_private_folder(self.home / "user" / "config" / kind)
        write_new(place / f"{name}.yaml", yaml.safe_dump(dict(settings), sort_keys=False).encode())


# Measured is the work, not how soon somebody is told to slow down.
NO_HURRY = {"writes_per_s": 1e6, "write_burst": 1_000_000, "login_burst": 1000, "logins_per_s": 100.0}


@dataclass
class HubProcess:
    """A hub as `vserver start` starts it: gunicorn with a gevent worker, in a process of its own."""

    programs: Programs
    url: str = ""
    pid: int = 0

    def make(self, everybody: Mapping[str, Any], **settings: Any) -> dict[str, str]:
        """Configure it and let everybody in; the API key of each node."""
        home = self.programs.home
        self.programs.configure("server", HUB, {"host": "127.0.0.1", "port": 0, "limits": NO_HURRY, **settings})
        write_new(home / "everybody.yaml", yaml.safe_dump(dict(everybody)).encode())
        made = self.programs.run(
            "vserver", "import", home / "everybody.yaml", HUB, "--user", "--api-keys", home / "keys"
        )
        return {name: Path(path).read_text().strip() for name, path in made["api_key_files"].items()}

    def start(self) -> None:
        started = self.programs.run("vserver", "start", HUB, "--user")
        self.url, self.pid = started["url"], started["pid"]

    def stop(self) -> None:
        if self.pid:
            self.programs.run("vserver", "stop", HUB, "--user")
