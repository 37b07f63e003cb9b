"""`vnode keys`: the organization's keys and its key log. One command a file."""

from vruntime.cli import LazyGroup

command = LazyGroup(
    "keys",
    package="vnode.cli.keys",
    help="Show, make, certify and revoke keys.",
    short_help="Show, make, certify and revoke keys.",
)
