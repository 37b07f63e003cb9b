"""`vnode attach`: follow a running node's log."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from vnode import deployment as deployments
from vnode.cli._choice import Choice, chosen_node
from vnode.cli._status import status
from vnode.containment import is_first_word, lines
from vnode.deployment import Deployment, NotRunning
from vnode.executors.node_container import NodeContainers
from vruntime.cli import Out, printable
from vruntime.cli import command as cli_command
from vruntime.clock import Clock, SystemClock

_LOOK_EVERY_S = 0.2
_TAIL_BYTES = 8 * 1024
_TAIL_LINES = 60


@cli_command("attach", short_help="Follow a running node's log.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Show the log of the node NAME (or the only one) as it grows. Ctrl-C leaves the node running."""
    follow(choice.load(), out)


def follow(node: Deployment, out: Out) -> None:
    found = status(node)
    if found.runs_as is None:
        raise NotRunning(f"{node.name} does not run.", hint=f"Its last words may be in {node.log_file}.")
    out.say("Ctrl-C leaves the node running.")
    source = _of_process(node, SystemClock()) if found.runs_as == "process" else _of_container(node)
    for line in source:
        if not is_first_word(line.encode()):
            out.line(line if out.as_json else readable(line))


def _of_container(node: Deployment) -> Iterator[str]:
    with closing(NodeContainers()) as containers:
        for line in lines(containers.logs(node.name, follow=True, tail=_TAIL_LINES)):
            yield line.decode(errors="replace")


def _of_process(node: Deployment, clock: Clock) -> Iterator[str]:
    """The last lines of the log and every new one, until the node ends; goes on in a new file when the log rotates."""
    place = max(0, _size(node.log_file) - _TAIL_BYTES)
    partial = b""
    while True:
        if _size(node.log_file) < place:
            place, partial = 0, b""
        chunk = _read(node.log_file, place)
        place += len(chunk)
        *whole, partial = (partial + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole if line)
        if not chunk:
            if deployments.running(node) is None:
                return
            clock.sleep(_LOOK_EVERY_S)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read(path: Path, place: int) -> bytes:
    if not path.exists():
        return b""
    with open(path, "rb") as file:
        file.seek(place)
        return file.read()


def readable(line: str) -> str:
    """A JSON line of the log, for eyes; any other line as it is. Never a control character."""
    try:
        record = json.loads(line)
        head = f"{record.pop('time')} {record.pop('level'):<8} {record.pop('message')}"
    except (ValueError, KeyError, AttributeError, TypeError):
        return printable(line)
    traceback = record.pop("traceback", None)
    fields = "".join(f" {key}={value}" for key, value in record.items() if key != "logger")
    return printable(f"{head}{fields}" + (f"\n{traceback}" if traceback else ""))
