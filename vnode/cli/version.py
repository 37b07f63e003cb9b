"""`vnode version`."""

import platform

from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.version import VERSION


@cli_command("version", short_help="Show the version.")
def command(out: Out) -> None:
    """Show which version this is."""
    out.result({"version": VERSION, "python": platform.python_version()}, VERSION)
