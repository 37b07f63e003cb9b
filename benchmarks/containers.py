"""The floor of a round trip: the same image with the same entry point, driven directly, with nothing around it.

create + start + wait + remove by docker-py, with the engine's defaults: its usual network, no limits, nothing dropped.
`lean` is the least that an engine needs: no network at all, and removing is left to it and not waited for.
"""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

WAIT_S = 120
OUTPUT_MODE = 0o666  # the image's user is not this one
LABEL = "vestal.bench"


class Floor:
    """`folder`: where the orders and the answers of the containers lie, mounted into them."""

    def __init__(self, image: str, folder: Path, *, at_once: int = 1) -> None:
        self._api = docker.APIClient(version="auto", timeout=WAIT_S, max_pool_size=at_once + 4)
        self._image, self._folder = image, folder
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)

    def close(self) -> None:
        self._api.close()

    def run(self, method: str = "echo", *arguments: Any, lean: bool = False) -> Any:
        """One container from beginning to end; what it answered."""
        name = f"vestal-bench-{secrets.token_hex(6)}"
        order, answer = self._folder / f"{name}.in", self._folder / f"{name}.out"
        order.write_text(json.dumps({"method": method, "args": list(arguments), "kwargs": {}}))
        answer.touch()
        answer.chmod(OUTPUT_MODE)
        binds = {str(self._folder): {"bind": "/mnt/run", "mode": "rw"}}
        container = self._api.create_container(
            self._image,
            name=name,
            labels={LABEL: "floor"},
            environment={
                "INPUT_FILE": f"/mnt/run/{order.name}",
                "OUTPUT_FILE": f"/mnt/run/{answer.name}",
                "TEMPORARY_FOLDER": "/tmp",
            },
            host_config=self._api.create_host_config(
                binds=binds, auto_remove=lean, network_mode="none" if lean else "default"
            ),
        )["Id"]
        try:
            self._api.start(container)
            code = self._api.wait(container, timeout=WAIT_S)["StatusCode"]
            if code:
                raise RuntimeError(f"the floor's container ended with exit code {code}")
        finally:
            if not lean:
                self._api.remove_container(container, force=True, v=True)
        content = json.loads(answer.read_bytes())
        order.unlink()
        answer.unlink()
        return content

    def run_many(self, count: int, at_once: int) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda number: self.run("echo", number), range(count)))
