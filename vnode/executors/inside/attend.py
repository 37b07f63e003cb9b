"""Keeps a sandbox's place: holds its network and its volume, and carries small files in and out of the volume.

Through Docker's archive API each way costs 50 ms; a line to this program costs one. It reads one JSON request a line
from stdin and answers each with a line that carries its `id`. It runs as the sandbox's own user, without capabilities,
sees nothing but the volume, and never follows a link that an algorithm made.

    attend.py FOLDER
"""

import base64
import json
import os
import stat
import sys
from typing import Any

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = READ | os.O_DIRECTORY


def fill(root: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Only into an empty place: whatever lay there would be another run's."""
    if os.listdir(root):
        return {"error": "not empty"}
    modes = []
    for entry in entries:
        path = os.path.join(root, entry["path"])
        if entry["content"] is None:
            os.mkdir(path, 0o700)
        else:
            with open(path, "xb") as file:
                file.write(base64.b64decode(entry["content"]))
        modes.append((path, entry["mode"]))
    for path, mode in reversed(modes):  # folders close behind what is in them
        os.chmod(path, mode)
    return {}


def read(root: str, path: str, inline_bytes: int) -> dict[str, Any]:
    """Size, and the content if it is small."""
    try:
        descriptor = open_below(root, path)
    except FileNotFoundError:
        return {"missing": True}
    except OSError:
        return {"invalid": True}
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return {"invalid": True}
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > inline_bytes:
            return {"size": status.st_size}
        content = file.read(inline_bytes + 1)
    if len(content) > inline_bytes:
        return {"size": len(content)}
    return {"size": len(content), "content": base64.b64encode(content).decode()}


def names(root: str, path: str, limit: int) -> dict[str, Any]:
    """Regular files directly in a folder."""
    try:
        descriptor = open_below(root, path, FOLDER)
    except OSError:
        return {"names": []}
    try:
        with os.scandir(descriptor) as entries:
            found: list[str] = []
            for entry in entries:
                if len(found) > limit:
                    return {"error": "too many"}
                if entry.is_file(follow_symlinks=False):
                    found.append(entry.name)
    finally:
        os.close(descriptor)
    return {"names": found}


def open_below(root: str, path: str, flags: int = READ) -> int:
    *parents, last = path.split("/")
    folder = os.open(root, FOLDER)
    try:
        for parent in parents:
            inner = os.open(parent, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(last, flags, dir_fd=folder)
    finally:
        os.close(folder)


def clean(root: str) -> dict[str, Any]:
    """Everything goes, whatever its permissions: the place is for another run next."""
    folder = os.open(root, FOLDER)
    try:
        empty(folder)
    finally:
        os.close(folder)
    return {}


def empty(folder: int) -> None:
    for name in os.listdir(folder):
        if not stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            os.unlink(name, dir_fd=folder)
            continue
        os.chmod(name, 0o700, dir_fd=folder)
        inner = os.open(name, FOLDER, dir_fd=folder)
        try:
            empty(inner)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=folder)


def answer(root: str, request: dict[str, Any]) -> dict[str, Any]:
    match request:
        case {"do": "fill", "entries": entries}:
            return fill(root, entries)
        case {"do": "read", "path": path, "inline_bytes": inline_bytes}:
            return read(root, path, inline_bytes)
        case {"do": "names", "path": path, "limit": limit}:
            return names(root, path, limit)
        case {"do": "clean"}:
            return clean(root)
    return {"error": "unknown request"}


def main(root: str) -> None:
    os.umask(0o077)
    for line in sys.stdin.buffer:
        try:
            request = json.loads(line)
        except ValueError:  # what is left of a request whose sender died in the middle of it
            continue
        if not isinstance(request, dict):
            continue
        try:
            reply = answer(root, request)
        except (OSError, ValueError, RecursionError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({**reply, "id": request.get("id")}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
