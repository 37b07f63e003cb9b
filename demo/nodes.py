"""A hospital: its share of the data, its node, and what its administrator does on the command line."""

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.ground import IMAGE, NODE_IMAGE, PACKAGE, PROJECT, Ground
from demo.leftovers import container_log
from demo.programs import Programs, last_lines, tail_of
from vruntime.atomic import make_private_folder, write_new

LABEL = "default"
MAX_RUNS = 2  # what a central function asks of its own hospital has a place beside it


@dataclass(frozen=True)
class Hospital:
    """One data holder. Everything below is done with its own commands, on its own files."""

    organization: str
    node: str
    data: Path
    programs: Programs = field(repr=False)

    @property
    def _node_folder(self) -> Path:
        return self.programs.home / "user" / "data" / "node" / self.node / "plain"

    def configure(self, ground: Ground, hub_url: str, api_key: str, collaboration: str, *, sealed: bool) -> None:
        """Write the data holder's file. In it, not at the hub, stands what may run here.

        :param sealed: what an open collaboration asks is refused, and so is anybody whose words were not compared.
        """
        folder = make_private_folder(self.programs.home / "user" / "config" / "node")
        settings = {
            "name": self.node,
            "organization": self.organization,
            "hub": {"url": hub_url, "api_key": api_key},
            "executor": ground.executor,
            "max_runs": MAX_RUNS,
            "drain": 2,
            "image": NODE_IMAGE,
            "data_sources": [
                {
                    "label": LABEL,
                    "type": "csv",
                    "path": str(self.data),
                    "collaborations": [collaboration],
                    "open": True,  # these data are public: they may be used without isolation too
                }
            ],
            "policy": {
                "encrypted_only": sealed,
                "trust": "verified" if sealed else "first-contact",
                "images": [f"{IMAGE}@{ground.image.config_digest}"],
            },
        }
        if ground.executor == "process":
            settings["process_images"] = [{"name": IMAGE, "package": PACKAGE, "path": str(PROJECT)}]
        write_new(folder / f"{self.node}.yaml", yaml.safe_dump(settings, sort_keys=False).encode())

    def start(self) -> dict[str, Any]:
        return dict(self.programs.run("vnode", "start", self.node, "--user"))

    def stop(self) -> None:
        self.programs.run("vnode", "stop", self.node, "--user")

    def words(self) -> str:
        """The ten words of its identity, as its administrator reads them to others."""
        return str(self.programs.run("vnode", "keys", "show", self.node, "--user")["words"])

    def verify(self, other: "Hospital", words: str) -> None:
        """The other's administrator has read out these words; it is trusted only if the hub shows the same."""
        command = ("trust", "verify", other.organization, "--words", words, "--node", self.node, "--user")
        self.programs.run("vnode", *command)

    def certify(self, request: Path) -> None:
        """Sign a person's device key with the root, which is here and nowhere else."""
        self.programs.run("vnode", "keys", "certify", request, "--node", self.node, "--user", "--yes")

    def kill(self) -> None:
        """End its process the hard way, if it still has one. Containers are `leftovers.py`'s."""
        try:
            pid = int(json.loads((self._node_folder / "running.json").read_bytes())["pid"])
            if f"{self.node}.yaml".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():  # still the same process
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return

    def last_words(self) -> str:
        log = self.programs.home / "user" / "log" / "node" / self.node / "plain" / "node.log"
        said = tail_of(log)
        return said or f"--- {self.node}\n{last_lines(container_log(self.node))}"
