"""vclient workflow ..."""

from vruntime.cli import LazyGroup

command = LazyGroup("workflow", package="vclient.cli.workflow", help="Workflows in files.")
