"""Tries, from where an algorithm would be, everything that must fail. Prints `answered [...]`: what did not.

probe.py '{"connect": [["10.0.0.1", 443]], "send": [["10.0.0.1", 53]], "look_up": ["hub.example.org"]}'
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable

PATIENCE_S = 1.5
answered: list[str] = []


def connect(host: str, port: int) -> None:
    """A refused connection is an answer, too: the host's address was reached."""
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except ConnectionRefusedError:
        answered.append(f"{host} port {port} (refused)")
    except OSError:
        return
    else:
        answered.append(f"{host} port {port}")


def send(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.settimeout(PATIENCE_S)
            sender.connect((host, port))
            sender.send(b"vestal")
            sender.recv(16)
    except ConnectionRefusedError:
        answered.append(f"{host} UDP port {port} (refused)")
    except OSError:
        return
    else:
        answered.append(f"{host} UDP port {port}")


def look_up(name: str) -> None:
    try:
        found = socket.getaddrinfo(name, None)
    except OSError:
        return
    answered.append(f"the look-up of {name} ({found[0][4][0]})")


def main(wanted: dict[str, list]) -> None:
    tries: list[tuple[Callable[..., None], tuple]] = [
        *((connect, tuple(target)) for target in wanted["connect"]),
        *((send, tuple(target)) for target in wanted["send"]),
        *((look_up, (name,)) for name in wanted["look_up"]),
    ]
    threads = [threading.Thread(target=call, args=arguments, daemon=True) for call, arguments in tries]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2 * PATIENCE_S
    for thread in threads:  # a look-up that nobody answers in time is as good as one that fails
        thread.join(max(0.0, deadline - time.monotonic()))
    print("answered", json.dumps(sorted(answered)), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
