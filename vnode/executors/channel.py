"""Question and answer with a program inside a container, over its attached stdin and stdout."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

import docker
from docker.errors import DockerException

from vnode.executors.errors import ExecutorError

FRAME_HEADER_BYTES = 8  # kind, three zeros, length: Docker's multiplexed streams
ANSWER_TIMEOUT_S = 30.0


class ChannelBroken(ExecutorError):
    """A helper container does not answer any more; its place is made anew."""

    code = "channel_broken"


class Channel:
    """One question at a time. After any failure it is broken for good."""

    def __init__(self, api: docker.APIClient, container: str):
        try:
            stream = api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 0, "stream": 1})
        except (DockerException, OSError) as error:
            raise ChannelBroken() from error
        self._stream = stream  # keeps the HTTP response alive that owns the socket
        self._socket = getattr(stream, "_sock", stream)
        self._raw, self._text = bytearray(), bytearray()
        self._lock = threading.Lock()
        self._broken = False
        self._send(b"\n")  # ends what somebody before us may have left unfinished

    def ask(self, timeout_s: float = ANSWER_TIMEOUT_S, **request: Any) -> dict[str, Any]:
        with self._lock:
            if self._broken:
                raise ChannelBroken()
            number = secrets.token_hex(8)
            try:
                self._socket.settimeout(timeout_s)
                self._send(json.dumps({**request, "id": number}).encode() + b"\n")
                while True:
                    reply: dict[str, Any] = json.loads(self._line())
                    if reply.pop("id", None) == number:
                        return reply
            except (OSError, ValueError) as error:
                self._broken = True
                raise ChannelBroken() from error

    def close(self) -> None:
        self._broken = True
        self._stream.close()

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _line(self) -> bytes:
        while (end := self._text.find(b"\n")) < 0:
            self._text += self._frame()
        line = bytes(self._text[:end])
        del self._text[: end + 1]
        return line

    def _frame(self) -> bytes:
        while True:
            if len(self._raw) >= FRAME_HEADER_BYTES:
                size = int.from_bytes(self._raw[4:FRAME_HEADER_BYTES], "big")
                end = FRAME_HEADER_BYTES + size
                if len(self._raw) >= end:
                    content = bytes(self._raw[FRAME_HEADER_BYTES:end])
                    del self._raw[:end]
                    return content
            piece = self._socket.recv(1 << 16)
            if not piece:
                raise ConnectionError("the stream has ended")
            self._raw += piece
