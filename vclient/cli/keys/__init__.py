"""vclient keys ..."""

from vruntime.cli import LazyGroup

command = LazyGroup("keys", package="vclient.cli.keys", help="This machine's user key.")
