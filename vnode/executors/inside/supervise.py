"""Runs one algorithm and writes down how it ended, so that the answer outlives the node that started it.

supervise.py FOLDER     reads FOLDER/spec.json, writes FOLDER/log and FOLDER/exit.json
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    started_at = time.time()
    with (folder / "log").open("ab") as log:
        code = run(spec, log.fileno())
    write_whole(folder / "exit.json", {"code": code, "started_at": started_at, "finished_at": time.time()})


def run(spec: dict, log: int) -> int:
    largest = spec["largest_file_bytes"]
    try:
        code = subprocess.call(
            spec["command"],
            env=spec["environment"],
            cwd=spec["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
        )
    except OSError as error:
        os.write(log, f"could not be started: {error.strerror}\n".encode())
        return 127
    return code if code >= 0 else 128 - code  # as a container's engine counts signals


def write_whole(path: Path, content: dict) -> None:
    half = path.with_suffix(".half")
    half.write_text(json.dumps(content))
    half.rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
