"""Listens on every address of the host, so that the probe has something that would answer. TCP greets, UDP echoes.

Prints `listening {"port": ..., "addresses": [...]}` and serves until its deadline.

    listen.py SECONDS
"""

import json
import socket
import sys
import threading
import time
from pathlib import Path


def addresses() -> list[str]:
    return sorted(set(_ipv4()) | set(_ipv6()))


def _ipv4() -> list[str]:
    """Local addresses out of the kernel's routing trie: `|-- ADDRESS` followed by `/32 host LOCAL`."""
    found, last = [], ""
    for line in Path("/proc/net/fib_trie").read_text().splitlines():
        if "|--" in line:
            last = line.split()[-1]
        elif "/32 host LOCAL" in line:
            found.append(last)
    return found


def _ipv6() -> list[str]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in lines]


def bind(kind: socket.SocketKind, port: int) -> socket.socket:
    """Both families at once where the host has IPv6."""
    try:
        listener = socket.socket(socket.AF_INET6, kind)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", port))
    except OSError:
        listener = socket.socket(socket.AF_INET, kind)
        listener.bind(("0.0.0.0", port))
    return listener


def greet(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"vestal\n")


def echo(listener: socket.socket) -> None:
    while True:
        data, peer = listener.recvfrom(512)
        listener.sendto(data, peer)


def main(seconds: float) -> None:
    tcp = bind(socket.SOCK_STREAM, 0)
    tcp.listen(256)
    port = tcp.getsockname()[1]
    udp = bind(socket.SOCK_DGRAM, port)
    threading.Thread(target=greet, args=(tcp,), daemon=True).start()
    threading.Thread(target=echo, args=(udp,), daemon=True).start()
    print("listening", json.dumps({"port": port, "addresses": addresses()}), flush=True)
    time.sleep(seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]))
