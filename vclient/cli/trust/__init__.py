"""vclient trust ..."""

from vruntime.cli import LazyGroup

command = LazyGroup("trust", package="vclient.cli.trust", help="Who was accepted here, and whose words were compared.")
