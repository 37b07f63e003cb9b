"""vclient job ..."""

from vruntime.cli import LazyGroup

command = LazyGroup("job", package="vclient.cli.job", help="One job: its state, its answers, its logs.")
