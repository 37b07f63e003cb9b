"""Reading what a node's own small containers (relay, listener, probe) print."""

from __future__ import annotations

import time

import docker

from vnode.executors.errors import ExecutorError


def await_line(api: docker.APIClient, container: str, word: str, timeout_s: float) -> str:
    """The first line that starts with `word`; whatever else was printed is in the error if it does not come."""
    deadline = time.monotonic() + timeout_s
    said = b""
    stream = api.logs(container, stream=True, follow=True)
    try:
        for piece in stream:
            said += piece
            line: str
            for line in said.decode("utf-8", "replace").splitlines():
                if line.startswith(word) and said.endswith(b"\n"):
                    return line
            if time.monotonic() > deadline:
                break
    finally:
        stream.close()
    raise ExecutorError(f"A helper container did not say {word!r}: {said[-500:].decode('utf-8', 'replace')}")
