"""`vserver start`: serve a hub."""

import os
from pathlib import Path
from typing import Any

import click

from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.contexts import Level
from vserver import deployment as deployments
from vserver.cli._choice import chosen_hub, load
from vserver.deployment import AlreadyRunning, Deployment, Prepared, Running

_RECORD_HELP = (
    "Append every request (method, path, headers without Authorization, raw body) to FILE, to show what the hub sees. "
    "Bodies of log-ins hold passwords and tokens: for demonstrations and audits only."
)


@cli_command("start", short_help="Start a hub.")
@chosen_hub
@click.option("--foreground", is_flag=True, help="Serve in this process, logs on standard error, until Ctrl-C.")
@click.option("--record-requests", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_RECORD_HELP)
def command(
    name: str | None,
    environment: str | None,
    level: Level | None,
    foreground: bool,
    record_requests: Path | None,
    out: Out,
) -> None:
    """Start the hub NAME (or the only one) and wait until it answers. Its database is brought up to date first."""
    hub = load(name, environment, level)
    if (found := deployments.running(hub)) is not None:
        raise AlreadyRunning(f"{hub.context.name} runs already at {found.url}.")
    prepared = deployments.prepare(hub, SystemClock())
    if foreground:
        _tell(out, hub, prepared, None)
        program = deployments.serve_command(hub, record_requests=record_requests, ready_fd=None)
        os.execv(program[0], program)  # noqa: S606  (our own program; nothing of this process is needed any more)
    _tell(out, hub, prepared, deployments.start_in_background(hub, record_requests=record_requests))


def _tell(out: Out, hub: Deployment, prepared: Prepared, found: Running | None) -> None:
    url = found.url if found else hub.settings.public_url or f"http://{hub.settings.host}:{hub.settings.port}"
    answer: dict[str, Any] = {
        "name": hub.context.name,
        "url": url,
        "pid": found.pid if found else os.getpid(),
        "first_administrator_code": prepared.first_administrator_code,
    }
    out.result(answer, url)
    if prepared.first_administrator_code and not out.as_json:
        out.say("Nobody administers this hub yet. Make the first administrator with this code (shown only now):")
        out.line(prepared.first_administrator_code)
        out.say(
            f"`vclient administrator --hub {url}` asks for it and for a user name and a password. It holds for a day."
        )
