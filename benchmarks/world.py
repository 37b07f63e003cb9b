"""A hub, nodes and a researcher, all real and each in a process of its own, made from nothing and ended in order.

with World(folder, Ground.docker(), nodes=3) as world:
    world.client.run(world.ground.image, "echo", ["x"], on="all", data=()).results()
"""

import json
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.programs import ROOT, HubProcess, Programs, WorldFailed
from vclient.client import Client
from vclient.images import ImageRef
from vclient.sealing import write_request
from vnode.executors.process_image import process_image
from vruntime.atomic import make_private_folder, write_new

IMAGE, PACKAGE, PROJECT = "vestal-statistics", "vestal_statistics.algorithm", ROOT / "examples" / "vestal-statistics"
IMAGES_WITHIN_S = 1800
NODE_READY_WITHIN_S = 180
NODE_STOP_WITHIN_S = 90
RESEARCHER = "ada"


@dataclass(frozen=True)
class Ground:
    """What the nodes run algorithms with, and the image that stands for the trivial one."""

    executor: Literal["docker", "process"]
    image: ImageRef

    @classmethod
    def docker(cls) -> "Ground":
        """Builds the images that are not there yet, or are not of this source."""
        built = subprocess.run(
            [ROOT / "script" / "images", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            timeout=IMAGES_WITHIN_S,
            check=True,
        )
        digests = json.loads(built.stdout.splitlines()[-1])
        return cls("docker", ImageRef(IMAGE, digests[f"{IMAGE}:latest"]))

    @classmethod
    def processes(cls) -> "Ground":
        found = process_image(IMAGE, PACKAGE, PROJECT)
        return cls("process", ImageRef(IMAGE, found.digest))


@dataclass
class Node:
    """One organization's node: a process on this machine, with a relay into its private networks."""

    name: str
    organization: str
    trace: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self.process is not None, "it was started"
        return self.process.pid


class World:
    """A context: whatever was started is ended."""

    def __init__(
        self,
        folder: Path,
        ground: Ground,
        *,
        nodes: int = 1,
        max_runs: int = 4,
        traced: bool = False,
        hub: Mapping[str, Any] | None = None,
        node: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.ground, self._max_runs, self._traced = make_private_folder(folder), ground, max_runs, traced
        self._hub_settings, self._node_settings = dict(hub or {}), dict(node or {})
        token = secrets.token_hex(3)
        self.nodes = [
            Node(f"bench-{token}-{number}", f"Hospital {number}", folder / f"trace-{number}.jsonl")
            for number in range(1, nodes + 1)
        ]
        self.programs = Programs(folder)
        self.hub = HubProcess(self.programs)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        assert self._client is not None, "the world was started"
        return self._client

    def __enter__(self) -> "World":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def client_of(self, folder: Path) -> Client:
        """One more client of the same researcher, with her key and what she knows (a program of its own needs one)."""
        return Client(self.hub.url, folder=folder, first_contact=True)

    # --- starting -------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        password, collaboration = secrets.token_urlsafe(18), secrets.token_hex(16)
        keys = self._make_hub(password, collaboration)
        self.hub.start()
        for node in self.nodes:
            self._configure(node, keys[node.name])
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(self._start_node, self.nodes))
        self._client = self.client_of(self.folder / "researcher")
        self._client.login(RESEARCHER, password)
        self._client.new_key(RESEARCHER)
        request = self.folder / "request.json"
        write_request(request, self._client.key_request(RESEARCHER))
        self.programs.run("vnode", "keys", "certify", request, "--node", self.nodes[0].name, "--user", "--yes")
        for node in self.nodes:
            self._client.accept(node.organization)

    def _make_hub(self, password: str, collaboration: str) -> dict[str, str]:
        organizations = [node.organization for node in self.nodes]
        write_new(self.folder / "password", password.encode() + b"\n")
        everybody = {
            "organizations": [{"name": name} for name in organizations],
            "collaborations": [{"display_name": "Bench", "name": collaboration, "organizations": organizations}],
            "users": [
                {
                    "username": RESEARCHER,
                    "organization": organizations[0],
                    "roles": ["Researcher"],
                    "password_file": "password",
                }
            ],
            "nodes": [{"name": node.name, "organization": node.organization} for node in self.nodes],
        }
        return self.hub.make(everybody, **self._hub_settings)

    def _configure(self, node: Node, api_key: str) -> None:
        settings: dict[str, Any] = {
            "name": node.name,
            "organization": node.organization,
            "hub": {"url": self.hub.url, "api_key": api_key},
            "executor": self.ground.executor,
            "max_runs": self._max_runs,
            "drain": 5,
            "image": "vestal:latest",
            "policy": {"trust": "first-contact", "max": {"output": "4GiB", "scratch": "16GiB"}},
            **self._node_settings,
        }
        if self.ground.executor == "process":
            settings["process_images"] = [{"name": IMAGE, "package": PACKAGE, "path": str(PROJECT)}]
        self.programs.configure("node", node.name, settings)

    def _start_node(self, node: Node) -> None:
        command = [sys.executable, "-m", "benchmarks.node", node.name]
        if self._traced:
            command.append(str(node.trace))
        log = (self.folder / f"{node.name}.log").open("wb")
        node.process = subprocess.Popen(
            command, cwd=ROOT, env=self.programs.environment, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        assert node.process.stdout is not None
        log.close()
        ready, _, _ = select.select([node.process.stdout], [], [], NODE_READY_WITHIN_S)
        line = node.process.stdout.readline() if ready else b""
        if not line.startswith(b'{"ready": true'):
            raise WorldFailed(f"{node.name} did not start: {line.decode()} {self.log_of(node)[-3000:]}")

    def log_of(self, node: Node) -> str:
        return (self.folder / f"{node.name}.log").read_text(errors="replace")

    # --- ending ---------------------------------------------------------------------------------------------------
    def _stop(self) -> None:
        if self._client is not None:
            self._client.close()
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process is not None:
                self._await_end(node.process)
        self.hub.stop()

    @staticmethod
    def _await_end(process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(NODE_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(NODE_STOP_WITHIN_S)
