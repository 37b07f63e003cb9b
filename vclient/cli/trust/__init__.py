"""vclient trust ..."""

from vruntime.cli import LazyGroup

command = LazyGroup(
    "trust", package="vclient.cli.trust", help="Whom this client has accepted, and whose words were compared."
)
