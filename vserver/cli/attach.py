"""`vserver attach`: follow a running hub's log."""

import json
from collections.abc import Iterator
from pathlib import Path

from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import Clock, SystemClock
from vruntime.contexts import Level
from vserver import deployment as deployments
from vserver.cli._choice import chosen_hub, load
from vserver.deployment import Deployment, NotRunning

_LOOK_EVERY_S = 0.2
_TAIL_BYTES = 8 * 1024


@cli_command("attach", short_help="Follow a running hub's log.")
@chosen_hub
def command(name: str | None, environment: str | None, level: Level | None, out: Out) -> None:
    """Show the log of the hub NAME as it grows. Ctrl-C leaves the hub running."""
    hub = load(name, environment, level)
    if deployments.running(hub) is None:
        raise NotRunning(f"{hub.context.name} does not run.", hint=f"Its last words are in {hub.log_file}.")
    out.say("Ctrl-C leaves the hub running.")
    for line in followed(hub, SystemClock()):
        out.line(line if out.as_json else readable(line))


def followed(hub: Deployment, clock: Clock) -> Iterator[str]:
    """The last lines of the log and every new one, until the hub ends; goes on in a new file when the log rotates."""
    place = max(0, hub.log_file.stat().st_size - _TAIL_BYTES)
    partial = b""
    while True:
        size = hub.log_file.stat().st_size
        if size < place:
            place, partial = 0, b""
        chunk = _read(hub.log_file, place)
        place += len(chunk)
        *lines, partial = (partial + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines if line)
        if not chunk:
            if deployments.running(hub) is None:
                return
            clock.sleep(_LOOK_EVERY_S)


def _read(path: Path, place: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(place)
        return file.read()


def readable(line: str) -> str:
    """A JSON line of the log, for eyes; any other line as it is."""
    try:
        record = json.loads(line)
        head = f"{record.pop('time')} {record.pop('level'):<8} {record.pop('message')}"
    except (ValueError, KeyError, AttributeError, TypeError):
        return line
    traceback = record.pop("traceback", None)
    fields = "".join(f" {key}={value}" for key, value in record.items() if key != "logger")
    return f"{head}{fields}" + (f"\n{traceback}" if traceback else "")
