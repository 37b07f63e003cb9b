"""vclient plan ..."""

from vruntime.cli import LazyGroup

command = LazyGroup("plan", package="vclient.cli.plan", help="What would be signed.")
