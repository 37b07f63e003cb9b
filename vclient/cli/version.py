"""vclient version"""

from vclient.cli import own_version
from vruntime import cli


@cli.command()
def command(out: cli.Out) -> None:
    """Show which version this is."""
    out.result({"vclient": own_version()}, own_version())
